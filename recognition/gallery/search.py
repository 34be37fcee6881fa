"""Searching a gallery: how many templates a viewer may find, and the fastest way to rank them.

The plans differ in where PostgreSQL looks, and so in what they cost. Two compare with all visible
templates; two miss at most the half percent that docs/decisions/0004-search-plans.md accounts for.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any, Self
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db.models import BooleanField, Count, ExpressionWrapper, Q, TextField
from django.db.models.functions import Cast

from recognition.gallery import indexes
from recognition.gallery.scope import COLUMNS, ListingQuerySet, Scope, all_listings, counted_for_all
from recognition.gallery.statements import Vector, fetched, for_graph
from recognition.inference.arrays import Floats
from recognition.models import GalleryCount, SketchCentre
from recognition.packs.engine import Engine
from recognition.packs.sketches import SketchGeometry, sketch_of


class Plan(Enum):
    OWNERS = "owners"  # all templates of the users who may be found, by the users' index
    PUBLIC = "public"  # the sketches of all who are public, then as OWNERS and as SKETCHES
    SKETCHES = "sketches"  # all sketches in sequence, then the templates of the near ones
    SCAN = "scan"  # all templates in sequence
    GRAPH = "graph"  # the HNSW index


# Milliseconds of the backend for a template, measured by benchmarks/search (100,000 faces).
_OWNED, _SKETCH, _NEAR, _SCANNED = 0.0028, 0.00009, 0.0014, 0.00048
# A search so short, with so little to gain, is not worth the question what else could be done.
_SMALL, _SMALL_GAIN = 1.0, 0.1
# Of a search by the graph in which nothing is filtered out.
_GRAPH = 50.0
# Templates that the graph is asked for, of FACESVC_HNSW_EF_SEARCH that it looks at.
_WANTED = 100
# Of the strangers less than this share reach the cosine.
_FEW = 0.05
# Strangers above the cosine, in the whole gallery, up to which the graph is good enough.
_LOOKALIKES = 1.0
# The best face of a user has at least the cosine of their mean times the length of that mean before
# it is normalised. The square of that length, as a similarity: of five faces that have 0.2 with
# each other (mated pairs have 0.55 in the median, lfw-a).
_SQUARED_MEAN = 0.36


@dataclass(frozen=True)
class Candidate:
    user_id: UUID
    face_id: str
    cosine: float


@dataclass(frozen=True)
class Gallery:
    """What one request may search: the listings, and how many there are."""

    by: Engine
    listings: ListingQuerySet
    scope: Scope | None  # None: everybody
    searched: int
    related: int = 0  # of these those that only some viewers may find
    counted: int | None = None  # all that are stored, if that is known already

    @classmethod
    def visible_to(cls, scope: Scope, by: Engine) -> Self:
        visible = all_listings().comparable_with(by.template_version).visible_to(scope)
        related = 0
        if not scope.everyone:
            related = _count(visible.related_to(scope).not_counted_for_all(scope))
            if not scope.has_public:
                return cls(by, visible, scope, related, related)
        for_all, stored = _counted(counted_for_all(scope), by.template_version)
        return cls(by, visible, scope, for_all + related, related, stored)

    @classmethod
    def of_others(cls, user_id: UUID, by: Engine) -> Self:
        """Everybody's but one user's, also what nobody may find."""
        everybody = cls.of_everybody(by)
        return replace(everybody, listings=everybody.listings.exclude(user=user_id))

    @classmethod
    def of_everybody(cls, by: Engine) -> Self:
        """All templates, also of who is suspended or not searchable: for moderators."""
        searched, stored = _counted(Q(), by.template_version)
        listings = all_listings().comparable_with(by.template_version)
        return cls(by, listings, None, searched, counted=stored)

    def of_others_than(self, user_id: UUID) -> Self:
        """`of_others` for one more user, with what is known of the gallery already."""
        listings = all_listings().comparable_with(self.by.template_version).exclude(user=user_id)
        other = replace(self, listings=listings)
        other.__dict__["centre"] = self.centre  # as the cached property keeps it
        return other

    @cached_property
    def stored(self) -> int:
        """How many templates a scan goes past: those of other versions, too."""
        counted = self.counted
        if counted is None:
            counted = _counted(Q(), self.by.template_version)[1]
        # The counts are not of one moment, and somebody may have touched them by hand.
        return max(counted, self.searched)

    @cached_property
    def centre(self) -> Floats:
        """(512,) around what the stored sketches were taken."""
        of_version = SketchCentre.objects.filter(pk=self.by.template_version)
        ((text,),) = fetched(of_version.values_list(Cast("centre", TextField())))
        return np.array(json.loads(text), np.float32)

    def nearest(
        self,
        probe: Floats,
        *,
        least: float,
        limit: int,
        by_user: bool = False,
        plan: Plan | None = None,
    ) -> list[Candidate]:
        """The users with a cosine of `least` or more to the probe (512,), best first.

        Each user counts with the best of the visible faces or, `by_user`, with their mean.
        """
        vector = Vector.of(probe)
        chosen = plan or self.plan(probe, least, by_user=by_user)
        # The graph ranks single templates, not means.
        if chosen is Plan.GRAPH and not by_user:
            found = self._by_graph(vector, least=least, limit=limit)
            if found is not None:
                return found
        if chosen is Plan.GRAPH:
            chosen = self.plan(probe, least, by_user=by_user, graph=False)
        listings = self._narrowed(chosen, probe, vector, least, by_user=by_user)
        if by_user:
            ranking = listings.mean_of_each_user(vector, least=least)
            return _candidates(fetched(ranking[:limit]))
        return self._ranked(listings, vector, least=least, limit=limit)

    def plan(
        self, probe: Floats, least: float, *, by_user: bool = False, graph: bool = True
    ) -> Plan:
        """The cheapest plan that finds who has at least this cosine; `graph`: also that one."""
        public = self.searched - self.related
        if self._is_owned and self.searched * _OWNED < _SMALL and public * _OWNED < _SMALL_GAIN:
            return Plan.OWNERS
        of_faces = self._least_of_faces(least) if by_user else least
        near = self._sketches.share_within(self._sketches.bound(probe, of_faces))
        costs = {
            Plan.SKETCHES: self.stored * (_SKETCH + near * _NEAR),
            Plan.SCAN: self.stored * _SCANNED,
        }
        if self._is_owned:
            costs[Plan.OWNERS] = self.searched * _OWNED
            costs[Plan.PUBLIC] = public * (_SKETCH + near * _NEAR) + self.related * _OWNED
        # The graph finds whom nobody else resembles; of lookalikes it loses some.
        lookalikes = self.stored * self.by.scores.fmr(least)
        if graph and not by_user and self.searched > 0 and lookalikes <= _LOOKALIKES:
            seen = settings.FACESVC_HNSW_EF_SEARCH * self.searched / self.stored
            costs[Plan.GRAPH] = _GRAPH * max(1, _WANTED / seen)
        return min(costs, key=lambda plan: costs[plan])

    @cached_property
    def _sketches(self) -> SketchGeometry:
        """Around the stored centre: that of the pack changes with every calibration."""
        return replace(self.by.sketches, centre=self.centre)

    def _least_of_faces(self, least: float) -> float:
        """What the best face of a user has at least whose mean has this cosine."""
        length = self.by.scores.cosine_of_similarity(_SQUARED_MEAN) ** 0.5
        return least * length if least > 0 else least

    @property
    def _is_owned(self) -> bool:
        """Whether it is for a part of the users that an index leads to."""
        return self.scope is not None and not self.scope.everyone

    def _narrowed(
        self, plan: Plan, probe: Floats, vector: Vector, least: float, *, by_user: bool
    ) -> ListingQuerySet:
        if plan is Plan.OWNERS and self.scope and self._is_owned:
            return self.listings.of_owners(self.scope)
        if plan not in (Plan.SKETCHES, Plan.PUBLIC):
            return self.listings
        of_faces = self._least_of_faces(least) if by_user else least
        bound = self._sketches.bound(probe, of_faces)
        sketch = sketch_of(probe, self.centre)
        if plan is Plan.PUBLIC and self.scope and self._is_owned:
            # In the mean of somebody who is compared all faces count.
            near = self.listings.near_public(
                self.scope, sketch, bound, vector, least=-1 if by_user else least
            )
        else:
            near = self.listings.near_by_sketch(sketch, bound)
        # All the listings of the users of those: the mean is of all.
        return self.listings.filter(user__in=near.values("user")) if by_user else near

    def _ranked(
        self, listings: ListingQuerySet, vector: Vector, *, least: float, limit: int
    ) -> list[Candidate]:
        few = self.by.scores.fmr(least) < _FEW
        if not few:
            # Where much of the gallery reaches the cosine, the first ones are found ten times as
            # fast as everybody is ranked; mostly they are of enough users.
            wanted = max(_WANTED, 4 * limit)
            nearest = fetched(listings.best_of_all(vector, least=least)[:wanted])
            found = _best_of_each(_candidates(nearest))
            if len(nearest) < wanted or len(found) >= limit:
                return found[:limit]
        ranking = listings.best_of_each_user(vector, least=least, few=few)
        return _candidates(fetched(ranking[:limit]))

    def _by_graph(self, vector: Vector, *, least: float, limit: int) -> list[Candidate] | None:
        """None when there may be more than the templates that were asked for."""
        listings = self.listings.indexed(indexes.quoted(self.by.template_version))
        with for_graph():
            rows = listings.by_distance(vector).values_list(*COLUMNS)
            nearest = _candidates(fetched(rows[:_WANTED]))
        best = _best_of_each(c for c in nearest if c.cosine >= least)
        is_all = len(nearest) >= self.searched
        is_complete = is_all or (len(nearest) == _WANTED and nearest[-1].cosine < least)
        return best[:limit] if is_complete or len(best) >= limit else None


def _counted(kinds: Q, version: str) -> tuple[int, int]:
    """How many templates there are of these kinds and this version, and how many in all."""
    wanted = ExpressionWrapper(kinds & Q(embedding_version=version), BooleanField())
    rows = fetched(GalleryCount.objects.values_list("templates", wanted))
    counts = sum(count for count, is_wanted in rows if is_wanted), sum(count for count, _ in rows)
    # Never below 0, whatever was done to the tables by hand.
    return max(counts[0], 0), max(counts[1], 0)


def _count(listings: ListingQuerySet) -> int:
    # Of one version: a single row, or none.
    grouped = listings.order_by().values("embedding_version").annotate(count=Count("*"))
    return sum(count for (count,) in fetched(grouped.values_list("count")))


def _candidates(rows: Iterable[tuple[Any, ...]]) -> list[Candidate]:
    return [Candidate(user_id, face_id, -distance) for user_id, face_id, distance in rows]


def _best_of_each(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first of each user."""
    best: dict[UUID, Candidate] = {}
    for candidate in candidates:
        best.setdefault(candidate.user_id, candidate)
    return list(best.values())
