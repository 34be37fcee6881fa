"""Five ways to search a gallery, each with its cost: a search takes the cheapest.

They differ in where PostgreSQL looks. OWNERS and SCAN compare the probe with all visible templates;
docs/decisions/0004-search-plans.md says what the others may miss, half a percent at most.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Cast
from pgvector.django import BitField, HammingDistance

from recognition.gallery import indexes, statements
from recognition.gallery.scope import PUBLIC as IS_PUBLIC
from recognition.gallery.scope import Gallery, Ids, Listed, ListingQuerySet
from recognition.gallery.statements import Candidate, Listings, Ranking, Vector
from recognition.inference.arrays import Floats
from recognition.models import Listing, PublicSketch, Sketch, Template
from recognition.packs.scores import sketch_of
from recognition.prepared import Blank, kept

# Milliseconds of the database for one template, by benchmarks/search at 100,000 faces: to find it
# by its user and compare it; to compare its sketch; to look it up because its sketch is near; to
# compare it in a scan of all.
_MS_BY_USER, _MS_SKETCH, _MS_NEAR_SKETCH, _MS_SCANNED = 0.0028, 0.00009, 0.0014, 0.00048
# Milliseconds of a search by the HNSW index that may find every template.
_MS_GRAPH = 50.0
# Below this many milliseconds for all, and for those who are public, OWNERS is taken at once, and
# SCAN below so many: to estimate the other plans would take longer than they can save.
_MS_SMALL, _MS_SMALL_PUBLIC, _MS_SMALL_SCAN = 1.0, 0.1, 0.2
# Templates that a first look asks for.
_FIRST_LOOK = 100
# With a smaller share of strangers at the cosine, hardly any template reaches it.
_SMALL_SHARE = 0.05
# Strangers in the whole gallery who may reach the cosine, for the HNSW index to find enough.
_MOST_LOOKALIKES = 1.0
_Ranker: TypeAlias = Callable[[Listings], Ranking]


@dataclass(frozen=True)
class Search:
    """Who in a gallery has a cosine of `least` or more to a probe (512,), `limit` users at most.

    The cosine is that of a user's best face or, `by_user`, the mean of the cosines of their faces.
    """

    gallery: Gallery
    probe: Floats
    least: float
    limit: int
    by_user: bool = False

    @cached_property
    def values(self) -> dict[str, Any]:
        """What fills in the blanks of every plan's statements."""
        near = {"probe": Vector.of(self.probe), "farthest": -self.least}
        return self.gallery.values | near

    @cached_property
    def share_of_strangers(self) -> float:
        """The share of strangers' templates that reach `least`."""
        return self.gallery.engine.scores.fmr(self.least)

    @cached_property
    def most_differing(self) -> int:
        """In how many bits the sketch of somebody who is found differs from the probe's at most.

        Some face of everybody who is found has the cosine, `by_user` as well.
        """
        return self.gallery.sketches.bound(self.probe, self.least)


class Plan(ABC):
    """A way to answer a search."""

    def __init__(self, name: str) -> None:
        self.name = name

    def is_possible(self, search: Search) -> bool:
        return True

    @abstractmethod
    def cost(self, search: Search) -> float:
        """Milliseconds of the database; infinite if the plan would miss too much."""

    @abstractmethod
    def narrowed(self, listed: Listed, *, by_user: bool) -> ListingQuerySet:
        """The listings, or a part of them that has everybody who is to be found."""

    def values(self, search: Search) -> dict[str, Any]:
        """What fills in the blanks of the statement."""
        return search.values

    def find(self, search: Search) -> list[Candidate]:
        if search.by_user:
            return self.best(search, statements.mean_of_each_user, search.limit)
        if search.share_of_strangers < _SMALL_SHARE:
            return self.best(search, statements.best_of_few_users, search.limit)
        # Where much of the gallery reaches the cosine, the nearest templates are found ten times
        # as fast as everybody is ranked; mostly they are of enough users.
        wanted = max(_FIRST_LOOK, 4 * search.limit)
        nearest = self.best(search, statements.best_of_all, wanted)
        users = _best_of_each_user(nearest)
        if len(nearest) < wanted or len(users) >= search.limit:
            return users[: search.limit]
        return self.best(search, statements.best_of_each_user, search.limit)

    def best(self, search: Search, ranking: _Ranker, limit: int) -> list[Candidate]:
        """The first `limit` of a ranking of what this plan narrows down to."""
        where: Any = {"plan": self, "listed": search.gallery.listed, "by_user": search.by_user}
        rows = _ranked(self.values(search), **where, ranking=ranking, limit=limit)
        return [Candidate(user_id, face_id, -distance) for user_id, face_id, distance in rows]


@kept
def _ranked(*, plan: Plan, listed: Listed, by_user: bool, ranking: _Ranker, limit: int) -> Ranking:
    return ranking(plan.narrowed(listed, by_user=by_user))[:limit]


class _Scan(Plan):
    """All templates in sequence."""

    def cost(self, search: Search) -> float:
        return search.gallery.stored * _MS_SCANNED

    def narrowed(self, listed: Listed, *, by_user: bool) -> ListingQuerySet:
        return listed.rows()


class _BySketch(Plan):
    """A plan that compares sketches before templates."""

    def values(self, search: Search) -> dict[str, Any]:
        sketch = sketch_of(search.probe, search.gallery.sketches.centre)
        return search.values | {"sketch": sketch, "most differing": search.most_differing}


class _Sketches(_BySketch):
    """All sketches in sequence, then the templates of those that are near."""

    def cost(self, search: Search) -> float:
        return search.gallery.stored * _ms_by_sketch(search)

    def narrowed(self, listed: Listed, *, by_user: bool) -> ListingQuerySet:
        return _among(_near(Sketch.objects.all()), listed, by_user=by_user)


class _Owners(Plan):
    """All templates of the users who may be found, by the index on users."""

    def is_possible(self, search: Search) -> bool:
        return search.gallery.has_owners

    def cost(self, search: Search) -> float:
        return search.gallery.searched * _MS_BY_USER

    def narrowed(self, listed: Listed, *, by_user: bool) -> ListingQuerySet:
        assert listed.scope  # as is_possible says
        owners = listed.scope.related_users()
        if listed.scope.has_public:
            shown = Listing.objects.filter(searchable=True, suspended=False)
            owners.append(shown.filter(privacy_level=IS_PUBLIC).values("user"))
        if not owners:
            return listed.rows().none()
        return listed.rows().filter(template__user_id__in=_all_of(owners))


class _Public(_BySketch):
    """SKETCHES for public users, and OWNERS for the others who may be found."""

    def is_possible(self, search: Search) -> bool:
        return search.gallery.has_owners

    def cost(self, search: Search) -> float:
        gallery = search.gallery
        public = gallery.searched - gallery.related
        return public * _ms_by_sketch(search) + gallery.related * _MS_BY_USER

    def narrowed(self, listed: Listed, *, by_user: bool) -> ListingQuerySet:
        assert listed.scope  # as is_possible says
        near = _near(PublicSketch.objects.all())
        if owners := listed.scope.related_users():
            # Compared here: the ranking would first look up each by its key.
            own = Template.objects.filter(user_id__in=_all_of(owners))
            own = own.annotate(distance=statements.distance(F("embedding")))
            # All faces of somebody count in their mean.
            near_own = statements.within(own, 1) if by_user else statements.within(own)
            near = near.union(near_own.values("pk"))
        return _among(near, listed, by_user=by_user)


class _Graph(Plan):
    """The HNSW index, until it has given enough templates that may be found."""

    def is_possible(self, search: Search) -> bool:
        # The index ranks single templates and no means. Without it PostgreSQL would sort all.
        return not search.by_user and indexes.is_valid(search.gallery.engine.template_version)

    def cost(self, search: Search) -> float:
        gallery = search.gallery
        # The index finds people who resemble nobody else, and loses some of many lookalikes.
        if gallery.stored * search.share_of_strangers > _MOST_LOOKALIKES or not gallery.searched:
            return math.inf
        seen = settings.FACESVC_HNSW_EF_SEARCH * gallery.searched / gallery.stored
        return _MS_GRAPH * max(1, _FIRST_LOOK / seen)

    def narrowed(self, listed: Listed, *, by_user: bool) -> ListingQuerySet:
        # In the statement the version is a constant, by which PostgreSQL knows the index.
        return listed.rows().filter(template__embedding_version=listed.version)

    def find(self, search: Search) -> list[Candidate]:
        """Takes another plan if the index may have more templates than it was asked for."""
        with statements.for_graph():
            nearest = self.best(search, statements.by_index, _FIRST_LOOK)
        best = _best_of_each_user(found for found in nearest if found.cosine >= search.least)
        is_all = len(nearest) >= search.gallery.searched
        is_past = len(nearest) == _FIRST_LOOK and nearest[-1].cosine < search.least
        if is_all or is_past or len(best) >= search.limit:
            return best[: search.limit]
        return cheapest(search, [plan for plan in PLANS if plan is not self]).find(search)


OWNERS, PUBLIC = _Owners("owners"), _Public("public")
SKETCHES, SCAN, GRAPH = _Sketches("sketches"), _Scan("scan"), _Graph("graph")
# The first of those with the same cost is taken.
PLANS: tuple[Plan, ...] = (SKETCHES, SCAN, OWNERS, PUBLIC, GRAPH)


def nearest(
    gallery: Gallery,
    probe: Floats,
    *,
    least: float,
    limit: int,
    by_user: bool = False,
    plan: Plan | None = None,
) -> list[Candidate]:
    """The users with a cosine of `least` or more to the probe (512,), best first.

    Each user counts with the best of the visible faces or, `by_user`, with their mean. A `plan`
    that is possible is taken at any cost: for tests and benchmarks.
    """
    search = Search(gallery, probe, least, limit, by_user)
    chosen = plan if plan and plan.is_possible(search) else cheapest(search)
    return chosen.find(search)


def cheapest(search: Search, plans: Sequence[Plan] = PLANS) -> Plan:
    """The possible plan with the least cost."""
    gallery = search.gallery
    public = gallery.searched - gallery.related
    is_small = gallery.searched * _MS_BY_USER < _MS_SMALL
    if is_small and public * _MS_BY_USER < _MS_SMALL_PUBLIC and gallery.has_owners:
        return OWNERS
    if not gallery.has_owners and gallery.stored * _MS_SCANNED < _MS_SMALL_SCAN:
        return SCAN
    by_cost = sorted(plans, key=lambda plan: plan.cost(search))
    # Only where it is the cheapest, GRAPH asks the database for its index.
    return next(plan for plan in by_cost if plan.is_possible(search))


def _ms_by_sketch(search: Search) -> float:
    """Milliseconds for a template that is found by its sketch, on the average of all sketches."""
    share = search.gallery.sketches.share_within(search.most_differing)
    return _MS_SKETCH + share * _MS_NEAR_SKETCH


def _near(sketches: QuerySet[Any, Any]) -> Ids:
    """The ids of the templates whose sketch is near enough to the probe's."""
    own = Cast(Blank("sketch"), BitField(length=512))
    differing = sketches.annotate(differing=HammingDistance("bits", own))
    # Two bounds for the planner, see statements.within.
    near: Ids = differing.filter(Q(differing__range=(0, Blank("most differing"))))
    return near.values("pk")


def _among(templates: Ids, listed: Listed, *, by_user: bool) -> ListingQuerySet:
    """The listings of these templates or, `by_user`, all listings of their users."""
    near = listed.rows().filter(pk__in=templates)
    return listed.rows().filter(user__in=near.values("user")) if by_user else near


def _all_of(users: Sequence[Ids]) -> Ids:
    return users[0].union(*users[1:])


def _best_of_each_user(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first of each user."""
    best: dict[UUID, Candidate] = {}
    for candidate in candidates:
        best.setdefault(candidate.user_id, candidate)
    return list(best.values())
