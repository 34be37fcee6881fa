"""Users, faces, friends, groups and models over HTTP: parse, call one function, answer."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from management import erasure, operations, relations
from management.api import answers, filters
from management.serializers import FaceRequest, NoFields, UserRequest
from recognition.api.answers import IdentifiedByFace
from recognition.api.fields import USER_ID, viewer_of, viewer_parameter
from recognition.api.pagination import ByUser, NewestFirst
from recognition.api.serializers import IdentifyFaceRequest
from recognition.api.service_view import ServiceViewSet, operation
from recognition.identification import by_face, identifying
from recognition.identification.identifying import IdentificationRequest
from recognition.models import Group, Membership
from recognition.models.user_ids import UserId
from recognition.packs import catalogue

_TEXT = {"type": "string", "maxLength": filters.LONGEST}


class UserPages(ByUser):
    parameters = [
        *ByUser.parameters,
        OpenApiParameter(
            "q", _TEXT, description="Only users whose `display_name` has this part, in any case."
        ),
    ]


class FacePages(NewestFirst):
    parameters = [
        *NewestFirst.parameters,
        OpenApiParameter("user_id", USER_ID, description="Only faces of this user."),
        OpenApiParameter("face_group", _TEXT, description="Only faces of this group."),
        OpenApiParameter(
            "source", _TEXT, description="Only faces whose `metadata.source` is this text."
        ),
        *(
            OpenApiParameter(name, {"type": "string", "format": "date-time"}, description=about)
            for name, about in (
                ("created_since", "Only faces that were enrolled at this time or later."),
                ("created_before", "Only faces that were enrolled before this time."),
            )
        ),
    ]


class UserViewSet(ServiceViewSet):
    required_scope = "face:manage"
    tag = "users and faces"
    lookup_field = lookup_value_converter = "user_id"

    @operation("list_users", "List all users", answers.UserList, pages=UserPages)
    def list(self, request: Request) -> Response:
        """All users, or those of a name, in the order of their ids; for services."""
        self.caller.require_service()
        users = filters.users(request.query_params)
        return self.page("users", users, answers.User.each, UserPages("id"))

    @operation("get_user", "Show a user", answers.User)
    def retrieve(self, request: Request, user_id: UserId) -> Response:
        """One user: name, picture and privacy level, and the erasure of all their data."""
        return Response(answers.User.of(operations.user_of(self.caller, user_id)))

    @operation(
        "put_user",
        "Create or change a user",
        {200: answers.User, 201: answers.User},
        body=UserRequest,
    )
    def update(self, request: Request, user_id: UserId) -> Response:
        """Create the user, or change the given fields and keep the rest."""
        changes = self.fields(UserRequest)
        user, is_new = operations.put_user(caller=self.caller, user_id=user_id, changes=changes)
        return Response(answers.User.of(user), status=201 if is_new else 200)

    @operation("erase_user", "Erase all data about a user", answers.Erased)
    def destroy(self, request: Request, user_id: UserId) -> Response:
        """Erase all data about the user, and answer a receipt; a repeated request gets the same.

        The audit log keeps the id, who did what and when, and nothing else.
        """
        return Response(answers.Erased.of(erasure.erase_for(caller=self.caller, user_id=user_id)))

    @operation("list_faces", "List the faces of a user", answers.FaceList, pages=NewestFirst)
    @action(detail=True)
    def faces(self, request: Request, user_id: UserId) -> Response:
        """The faces of one user, newest first."""
        return self.page("faces", operations.faces_of(self.caller, user_id), answers.Face.each)

    @operation(
        "list_groups_of_user",
        "List the groups of a user",
        answers.GroupsJoined,
        pages=NewestFirst,
        tags=["friends and groups"],
    )
    @action(detail=True)
    def groups(self, request: Request, user_id: UserId) -> Response:
        """The groups of one user, the newest membership first."""
        user = operations.user_of(self.caller, user_id)
        memberships = Membership.objects.filter(user=user).select_related("group")
        return self.page("groups", memberships, answers.GroupJoined.each)


class FaceViewSet(ServiceViewSet):
    """One face: its settings, and its removal."""

    required_scope = "face:manage"
    tag = "users and faces"
    lookup_field = lookup_value_converter = "face_id"

    @operation("list_all_faces", "List faces of all users", answers.FaceList, pages=FacePages)
    def list(self, request: Request) -> Response:
        """Faces of all users, newest first; for services."""
        self.caller.require_service()
        faces = filters.faces(request.query_params)
        return self.page("faces", faces, answers.Face.each, FacePages())

    @operation("get_face", "Show a face", answers.Face)
    def retrieve(self, request: Request, face_id: str) -> Response:
        return Response(answers.Face.of(operations.face_of(face_id, self.caller)))

    @operation("put_face", "Change the settings of a face", answers.Face, body=FaceRequest)
    def update(self, request: Request, face_id: str) -> Response:
        """Change the given fields and keep the rest."""
        changes = self.fields(FaceRequest)
        face = operations.change_face(caller=self.caller, face_id=face_id, changes=changes)
        return Response(answers.Face.of(face))

    @operation(
        "patch_face", "Change the settings of a face, as PUT does", answers.Face, body=FaceRequest
    )
    def partial_update(self, request: Request, face_id: str) -> Response:
        """The same as PUT."""
        return self.update(request, face_id)

    @operation(
        "get_crop", "Show the kept picture of a face", {(200, "image/jpeg"): OpenApiTypes.BINARY}
    )
    @action(detail=True)
    def crop(self, request: Request, face_id: str) -> HttpResponse:
        """The aligned face with some surroundings, a JPEG of 256 pixels a side.

        It answers 404 `crop_not_found` if no picture is kept. The audit log notes each look.
        """
        picture = operations.crop_of(self.caller, face_id)
        headers = {"Cache-Control": "no-store"}
        return HttpResponse(picture, content_type="image/jpeg", headers=headers)

    @operation(
        "identify_face",
        "Find who is like a stored face",
        IdentifiedByFace,
        body=IdentifyFaceRequest,
        parameters=[viewer_parameter],
        tags=["recognition"],
    )
    @action(detail=True, methods=["post"], required_scope="face:identify")
    def identify(self, request: Request, face_id: str) -> Response:
        """Who is like a stored face (1:N), among the people that the viewer may find.

        With a viewer, the face has to be one of the viewer's. Its own user is no candidate.
        """
        fields = self.fields(IdentifyFaceRequest)
        options = identifying.options_of(fields, viewer_of(request, fields))
        wanted = IdentificationRequest.noted(self.caller, options)
        return Response(IdentifiedByFace.of(by_face.identify(face_id, wanted)))

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Clients may accept pictures alone. A refusal is JSON all the same."""
        is_picture = self.action == "crop"
        return super().perform_content_negotiation(request, force=force or is_picture)

    @operation("delete_face", "Delete a face", answers.FaceDeleted)
    def destroy(self, request: Request, face_id: str) -> Response:
        operations.delete_face(caller=self.caller, face_id=face_id)
        return Response({"face_id": face_id, "deleted": True})


class FriendViewSet(ServiceViewSet):
    """One friendship, which is always mutual. Only services make one."""

    required_scope = "face:manage"
    tag = "friends and groups"
    lookup_field, lookup_value_converter = "other_id", "user_id"

    @operation("list_friends", "List the friends of a user", answers.FriendList, pages=ByUser)
    def list(self, request: Request, user_id: UserId) -> Response:
        """The friends of one user, in the order of their ids."""
        friends = relations.friends_of(self.caller, user_id)
        return self.page("friends", friends, answers.Friend.each, ByUser("friend_id"))

    @operation("get_friend", "Say since when two users have been friends", answers.Friend)
    def retrieve(self, request: Request, user_id: UserId, other_id: UserId) -> Response:
        return Response(answers.Friend.of(relations.friendship_of(self.caller, user_id, other_id)))

    @operation("put_friend", "Make two users friends", {200: answers.Friend, 201: answers.Friend})
    def update(self, request: Request, user_id: UserId, other_id: UserId) -> Response:
        """Make the two users friends; both must exist."""
        self.fields(NoFields)
        friendship, is_new = relations.befriend(
            caller=self.caller, user_id=user_id, other_id=other_id
        )
        return Response(answers.Friend.of(friendship), status=201 if is_new else 200)

    @operation("delete_friend", "End a friendship", answers.Unfriended)
    def destroy(self, request: Request, user_id: UserId, other_id: UserId) -> Response:
        """End the friendship, for both."""
        relations.unfriend(caller=self.caller, user_id=user_id, other_id=other_id)
        return Response({"user_id": other_id.text, "deleted": True})


class GroupViewSet(ServiceViewSet):
    """One group. Only services make and remove one."""

    required_scope = "face:manage"
    tag = "friends and groups"
    lookup_field = "name"

    @operation("list_groups", "List all groups", answers.GroupList, pages=NewestFirst)
    def list(self, request: Request) -> Response:
        """All groups, newest first; for services."""
        self.caller.require_service()
        return self.page("groups", Group.objects.all(), answers.Group.each)

    @operation("get_group", "Show a group", answers.Group)
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(answers.Group.of(relations.group_of(self.caller, name)))

    @operation("put_group", "Create a group", {200: answers.Group, 201: answers.Group})
    def update(self, request: Request, name: str) -> Response:
        self.fields(NoFields)
        group, is_new = relations.put_group(caller=self.caller, name=name)
        return Response(answers.Group.of(group), status=201 if is_new else 200)

    @operation("delete_group", "Delete a group and its memberships", answers.GroupDeleted)
    def destroy(self, request: Request, name: str) -> Response:
        """Remove the group and all memberships in it."""
        relations.delete_group(caller=self.caller, name=name)
        return Response({"name": name, "deleted": True})


class MemberViewSet(ServiceViewSet):
    """One membership. Only services make one."""

    required_scope = "face:manage"
    tag = "friends and groups"
    lookup_field = lookup_value_converter = "user_id"

    @operation("list_members", "List the members of a group", answers.MemberList, pages=ByUser)
    def list(self, request: Request, name: str) -> Response:
        """The members of a group, in the order of their ids; end users see only themselves."""
        members = relations.members_of(self.caller, relations.group_of(self.caller, name))
        return self.page("members", members, answers.Member.each, ByUser("user_id"))

    @operation("get_member", "Say since when a user has been a member", answers.Member)
    def retrieve(self, request: Request, name: str, user_id: UserId) -> Response:
        return Response(answers.Member.of(relations.membership_of(self.caller, name, user_id)))

    @operation(
        "put_member", "Make a user a member of a group", {200: answers.Member, 201: answers.Member}
    )
    def update(self, request: Request, name: str, user_id: UserId) -> Response:
        """Make the user a member; both must exist."""
        self.fields(NoFields)
        membership, is_new = relations.join(caller=self.caller, name=name, user_id=user_id)
        return Response(answers.Member.of(membership), status=201 if is_new else 200)

    @operation("delete_member", "End a membership", answers.MemberDeleted)
    def destroy(self, request: Request, name: str, user_id: UserId) -> Response:
        relations.leave(caller=self.caller, name=name, user_id=user_id)
        return Response({"user_id": user_id.text, "deleted": True})


class ModelViewSet(ServiceViewSet):
    """The model packs: the active one, and the share of strangers who match at each score."""

    required_scope = "face:manage"
    tag = "models"

    @operation("list_models", "List the models, and what their scores mean", answers.ModelList)
    def list(self, request: Request) -> Response:
        return Response({"models": answers.Model.each(catalogue.entries())})
