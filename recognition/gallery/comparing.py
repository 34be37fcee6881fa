"""A probe compared with the templates of one user."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from recognition.gallery import ranking
from recognition.gallery.scope import ListingQuerySet, all_listings
from recognition.gallery.statements import Vector
from recognition.inference.arrays import Floats
from recognition.inference.pipeline import DetectedFace
from recognition.packs.engine import Engine
from recognition.processes.capacity import stage

# What a probe is compared with: every face of a user, or the mean of them.
MATCH_ON = ("face", "user")


@dataclass(frozen=True)
class Compared:
    """A probe against the nearest face of a user, and against the mean of the user's faces."""

    face_id: str
    face_cosine: float
    mean_cosine: float


@stage("search")
def compare_with_user(
    active: Engine, user_id: UUID, template: Floats, face_id: str | None = None
) -> Compared | None:
    """Compare a probe's template with one user's faces, or only one; None if there are none."""
    listings = all_listings().comparable_with(active.template_version).of_user(user_id)
    if face_id is not None:
        listings = listings.filter(template__face__face_id=face_id)
    return _nearest(listings, template)


@stage("search")
def compare_with_all_of_user(
    active: Engine, user_id: UUID, probe: DetectedFace, *, without: Collection[str] = ()
) -> Compared | None:
    """Compare with suspended faces as well: to see whether a new face resembles any other."""
    listings = all_listings().comparable_with(active.template_version).filter(user_id=user_id)
    listings = listings.exclude(template__face__face_id__in=without)
    return _nearest(listings, active.template(probe))


def _nearest(listings: ListingQuerySet, template: Floats) -> Compared | None:
    nearest = ranking.nearest_and_mean(listings, Vector.of(template)).first()
    if nearest is None:
        return None
    face, distance, mean_distance = nearest
    return Compared(face, face_cosine=-distance, mean_cosine=-mean_distance)
