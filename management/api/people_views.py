"""Friends, groups and their members over HTTP."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from management import friendships, groups
from management.api.answers import (
    Friend,
    FriendList,
    Group,
    GroupDeleted,
    GroupList,
    Member,
    MemberDeleted,
    MemberList,
    Unfriended,
)
from management.serializers import NoFields
from recognition import models
from recognition.api.pagination import ByUser, NewestFirst
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


class GroupViewSet(ServiceViewSet):
    """One group. Only services make and remove one."""

    required_scope = "face:manage"
    tag = "friends and groups"
    lookup_field = "name"

    @operation("list_groups", "List all groups", GroupList, pages=NewestFirst)
    def list(self, request: Request) -> Response:
        """All groups, newest first; for services."""
        self.caller.require_service()
        return self.page("groups", models.Group.objects.all(), Group.each)

    @operation("get_group", "Show a group", Group)
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(Group.of(groups.group_of(self.caller, name)))

    @operation("put_group", "Create a group", {200: Group, 201: Group})
    def update(self, request: Request, name: str) -> Response:
        self.fields(NoFields)
        group, is_new = groups.put_group(caller=self.caller, name=name)
        return Response(Group.of(group), status=201 if is_new else 200)

    @operation("delete_group", "Delete a group and its memberships", GroupDeleted)
    def destroy(self, request: Request, name: str) -> Response:
        """Remove the group and all memberships in it."""
        groups.delete_group(caller=self.caller, name=name)
        return Response({"name": name, "deleted": True})


class MemberViewSet(ServiceViewSet):
    """One membership. Only services make one."""

    required_scope = "face:manage"
    tag = "friends and groups"
    lookup_field = lookup_value_converter = "user_id"

    @operation("list_members", "List the members of a group", MemberList, pages=ByUser)
    def list(self, request: Request, name: str) -> Response:
        """The members of a group, in the order of their ids; end users see only themselves."""
        members = groups.members_of(self.caller, groups.group_of(self.caller, name))
        return self.page("members", members, Member.each, ByUser("user_id"))

    @operation("get_member", "Say since when a user has been a member", Member)
    def retrieve(self, request: Request, name: str, user_id: UUID) -> Response:
        return Response(Member.of(groups.membership_of(self.caller, name, user_id)))

    @operation("put_member", "Make a user a member of a group", {200: Member, 201: Member})
    def update(self, request: Request, name: str, user_id: UUID) -> Response:
        """Make the user a member; both must exist."""
        self.fields(NoFields)
        membership, is_new = groups.join(caller=self.caller, name=name, user_id=user_id)
        return Response(Member.of(membership), status=201 if is_new else 200)

    @operation("delete_member", "End a membership", MemberDeleted)
    def destroy(self, request: Request, name: str, user_id: UUID) -> Response:
        groups.leave(caller=self.caller, name=name, user_id=user_id)
        return Response({"user_id": str(user_id), "deleted": True})
