"""What this app keeps of people: see recognition.privacy.keeping."""

from uuid import UUID

from django.db.models import Q

from recognition.api import idempotency
from recognition.collections.models import AccessKey
from recognition.enrolment import lookalikes
from recognition.models import Face, FaceCrop, MergedUser, PossibleDuplicate
from recognition.privacy import export, retention
from recognition.privacy.keeping import KEEPS, Erasure, Keeps
from recognition.verification import recent_probes


def _forget(erasure: Erasure) -> None:
    """Answers, and with the faces also the decisions about pairs."""
    erasure.removed.update(idempotency.forget(erasure.person))
    ids = erasure.person.ids  # nothing has one that was merged
    erasure.delete(PossibleDuplicate.objects.filter(Q(user_a__in=ids) | Q(user_b__in=ids)))
    MergedUser.objects.filter(into__in=ids).update(given_id=None)


def _forget_face(face: Face) -> None:
    idempotency.forget_face(face, face.user_id)
    lookalikes.forget_face(face)


def _move_face(face: Face, was: UUID) -> None:
    idempotency.forget_face(face, was)
    lookalikes.follow_move(face, was)


KEEPS.append(
    Keeps(
        forget=_forget,
        forget_face=_forget_face,
        move_face=_move_face,
        sections=export.SECTIONS,
        retain=(
            retention.drop_sessions,
            retention.drop_rate_windows,
            retention.drop_audit_events,
            retention.drop_daily_counts,
            retention.drop_keys,
            idempotency.drop_old,
            recent_probes.drop_old,
        ),
        sealed=(FaceCrop, AccessKey),
    )
)
