"""Friendships over HTTP."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from management import friendships
from management.api.answers import Friend, FriendList, Unfriended
from management.serializers import NoFields
from recognition.api.pagination import ByUser
from recognition.api.service_view import ServiceViewSet, operation


class FriendViewSet(ServiceViewSet):
    """One friendship, which is always mutual. Only services make one."""

    required_scope = "face:manage"
    tag = "friends and groups"
    lookup_field, lookup_value_converter = "other_id", "user_id"

    @operation("list_friends", "List the friends of a user", FriendList, pages=ByUser)
    def list(self, request: Request, user_id: UUID) -> Response:
        """The friends of one user, in the order of their ids."""
        friends = friendships.friends_of(self.caller, user_id)
        return self.page("friends", friends, Friend.each, ByUser("friend_id"))

    @operation("get_friend", "Say since when two users have been friends", Friend)
    def retrieve(self, request: Request, user_id: UUID, other_id: UUID) -> Response:
        return Response(Friend.of(friendships.friendship_of(self.caller, user_id, other_id)))

    @operation("put_friend", "Make two users friends", {200: Friend, 201: Friend})
    def update(self, request: Request, user_id: UUID, other_id: UUID) -> Response:
        """Make the two users friends; both must exist."""
        self.fields(NoFields)
        friendship, is_new = friendships.befriend(
            caller=self.caller, user_id=user_id, other_id=other_id
        )
        return Response(Friend.of(friendship), status=201 if is_new else 200)

    @operation("delete_friend", "End a friendship", Unfriended)
    def destroy(self, request: Request, user_id: UUID, other_id: UUID) -> Response:
        """End the friendship, for both."""
        friendships.unfriend(caller=self.caller, user_id=user_id, other_id=other_id)
        return Response({"user_id": str(other_id), "deleted": True})
