"""Friendships over HTTP."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from management import friendships
from management.api import answers, schemas
from management.serializers import NoFields
from recognition.api.pagination import ByUser
from recognition.api.service_view import ServiceView


class FriendsView(ServiceView):
    """The friends of one user, in the order of their ids."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="list_friends",
        summary="List the friends of a user",
        parameters=ByUser.parameters,
        responses={200: schemas.FriendList},
        tags=["friends and groups"],
    )
    def get(self, request: Request, user_id: UUID) -> Response:
        pages = ByUser("friend_id")
        friends = friendships.friends_of(self.caller, user_id)
        page = pages.paginate_queryset(friends, request, view=self)
        return Response({"friends": [*map(answers.friend, page or [])]} | pages.cursors())


class FriendView(ServiceView):
    """One friendship, which is always mutual. Only services make one."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="get_friend",
        summary="Say since when two users have been friends",
        responses={200: schemas.Friend},
        tags=["friends and groups"],
    )
    def get(self, request: Request, user_id: UUID, other_id: UUID) -> Response:
        return Response(answers.friend(friendships.friendship_of(self.caller, user_id, other_id)))

    @extend_schema(
        operation_id="put_friend",
        summary="Make two users friends",
        request=None,
        responses={200: schemas.Friend, 201: schemas.Friend},
        tags=["friends and groups"],
    )
    def put(self, request: Request, user_id: UUID, other_id: UUID) -> Response:
        """Make the two users friends; both must exist."""
        self.fields(NoFields)
        friendship, is_new = friendships.befriend(
            caller=self.caller, user_id=user_id, other_id=other_id
        )
        return Response(answers.friend(friendship), status=201 if is_new else 200)

    @extend_schema(
        operation_id="delete_friend",
        summary="End a friendship",
        responses={200: schemas.Unfriended},
        tags=["friends and groups"],
    )
    def delete(self, request: Request, user_id: UUID, other_id: UUID) -> Response:
        """End the friendship, for both."""
        friendships.unfriend(caller=self.caller, user_id=user_id, other_id=other_id)
        return Response({"user_id": str(other_id), "deleted": True})
