"""Groups and their members over HTTP."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from management import groups
from management.api import answers, schemas
from management.serializers import NoFields
from recognition.api.pagination import ByUser, NewestFirst
from recognition.api.service_view import ServiceView


class GroupsView(ServiceView):
    """All groups, newest first; for services."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="list_groups",
        summary="List all groups",
        parameters=NewestFirst.parameters,
        responses={200: schemas.GroupList},
        tags=["friends and groups"],
    )
    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        page = pages.paginate_queryset(groups.all_groups(self.caller), request, view=self)
        return Response({"groups": [*map(answers.group, page or [])]} | pages.cursors())


class GroupView(ServiceView):
    """One group. Only services make and remove one."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="get_group",
        summary="Show a group",
        responses={200: schemas.Group},
        tags=["friends and groups"],
    )
    def get(self, request: Request, name: str) -> Response:
        return Response(answers.group(groups.group_of(self.caller, name)))

    @extend_schema(
        operation_id="put_group",
        summary="Create a group",
        request=None,
        responses={200: schemas.Group, 201: schemas.Group},
        tags=["friends and groups"],
    )
    def put(self, request: Request, name: str) -> Response:
        self.fields(NoFields)
        group, is_new = groups.put_group(caller=self.caller, name=name)
        return Response(answers.group(group), status=201 if is_new else 200)

    @extend_schema(
        operation_id="delete_group",
        summary="Delete a group and its memberships",
        responses={200: schemas.GroupDeleted},
        tags=["friends and groups"],
    )
    def delete(self, request: Request, name: str) -> Response:
        """Remove the group and all memberships in it."""
        groups.delete_group(caller=self.caller, name=name)
        return Response({"name": name, "deleted": True})


class MembersView(ServiceView):
    """The members of a group, in the order of their ids; end users see only themselves."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="list_members",
        summary="List the members of a group",
        parameters=ByUser.parameters,
        responses={200: schemas.MemberList},
        tags=["friends and groups"],
    )
    def get(self, request: Request, name: str) -> Response:
        pages = ByUser("user_id")
        members = groups.members_of(self.caller, groups.group_of(self.caller, name))
        page = pages.paginate_queryset(members, request, view=self)
        return Response({"members": [*map(answers.member, page or [])]} | pages.cursors())


class MemberView(ServiceView):
    """One membership. Only services make one."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="get_member",
        summary="Say since when a user has been a member",
        responses={200: schemas.Member},
        tags=["friends and groups"],
    )
    def get(self, request: Request, name: str, user_id: UUID) -> Response:
        return Response(answers.member(groups.membership_of(self.caller, name, user_id)))

    @extend_schema(
        operation_id="put_member",
        summary="Make a user a member of a group",
        request=None,
        responses={200: schemas.Member, 201: schemas.Member},
        tags=["friends and groups"],
    )
    def put(self, request: Request, name: str, user_id: UUID) -> Response:
        """Make the user a member; both must exist."""
        self.fields(NoFields)
        membership, is_new = groups.join(caller=self.caller, name=name, user_id=user_id)
        return Response(answers.member(membership), status=201 if is_new else 200)

    @extend_schema(
        operation_id="delete_member",
        summary="End a membership",
        responses={200: schemas.MemberDeleted},
        tags=["friends and groups"],
    )
    def delete(self, request: Request, name: str, user_id: UUID) -> Response:
        groups.leave(caller=self.caller, name=name, user_id=user_id)
        return Response({"user_id": str(user_id), "deleted": True})


class UserGroupsView(ServiceView):
    """The groups of one user, the newest membership first."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="list_groups_of_user",
        summary="List the groups of a user",
        parameters=NewestFirst.parameters,
        responses={200: schemas.GroupsJoined},
        tags=["friends and groups"],
    )
    def get(self, request: Request, user_id: UUID) -> Response:
        pages = NewestFirst()
        page = pages.paginate_queryset(groups.groups_of(self.caller, user_id), request, view=self)
        return Response({"groups": [*map(answers.group_joined, page or [])]} | pages.cursors())
