"""Compares a probe with the templates of one user, and notes new faces that resemble no other.

Somebody with a stolen token may have enrolled such a face. The audit log notes it for the
moderators, and it cannot log in at `strict` for FACESVC_NEW_FACE_HOURS; see
recognition.verification.judging.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.db.models import Case, Q, QuerySet, Value, When
from django.utils import timezone

from recognition import audit
from recognition.gallery import statements
from recognition.gallery.scope import ListingQuerySet, all_listings
from recognition.gallery.statements import NearestAndMean, Vector
from recognition.inference.arrays import Floats
from recognition.models import AuditEvent, Face
from recognition.packs.engine import Engine
from recognition.packs.scores import BASIC
from recognition.prepared import Blank, Scalar, is_any, kept
from recognition.processes.slots import stage

# What a probe is compared with: every face of a user, or the mean of them.
MATCH_ON = ("face", "user")
_UNLIKE_OTHERS = "face.unlike_others"  # in the audit log
_REMOVALS = ("face.delete", "user.erase")


@dataclass(frozen=True)
class Compared:
    """A probe against all faces of a user.

    `by_face` and `by_mean` are what the cosine of the nearest face and the mean of all are worth
    with a single face. `photo_distance` is that of the face whose picture is most like the probe's.
    """

    face_id: str
    by_face: float
    by_mean: float
    photo_distance: float

    @classmethod
    def of(cls, by: Engine, nearest: NearestAndMean) -> Self:
        """What a statement found, with what its cosines are worth."""
        scores, faces = by.scores, nearest.faces
        return cls(
            nearest.face_id,
            scores.worth_of_nearest(-nearest.distance, faces),
            scores.worth_of_mean(-nearest.mean_distance, faces),
            nearest.photo_distance,
        )


@stage("search")
def compare_with_user(
    active: Engine,
    user_id: UUID,
    template: Floats,
    *,
    face_id: str | None = None,
    face_group: str | None = None,
) -> Compared | None:
    """Compare a probe's template with a user's faces, only one, or those of a group; None if there
    are none.
    """
    values = {"user": user_id, "face": face_id, "face group": face_group}
    which = {"is_one": face_id is not None, "is_group": face_group is not None}
    near = _nearest(
        values | {"probe": Vector.of(template)}, version=active.template_version, **which
    )
    return _compared(active, near)


@stage("search")
def compare_with_all_of_user(
    active: Engine, user_id: UUID, template: Floats, *, without: Collection[str] = ()
) -> Compared | None:
    """Compare with suspended faces as well: to see whether a new face resembles any other."""
    values = {"user": user_id, "without": [*without], "probe": Vector.of(template)}
    return _compared(active, _nearest_of_all(values, version=active.template_version))


def _compared(active: Engine, rows: list[Any]) -> Compared | None:
    return Compared.of(active, NearestAndMean(*rows[0])) if rows else None


def same_photo(active: Engine, user_id: UUID, template: Floats) -> str:
    """The id of the face of a user whose picture is most like that of a template."""
    values = {"user": user_id, "probe": Vector.of(template)}
    ((face_id,),) = _most_alike(values, version=active.template_version)
    return str(face_id)


@kept
def _nearest(*, version: str, is_one: bool, is_group: bool) -> QuerySet[Any, Any]:
    listings = all_listings().comparable_with(version).of_user()
    if is_one:
        listings = listings.filter(template__face__face_id=Blank("face"))
    if is_group:
        listings = listings.filter(template__face__face_group=Blank("face group"))
    return statements.nearest_and_mean(listings)


@kept
def _nearest_of_all(*, version: str) -> QuerySet[Any, Any]:
    without = is_any("template__face__face_id", Blank("without"))
    return statements.nearest_and_mean(_all_of_user(version).exclude(without))


@kept
def _most_alike(*, version: str) -> QuerySet[Any, Any]:
    return statements.most_alike(_all_of_user(version))


def _all_of_user(version: str) -> ListingQuerySet:
    return all_listings().comparable_with(version).filter(user_id=Blank("user"))


def is_unlike(active: Engine, user_id: UUID, template: Floats, nearest: Compared | None) -> bool:
    """Whether a template that is to be stored resembles none of the user's faces.

    A face that was noted does not count: a stranger's second picture would resemble the first.
    Where there is nothing else to compare with, the face is unlike if such a face was noted, or if
    the user's own token removed a face, within FACESVC_NEW_FACE_HOURS.
    """
    recent = {"user": user_id, "since": _since(), "actor": audit.end_user(user_id)}
    events = _noted_or_removed(recent)
    if noted := [face_id for (face_id,) in events if face_id]:
        nearest = compare_with_all_of_user(active, user_id, template, without=noted)
    if nearest:
        return active.scores.confidence(nearest.by_face) < BASIC
    return bool(events)


@kept
def _noted_or_removed() -> QuerySet[Any, Any]:
    """The ids of the faces that were noted, and "" if the user's own token removed any."""
    noted, removed = Q(action=_UNLIKE_OTHERS), Q(action__in=_REMOVALS, actor=Blank("actor"))
    face_id = Case(When(noted, then="face_id"), default=Value(""))
    # Once: somebody may enrol and remove faces all day.
    return _recent().filter(noted | removed).values_list(face_id).distinct()


def note_unlike(active: Engine, stored: Face, nearest: Compared | None) -> None:
    """Write the face into the audit log, in the caller's transaction."""
    confidence = round(active.scores.confidence(nearest.by_face), 4) if nearest else None
    audit.note(
        audit.SYSTEM,
        _UNLIKE_OTHERS,
        user_id=stored.user_id,
        face_id=stored.face_id,
        confidence_score=confidence,
    )


def is_noted_unlike(user_id: UUID, face_id: str) -> Scalar:
    """Whether a face was noted as unlike the others less than FACESVC_NEW_FACE_HOURS ago."""
    return _noted.has_rows({"user": user_id, "face": face_id, "since": _since()})


@kept
def _noted() -> QuerySet[Any, Any]:
    noted = _recent().filter(action=_UNLIKE_OTHERS, face_id=Blank("face"))
    return noted.values_list("pk")[:1]


def _recent() -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(user_id=Blank("user"), at__gt=Blank("since"))


def _since() -> datetime:
    return timezone.now() - timedelta(hours=settings.FACESVC_NEW_FACE_HOURS)
