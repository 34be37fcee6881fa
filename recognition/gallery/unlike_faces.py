"""New faces that resemble no other face of their user: a stolen token may have enrolled them.

The audit log notes them for the moderators. They cannot log in at `strict` for
FACESVC_NEW_FACE_HOURS; see recognition.verification.judging.
"""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from recognition import audit
from recognition.gallery.comparing import Compared, compare_with_all_of_user
from recognition.inference.pipeline import DetectedFace
from recognition.models import AuditEvent, Face
from recognition.packs.engine import Engine
from recognition.packs.thresholds import BASIC

_UNLIKE_OTHERS = "face.unlike_others"  # in the audit log
_REMOVALS = ("face.delete", "user.erase")


def is_unlike(active: Engine, user_id: UUID, face: DetectedFace, nearest: Compared | None) -> bool:
    """Whether a face that is to be stored resembles none of the user's faces.

    A face that was noted does not count: a stranger's second picture would resemble the first.
    Where there is nothing else to compare with, the face is unlike if such a face was noted, or if
    the user's own token removed a face, within FACESVC_NEW_FACE_HOURS.
    """
    noted = [*_recent(user_id).filter(action=_UNLIKE_OTHERS).values_list("face_id", flat=True)]
    if noted:
        nearest = compare_with_all_of_user(active, user_id, face, without=noted)
    if nearest:
        return active.scores.confidence(nearest.face_cosine) < BASIC
    own = _recent(user_id).filter(action__in=_REMOVALS, actor=audit.end_user(user_id))
    return bool(noted) or own.exists()


def note(active: Engine, stored: Face, nearest: Compared | None) -> None:
    """Write the face into the audit log, in the caller's transaction."""
    confidence = round(active.scores.confidence(nearest.face_cosine), 4) if nearest else None
    audit.note(
        audit.SYSTEM,
        _UNLIKE_OTHERS,
        user_id=stored.user_id,
        face_id=stored.face_id,
        confidence_score=confidence,
    )


def is_noted(user_id: UUID, face_id: str) -> bool:
    """Whether a face was noted less than FACESVC_NEW_FACE_HOURS ago."""
    return _recent(user_id).filter(action=_UNLIKE_OTHERS, face_id=face_id).exists()


def _recent(user_id: UUID) -> QuerySet[AuditEvent]:
    since = timezone.now() - timedelta(hours=settings.FACESVC_NEW_FACE_HOURS)
    return AuditEvent.objects.filter(user_id=user_id, at__gt=since)
