"""Searching a gallery: how many templates a viewer may find, and the fastest way to rank them.

Every plan gives the answer of a comparison with all visible templates. They differ in where
PostgreSQL looks, and so in what they cost; docs/decisions/0004-search-plans.md has the figures.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Self
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from recognition.engine import Engine
from recognition.gallery import (
    COLUMNS,
    Ranking,
    Scope,
    TemplateQuerySet,
    as_text,
    counted_for_all,
)
from recognition.inference.arrays import Floats
from recognition.models import GalleryCount, Template


class Plan(Enum):
    OWNERS = "owners"  # all templates of the users who may be found, by the users' index
    SKETCHES = "sketches"  # all sketches in sequence, then the templates of the near ones
    SCAN = "scan"  # all templates in sequence
    GRAPH = "graph"  # the HNSW index


# Milliseconds of the backend for a template, measured by benchmarks/search (100,000 faces).
_OWNED, _SKETCH, _NEAR, _SCANNED = 0.0012, 0.00007, 0.0015, 0.00055
# Of a search by the graph in which nothing is filtered out.
_GRAPH = 50.0
# Templates that the graph is asked for, of as many that it looks at.
_WANTED, _EF_SEARCH = 100, 400
# Strangers above the cosine, in the whole gallery, up to which the graph is good enough.
_LOOKALIKES = 1.0
# The best face of a user has at least about this share of the similarity of the mean: the mean of
# n unit vectors with the cosine 0.55 (mated pairs) has a length of 0.75 or more before it is
# normalised.
_FACE_OF_MEAN = 0.75
# For the planner, in a search's transaction. The tables are joined by looking up keys: it would
# read whole tables instead, since it cannot know how few templates are near enough. And it would
# compile a statement that is over before it is compiled.
_PLANNER = {"enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}
_GRAPH_SEARCH = {
    **_PLANNER,
    "enable_sort": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    # Going on until enough templates pass the filters.
    "hnsw.iterative_scan": "strict_order",
    "hnsw.ef_search": str(_EF_SEARCH),
}


@dataclass(frozen=True)
class Candidate:
    user_id: UUID
    face_id: str
    cosine: float


@dataclass(frozen=True)
class Gallery:
    """What one request may search: `searched` templates, of `stored` that there are."""

    by: Engine
    templates: TemplateQuerySet
    scope: Scope | None  # None: everybody
    searched: int
    stored: int

    @classmethod
    def visible_to(cls, scope: Scope, by: Engine) -> Self:
        templates = Template.objects.comparable_with(by.template_version).visible_to(scope)
        searched, stored = _counts(by.template_version, counted_for_all(scope))
        if not scope.everyone:
            with _configured(_PLANNER):
                related = templates.of_owners(scope, public=False).not_known_to_all(scope)
                searched += related.count()
        return cls(by, templates, scope, searched, stored)

    @classmethod
    def of_others(cls, user_id: UUID, by: Engine) -> Self:
        """Everybody's but one user's, also what nobody may find."""
        templates = Template.objects.comparable_with(by.template_version)
        searched, stored = _counts(by.template_version, Q())
        return cls(by, templates.exclude(user=user_id), None, searched, stored)

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
        bound = self._bound(probe, least, by_user=by_user)
        if plan is None:
            plan = self.plan(bound, least, graph=not by_user)
        vector = as_text(probe)
        if plan is Plan.GRAPH:
            found = self._by_graph(vector, least=least, limit=limit)
            if found is not None:
                return found
            plan = self.plan(bound, least, graph=False)
        templates = self._narrowed(plan, vector, bound, by_user=by_user)
        rank = templates.mean_of_each_user if by_user else templates.best_of_each_user
        with _configured(_PLANNER):
            return _candidates(rank(vector, least=least)[:limit])

    def plan(self, bound: int, least: float, *, graph: bool) -> Plan:
        """The cheapest plan that finds who has at least this cosine; `graph`: also that one."""
        near = self.by.sketches.share_within(bound)
        costs = {
            Plan.SKETCHES: self.stored * (_SKETCH + near * _NEAR),
            Plan.SCAN: self.stored * _SCANNED,
        }
        if self.scope and not self.scope.everyone:
            costs[Plan.OWNERS] = self.searched * _OWNED
        # The graph finds whom nobody else resembles; of lookalikes it loses some.
        if graph and self.searched and self.stored * self.by.scores.fmr(least) <= _LOOKALIKES:
            costs[Plan.GRAPH] = _GRAPH * max(1, _WANTED / _EF_SEARCH * self.stored / self.searched)
        return min(costs, key=lambda plan: costs[plan])

    def _bound(self, probe: Floats, least: float, *, by_user: bool) -> int:
        scores = self.by.scores
        if by_user:
            least = scores.cosine_of_similarity(_FACE_OF_MEAN * scores.similarity(least))
        return self.by.sketches.bound(probe, least)

    def _narrowed(self, plan: Plan, vector: str, bound: int, *, by_user: bool) -> TemplateQuerySet:
        if plan is Plan.OWNERS and self.scope:
            return self.templates.of_owners(self.scope, public=True)
        if plan is not Plan.SKETCHES:
            return self.templates
        near = self.templates.near_by_sketch(self.by.template_version, vector, bound)
        # All the templates of the users of those: the mean is of all.
        return self.templates.filter(user__in=near.values("user")) if by_user else near

    def _by_graph(self, vector: str, *, least: float, limit: int) -> list[Candidate] | None:
        """None when there may be more than the templates that were asked for."""
        with _configured(_GRAPH_SEARCH):
            rows = self.templates.by_distance(vector).values_list(*COLUMNS)[:_WANTED]
            nearest = _candidates(rows)
        best: dict[UUID, Candidate] = {}
        for candidate in nearest:
            if candidate.cosine >= least:
                best.setdefault(candidate.user_id, candidate)
        is_complete = len(nearest) == _WANTED and nearest[-1].cosine < least
        return list(best.values())[:limit] if is_complete or len(best) >= limit else None


def _counts(version: str, wanted: Q) -> tuple[int, int]:
    """How many templates there are: of the kinds wanted, and all that are stored."""
    rows = GalleryCount.objects.aggregate(
        wanted=Coalesce(Sum("templates", filter=wanted & Q(embedding_version=version)), 0),
        # Of all versions: a scan goes past the others, too.
        stored=Coalesce(Sum("templates"), 0),
    )
    return rows["wanted"], rows["stored"]


@contextmanager
def _configured(parameters: Mapping[str, str]) -> Iterator[None]:
    """A transaction with these settings of the server, and only that."""
    calls = ", ".join(["set_config(%s, %s, true)"] * len(parameters))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {calls}", list(chain.from_iterable(parameters.items())))
        yield


def _candidates(rows: Ranking) -> list[Candidate]:
    return [Candidate(user_id, face_id, -distance) for user_id, face_id, distance in rows]
