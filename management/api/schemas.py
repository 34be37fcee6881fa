"""The shapes of the answers of management, for the API description."""

from rest_framework import serializers as s

from recognition.api.schemas import Serializer, User
from recognition.models.duplicates import DuplicateState


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


class Unlocked(Serializer):
    user_id = s.UUIDField()
    counts_forgotten = s.IntegerField(help_text="0: there was no failed attempt.")


class DuplicateFace(Serializer):
    user_id = s.UUIDField(help_text="Of `same_person` both are of the user who stayed.")
    face_id = s.CharField(allow_null=True, help_text="Null when the face is gone.")


class Duplicate(Serializer):
    duplicate_id = s.IntegerField()
    faces = DuplicateFace(many=True)
    confidence_score = s.FloatField(min_value=0, max_value=1)
    state = s.ChoiceField(DuplicateState.values)
    found_at = s.DateTimeField()
    decided_by = s.CharField(allow_null=True, help_text="Spelled as `actor` of the audit log.")
    decided_at = s.DateTimeField(allow_null=True)


class DuplicateList(Page):
    duplicates = Duplicate(many=True)


class AuditEvent(Serializer):
    event_id = s.IntegerField()
    at = s.DateTimeField()
    actor = s.CharField(
        help_text="`user:<id>`, `service:<name>`, `command:<name>`, `operator:<name>` of the admin "
        "pages, or `system`."
    )
    action = s.CharField()
    user_id = s.UUIDField(allow_null=True)
    other_user_id = s.UUIDField(
        allow_null=True, help_text="Who stayed of a merge, or who got a moved face."
    )
    face_id = s.CharField(allow_null=True)
    viewer_id = s.UUIDField(allow_null=True, help_text="On whose behalf.")
    request_id = s.CharField(allow_null=True)
    details = s.DictField()


class AuditEventList(Page):
    events = AuditEvent(many=True)


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
