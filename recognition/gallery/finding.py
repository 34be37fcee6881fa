"""Who a probe finds: the plans rank people by cosines, and here the number of their faces counts.

A stranger is more often like one of five faces than like one. So the cosine that a person needs
depends on how many of their faces were compared; see ScoreScale.worth_of_nearest and worth_of_mean.
With several photos as the probe it depends on their number, too; see SearchProbe.worth.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, QuerySet

from recognition.gallery import plans
from recognition.gallery.probe import SearchProbe
from recognition.gallery.scope import Gallery, Listed
from recognition.gallery.statements import Candidate
from recognition.models import SketchCentre
from recognition.packs.scores import ScoreScale, Threshold
from recognition.prepared import Blank, kept

# The most people that a first search for means asks for.
_MOST_AT_FIRST = 1_000
# The fewest that a search asks for; all numbers are this one, doubled some times.
_FEWEST = 20


class Found(NamedTuple):
    """A user with the nearest face. `cosine` is what that of the face, or the mean, is worth with
    a single face and a single photo; `faces` is how many were compared.
    """

    user_id: UUID
    face_id: str
    cosine: float
    faces: int


def find(
    gallery: Gallery, probe: SearchProbe, threshold: Threshold, *, limit: int, by_user: bool = False
) -> list[Found]:
    """The users in the gallery who reach the threshold, best first, `limit` at most.

    The probe is compared with each user's best face or, `by_user`, with the mean of all.
    """
    scores = gallery.engine.scores
    least, wanted = threshold.cosine, 2 * limit
    if by_user:
        most = _most_faces(gallery)
        least = scores.least_mean(threshold, most)
        # So many strangers may reach a mean that would be enough only with more faces.
        strangers = round(scores.fmr(least) * gallery.searched)
        wanted += min(_MOST_AT_FIRST, strangers)
    wanted = rounded_up(wanted)
    while True:
        nearest = _nearest(gallery, probe, least=least, limit=wanted, by_user=by_user)
        found = _worth(gallery, nearest, threshold, by_user=by_user)[:limit]
        if len(nearest) < wanted:
            return found
        # What the next one could be worth at most: with one face or, in the mean, with the most.
        next_one = nearest[-1].cosine
        if by_user:
            next_one = max(next_one, scores.worth_of_mean(next_one, most))
        if len(found) == limit and found[-1].cosine >= next_one:
            return found
        wanted *= 4


def _nearest(
    gallery: Gallery, probe: SearchProbe, *, least: float, limit: int, by_user: bool
) -> list[Candidate]:
    """As plans.nearest, with cosines that are worth as much as those of a single photo."""
    scores = gallery.engine.scores
    least = probe.cosine_worth(scores, least)
    nearest = plans.nearest(gallery, probe.template, least=least, limit=limit, by_user=by_user)
    return [one._replace(cosine=probe.worth(scores, one.cosine)) for one in nearest]


def _most_faces(gallery: Gallery) -> int:
    """As many faces as anybody in the gallery has, or more."""
    return max(
        (faces for (faces,) in _most({"version": gallery.engine.template_version})), default=1
    )


@kept
def _most() -> QuerySet[Any, Any]:
    return SketchCentre.objects.filter(pk=Blank("version")).values_list("most_faces")


def rounded_up(wanted: int) -> int:
    """Each number makes a statement of its own, which every connection would keep with its plan. A
    caller who asks for 1, 2, 3 and so on must not fill the memory of the database.
    """
    return _FEWEST << (math.ceil(wanted / _FEWEST) - 1).bit_length()


def _worth(
    gallery: Gallery, nearest: list[Candidate], threshold: Threshold, *, by_user: bool
) -> list[Found]:
    """Those who reach the threshold with as many faces as they have, best first."""
    if not nearest:
        return []
    users = {"users": [one.user_id for one in nearest]}
    faces = dict(
        _faces_of_each(gallery.values | users, listed=replace(gallery.listed, of_few=True))
    )
    return those_who_reach(gallery.engine.scores, nearest, faces, threshold, by_user=by_user)


def those_who_reach(
    scores: ScoreScale,
    nearest: Sequence[Candidate],
    faces: Mapping[UUID, int],
    threshold: Threshold,
    *,
    by_user: bool,
) -> list[Found]:
    """Those who reach the threshold, best first. `faces` is how many faces each has."""
    worth = scores.worth_of_mean if by_user else scores.worth_of_nearest
    found = [
        Found(one.user_id, one.face_id, worth(one.cosine, faces[one.user_id]), faces[one.user_id])
        for one in nearest
        if one.user_id in faces  # nobody deleted them in between
    ]
    found.sort(key=lambda one: -one.cosine)
    return [one for one in found if one.cosine >= scores.needed(threshold, one.faces)]


@kept
def _faces_of_each(*, listed: Listed) -> QuerySet[Any, Any]:
    """How many of the listings each user has. A user without any is left out."""
    counted = listed.rows().order_by().values("user_id").annotate(count=Count("*"))
    return counted.values_list("user_id", "count")
