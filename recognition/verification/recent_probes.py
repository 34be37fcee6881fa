"""The pictures that were used for a user within a day, by the embeddings of their faces.

A copy of a picture that was compressed again, cropped or mirrored has other bytes and other pixels,
and nearly the same embedding. Two photos of one person, taken one after the other, seldom have:
docs/risk.md says how often. What is kept is protected as templates are. It has their version, so
that it is never compared with what another model or key made.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from recognition.gallery.comparing import compare_with_user
from recognition.gallery.statements import Vector, photo_distance
from recognition.inference.arrays import Floats
from recognition.models import RecentProbe, Session
from recognition.packs.engine import Engine
from recognition.verification.matching import UserComparison


def is_known(comparison: UserComparison, user_id: UUID) -> bool:
    """Whether the probe, or its mirror image, is a stored picture of the user or a recent one.

    What a call keeps to see motion does not count: a person who sits still looks the same.
    """
    probe, nearest, since = comparison.probe, comparison.nearest, _oldest()
    by, duplicate = probe.by, probe.by.scores.duplicate_distance
    if nearest and nearest.photo_distance <= duplicate:
        return True
    templates = [each for each in (probe.template, probe.mirrored) if each is not None]
    if any(_like(by, user_id, each).filter(at__gt=since).exists() for each in templates):
        return True
    # One face was asked for, or the mirror image is that of a stored picture.
    others = templates if comparison.is_of_one_face else templates[1:]
    found = (compare_with_user(by, user_id, template) for template in others)
    return any(each and each.photo_distance <= duplicate for each in found)


def keep(by: Engine, user_id: UUID, template: Floats) -> None:
    """Keep a face for a day. One that is kept already is only newer now."""
    if _like(by, user_id, template).update(at=timezone.now()):
        return
    RecentProbe.objects.filter(user=user_id, at__lte=_oldest()).delete()
    create(by, user_id, template)


def create(
    by: Engine, user_id: UUID, template: Floats, session: Session | None = None
) -> RecentProbe:
    return RecentProbe.objects.create(
        user_id=user_id,
        session=session,
        at=timezone.now(),
        embedding_version=by.template_version,
        embedding=template.tolist(),
    )


def drop_old() -> str:
    count, _ = RecentProbe.objects.filter(at__lte=_oldest()).delete()
    return f"{count} faces of used pictures are dropped."


def _like(by: Engine, user_id: UUID, template: Floats) -> "QuerySet[RecentProbe]":
    """The used pictures of a user whose faces are practically the same as a template."""
    distance = photo_distance(F("embedding"), Vector.of(template))
    mine = RecentProbe.objects.filter(
        user=user_id, session=None, embedding_version=by.template_version
    )
    return mine.alias(distance=distance).filter(distance__lte=by.scores.duplicate_distance)


def _oldest() -> datetime:
    return timezone.now() - timedelta(hours=settings.FACESVC_REPLAY_HOURS)
