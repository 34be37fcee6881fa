"""The answers about people, their faces, friends and groups, about moderation and the models."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers as s

from recognition import models, people
from recognition.api.face_answers import Attributes
from recognition.api.rendering import (
    Score,
    Scored,
    Serializer,
    TextOrNull,
    UserIdText,
    Value,
    page_of,
)
from recognition.inference.pack.declaration import Calibration as MeasuredScores
from recognition.models import PrivacyLevel, Taggable
from recognition.models.duplicates import DuplicateState
from recognition.models.user_ids import in_texts
from recognition.packs import engine
from recognition.packs.scores import ScoreScale, ShownScores
from recognition.packs.versions import without_key

_SUSPENDED = "When a moderator suspended it; end users do not see what is suspended."


def _deleted(name: str, /, **what: s.Field[Any, Any, Any, Any]) -> s.Serializer[Any]:
    return inline_serializer(name, {**what, "deleted": s.BooleanField()})


class OperatingPoint(Scored):
    false_match_rate = s.FloatField(
        source="fmr", help_text="Share of strangers that reach these scores."
    )
    extrapolated = s.BooleanField(help_text="Too rare to be measured on the calibration's data.")
    similarity_score = Score()
    confidence_score = Score()


class Provisional(Serializer):
    based_on = s.CharField(source="source", help_text="Where the scores come from.")
    factor = s.ListField(
        child=s.FloatField(),
        min_length=2,
        max_length=2,
        help_text="The true false match rate is within these factors of the stated one.",
    )


class Calibration(Serializer):
    data_set = s.CharField(source="data")
    measured_on = s.DateField()
    operating_points = OperatingPoint(many=True, source="table")
    provisional = Provisional(
        allow_null=True, help_text="Null if the scores were measured with this pack."
    )

    @classmethod
    def of(cls, row: MeasuredScores, shown: Any = None) -> Value:
        return super().of(row, ShownScores(ScoreScale(row)))


class SmallestFace(Serializer):
    width = s.IntegerField()
    height = s.IntegerField()
    pixels = s.IntegerField()


class Model(Serializer):
    name = s.CharField(source="pack.name")
    description = s.CharField(source="pack.description")
    licence = s.CharField(source="pack.licence")
    embedding_version = s.CharField(source="pack.template_version")
    model_version = s.CharField(source="pack.model_version")
    active = s.BooleanField(help_text="Answers requests.")
    reason = s.CharField(
        help_text="Why a new database began with this pack. Empty for the other packs, and after a "
        "change of the model."
    )
    prepared = s.BooleanField(help_text="Its files are on this machine.")
    calibrated = s.BooleanField(help_text="Its scores were measured, so their meaning is known.")
    calibration = Calibration(allow_null=True)
    smallest_face = SmallestFace(
        many=True,
        source="smallest_faces",
        help_text="For pictures of some sizes: nearly all faces whose box has at least so many "
        "pixels on each side are found, by the verbs that look for all faces.",
    )


class ModelList(Serializer):
    models = Model(many=True)


class Privacy(Serializer):
    searchable = s.BooleanField()
    taggable = s.ChoiceField(Taggable.values)


class Face(Serializer):
    face_id = s.CharField()
    user_id = s.CharField(source="user.app_id")
    face_group = s.CharField()
    face_quality_score = s.FloatField(source="quality_score")
    quality_components = s.DictField(child=s.FloatField())
    face_attributes = Attributes(source="attributes")
    metadata = s.DictField()
    privacy_settings = Privacy(source="*")
    suspended_at = s.DateTimeField(allow_null=True, help_text=_SUSPENDED)
    embedding_version = s.CharField(
        allow_null=True,
        help_text="The version of the template that is compared now. Null: the face is compared "
        "with nobody until it is enrolled again.",
    )
    model_version = s.CharField(allow_null=True, help_text="The model that computed that template.")
    verification_count = s.IntegerField()
    last_verified_at = s.DateTimeField(allow_null=True)
    created_at = s.DateTimeField()
    updated_at = s.DateTimeField()

    @classmethod
    def of(cls, row: models.Face, shown: Any = None) -> Value:
        (value,) = cls.each([row])
        return value

    @classmethod
    def each(cls, rows: Sequence[models.Face], shown: Any = None) -> list[Value]:
        # After a change of the model, a face without a kept picture has no template to compare.
        version = engine.active_version()
        compared = models.Template.objects.filter(face__in=rows, embedding_version=version)
        versions = dict(compared.values_list("face_id", "model_version"))
        shown = without_key(version)
        values = []
        for row in rows:
            model_version = versions.get(row.pk)
            compared_by = {
                "embedding_version": shown if model_version else None,
                "model_version": model_version,
            }
            values.append(super().of(row) | compared_by)
        return values


FaceList = page_of("FaceList", faces=Face(many=True))
FaceDeleted = _deleted("Deleted", face_id=s.CharField())


class User(Serializer):
    user_id = s.CharField(source="app_id")
    display_name = s.CharField(allow_blank=True)
    profile_image = s.CharField(allow_blank=True)
    privacy_level = s.ChoiceField(PrivacyLevel.values)
    suspended_at = s.DateTimeField(allow_null=True, help_text=_SUSPENDED)
    created_at = s.DateTimeField()


UserList = page_of("UserList", users=User(many=True))


class Erased(Serializer):
    """The receipt of an erasure."""

    receipt_id = s.CharField(help_text="Also in the audit log, which keeps the receipt.")
    user_id = UserIdText()
    erased_at = s.DateTimeField()
    removed = s.DictField(
        child=s.IntegerField(), help_text="What was removed: how many rows of each kind."
    )


class Unlocked(Serializer):
    user_id = UserIdText()
    counts_forgotten = s.IntegerField(help_text="0: there was no failed attempt.")


class DuplicateFace(Serializer):
    user_id = UserIdText(help_text="After `same_person`, both are the user who stayed.")
    face_id = s.CharField(allow_null=True, help_text="Null when the face is gone.")


class Duplicate(Serializer):
    duplicate_id = s.IntegerField(source="pk")
    faces = DuplicateFace(many=True, source="sides")
    confidence_score = s.FloatField(source="confidence", min_value=0, max_value=1)
    state = s.ChoiceField(DuplicateState.values)
    found_at = s.DateTimeField()
    decided_by = TextOrNull(help_text="Written as `actor` of the audit log.")
    decided_at = s.DateTimeField(allow_null=True)


DuplicateList = page_of("DuplicateList", duplicates=Duplicate(many=True))


class AuditEvent(Serializer):
    event_id = s.IntegerField(source="pk")
    at = s.DateTimeField()
    actor = s.CharField(
        help_text="`user:<id>`, `service:<name>`, `command:<name>`, `operator:<name>` of the admin "
        "pages, or `system`."
    )
    action = s.CharField()
    user_id = s.CharField(
        allow_null=True,
        help_text="The log stores keys of ids. Once the person is erased, the key is shown.",
    )
    other_user_id = s.CharField(
        allow_null=True, help_text="The user who stayed after a merge, or got a moved face."
    )
    face_id = TextOrNull()
    viewer_id = s.CharField(allow_null=True, help_text="The user that the actor acted for.")
    request_id = TextOrNull()
    details = s.DictField()

    @classmethod
    def each(cls, rows: Sequence[models.AuditEvent], shown: Any = None) -> list[Value]:
        keys = {key for row in rows for key in row.people}
        texts = people.texts_of(keys)
        return [in_texts(cls.of(row), texts) for row in rows]


AuditEventList = page_of("AuditEventList", events=AuditEvent(many=True))


class Friend(Serializer):
    user_id = s.CharField(source="friend.app_id")
    since = s.DateTimeField(source="created_at")


FriendList = page_of("FriendList", friends=Friend(many=True))
Unfriended = _deleted("Unfriended", user_id=s.CharField())


class Group(Serializer):
    name = s.CharField()
    created_at = s.DateTimeField()


GroupList = page_of("GroupList", groups=Group(many=True))
GroupDeleted = _deleted("GroupDeleted", name=s.CharField())


class Member(Serializer):
    user_id = s.CharField(source="user.app_id")
    since = s.DateTimeField(source="created_at")


MemberList = page_of("MemberList", members=Member(many=True))
MemberDeleted = _deleted("MemberDeleted", user_id=s.CharField())


class GroupJoined(Serializer):
    name = s.CharField(source="group.name")
    since = s.DateTimeField(source="created_at")


GroupsJoined = page_of("GroupsJoined", groups=GroupJoined(many=True))


def _counted(name: str, *what: str) -> type[Serializer]:
    return type(name, (Serializer,), {each: s.IntegerField() for each in what})


_Links = _counted("LinksImported", "created", "removed", "unchanged")


class GraphImported(Serializer):
    lines = s.IntegerField(help_text="Lines read, without empty ones.")
    users = _counted("UsersImported", "created", "changed", "unchanged")()
    groups = _counted("GroupsImported", "created", "unchanged")()
    friendships = _Links()
    memberships = _Links()
