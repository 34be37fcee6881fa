"""The pictures that were used for a user within a day, by the embeddings of their faces.

A copy of a picture that was compressed again, cropped or mirrored has other bytes and other pixels,
and nearly the same embedding. Two photos of one person, taken one after the other, seldom have:
docs/risk.md says how often. What is kept is protected as templates are. It has their version, so
that it is never compared with what another model or key made.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils import timezone

from recognition.collections.current import rule
from recognition.gallery.comparing import compare_with_user
from recognition.gallery.statements import Vector, photo_distance
from recognition.inference.arrays import Floats
from recognition.models import RecentProbe, Session
from recognition.packs.engine import Engine
from recognition.prepared import Blank, Scalar, fetched, insert, kept
from recognition.verification.matching import Probe, UserComparison

# Makes those newer that are practically the same as a template.
_RENEW = """
UPDATE recognition_recentprobe SET at = %s
WHERE session_id IS NULL AND embedding_version = %s AND user_id = %s
    AND (embedding <-> %s) <= %s
RETURNING id
"""
_DROP_OLD = "DELETE FROM recognition_recentprobe WHERE user_id = %s AND at <= %s"


def are_recent(probe: Probe, user_id: UUID) -> dict[str, Scalar]:
    """Whether the probe is a recent picture of the user, and whether its mirror image is.

    What a call keeps to see motion does not count: a person who sits still looks the same.
    """
    values = {
        "user": user_id,
        "duplicate": probe.by.scores.duplicate_distance,
        "since": _oldest(),
    }
    return {
        f"recent {number}": _used.has_rows(
            {**values, "probe": Vector.of(each)}, version=probe.by.template_version
        )
        for number, each in enumerate(_templates(probe))
    }


def is_stored(comparison: UserComparison, user_id: UUID) -> bool:
    """Whether the probe, or its mirror image, is a stored picture of the user."""
    probe, nearest = comparison.probe, comparison.nearest
    by, duplicate = probe.by, probe.by.scores.duplicate_distance
    if nearest and nearest.photo_distance <= duplicate:
        return True
    # One face was asked for, or the mirror image is that of a stored picture.
    others = _templates(probe)[0 if comparison.leaves_out else 1 :]
    found = (compare_with_user(by, user_id, template) for template in others)
    return any(each and each.photo_distance <= duplicate for each in found)


def _templates(probe: Probe) -> list[Floats]:
    return [each for each in (probe.template, probe.mirrored) if each is not None]


def keep(by: Engine, user_id: UUID, template: Floats) -> None:
    """Keep a face for a day. One that is kept already is only newer now."""
    values = (by.template_version, user_id, Vector.of(template), by.scores.duplicate_distance)
    if fetched(_RENEW, [timezone.now(), *values]):
        return
    fetched(_DROP_OLD, [user_id, _oldest()])
    create(by, user_id, template)


def create(
    by: Engine, user_id: UUID, template: Floats, session: Session | None = None
) -> RecentProbe:
    probe = RecentProbe(
        user_id=user_id,
        session=session,
        at=timezone.now(),
        embedding_version=by.template_version,
        embedding=template,
    )
    insert(probe)
    return probe


def drop_old() -> str:
    count, _ = RecentProbe.objects.filter(at__lte=_oldest()).delete()
    return f"{count} faces of used pictures are dropped."


@kept
def _used(*, version: str) -> "QuerySet[Any, Any]":
    """Whether a recently used picture of a user has practically the same face as the probe."""
    mine = RecentProbe.objects.filter(
        user=Blank("user"), session=None, embedding_version=version, at__gt=Blank("since")
    )
    like = mine.alias(distance=photo_distance(F("embedding")))
    return like.filter(distance__lte=Blank("duplicate")).values_list("pk")[:1]


def _oldest() -> datetime:
    return timezone.now() - timedelta(hours=rule("FACESVC_REPLAY_HOURS"))
