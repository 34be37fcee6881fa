"""The shapes of the answers about the social graph, for the API description."""

from rest_framework import serializers as s

from recognition.schemas import Serializer, User


class Page(Serializer):
    next_cursor = s.CharField(allow_null=True)


class UserList(Page):
    users = User(many=True)


class Erased(Serializer):
    """The receipt of an erasure."""

    receipt_id = s.CharField(help_text="Also in the audit log, which keeps the receipt.")
    user_id = s.UUIDField()
    erased_at = s.DateTimeField()
    removed = s.DictField(
        child=s.IntegerField(), help_text="What was removed, in rows of each kind there was."
    )


class Friend(Serializer):
    user_id = s.UUIDField()
    since = s.DateTimeField()


class FriendList(Page):
    friends = Friend(many=True)


class Unfriended(Serializer):
    user_id = s.UUIDField()
    deleted = s.BooleanField()


class Group(Serializer):
    name = s.CharField()
    created_at = s.DateTimeField()


class GroupList(Page):
    groups = Group(many=True)


class GroupDeleted(Serializer):
    name = s.CharField()
    deleted = s.BooleanField()


class Member(Serializer):
    user_id = s.UUIDField()
    since = s.DateTimeField()


class MemberList(Page):
    members = Member(many=True)


class MemberDeleted(Serializer):
    user_id = s.UUIDField()
    deleted = s.BooleanField()


class GroupJoined(Serializer):
    name = s.CharField()
    since = s.DateTimeField()


class GroupsJoined(Page):
    groups = GroupJoined(many=True)


class UsersImported(Serializer):
    created = s.IntegerField()
    changed = s.IntegerField()
    unchanged = s.IntegerField()


class GroupsImported(Serializer):
    created = s.IntegerField()
    unchanged = s.IntegerField()


class LinksImported(Serializer):
    created = s.IntegerField()
    removed = s.IntegerField()
    unchanged = s.IntegerField()


class GraphImported(Serializer):
    lines = s.IntegerField(help_text="Lines read, without empty ones.")
    users = UsersImported()
    groups = GroupsImported()
    friendships = LinksImported()
    memberships = LinksImported()
