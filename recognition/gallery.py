"""The privacy-filtered search: who may be found is part of the query that ranks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connection, models, transaction
from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber
from pgvector import HalfVector
from pgvector.django import MaxInnerProduct

from recognition.inference.arrays import Floats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recognition.models import Template  # noqa: F401  named in a string below

# Up to this many visible templates every one is compared, about 0.5 ms a thousand; beyond, the
# HNSW index finds candidates.
EXACT_LIMIT = 50_000
# Candidates that HNSW looks at. pgvector's own 40 loses every seventh true match at 100,000 faces.
_EF_SEARCH = 400


@dataclass(frozen=True)
class Scope:
    """Whom a search may show.

    `viewer` is the user on whose behalf is searched, if any; `groups` are `public`, `friends` and
    names of groups; `everyone` (for administrators) shows all that is not suspended; `tagging`
    obeys the faces' `taggable` setting as well.
    """

    viewer: UUID | None
    groups: frozenset[str] = frozenset(("public", "friends"))
    everyone: bool = False
    tagging: bool = False


@dataclass(frozen=True)
class Candidate:
    user_id: UUID
    face_id: str
    cosine: float


class TemplateQuerySet(models.QuerySet["Template"]):
    """Lazy and chained: `Template.objects.comparable_with(v).visible_to(scope)`."""

    def comparable_with(self, embedding_version: str) -> TemplateQuerySet:
        """Vectors of different models have nothing to do with each other."""
        return self.filter(embedding_version=embedding_version)

    def active(self) -> TemplateQuerySet:
        return self.filter(face__suspended_at=None, user__suspended_at=None)

    def visible_to(self, scope: Scope) -> TemplateQuerySet:
        """The templates whose people the viewer may find: the privacy rule, all of it."""
        shown = self.active().filter(face__searchable=True)
        if scope.tagging:
            shown = shown.exclude(face__taggable="nobody")
        if scope.everyone:
            return shown
        allowed = Q(user_id=scope.viewer) if scope.viewer else Q(pk__in=[])
        if "public" in scope.groups:
            allowed |= _public(scope)
        return shown.filter(allowed)

    def of_user(self, user_id: UUID) -> TemplateQuerySet:
        return self.active().filter(user_id=user_id)

    def by_distance(self, embedding: Floats) -> TemplateQuerySet:
        """Nearest first, with `distance`: minus the cosine. `embedding` (512,) of unit length."""
        distance = MaxInnerProduct("embedding", HalfVector(embedding.tolist()))
        return self.annotate(distance=distance).order_by("distance")

    def nearest(
        self, embedding: Floats, *, least: float, limit: int, visible: int
    ) -> list[Candidate]:
        """The users with a cosine of `least` or more, best face of each, best first.

        `visible` is how many templates this query set has; it decides how they are searched.
        """
        near = self.by_distance(embedding)
        if visible > EXACT_LIMIT:
            found = [candidate for candidate in _by_index(near) if candidate.cosine >= least]
            return _first_of_each_user(found, limit)
        # Not by the distance itself: with one user left the planner would take the HNSW index for
        # that, which stops after 40 templates of whomever.
        order = (F("distance") + 0.0).asc()
        first = Window(RowNumber(), partition_by=F("user_id"), order_by=order)
        best = near.filter(Q(distance__lte=-least)).annotate(place=first).filter(place=1)[:limit]
        return [_candidate(row) for row in _rows(best)]


def _public(scope: Scope) -> Q:
    allowed = Q(user__privacy_level="public")
    return allowed & Q(face__taggable="everyone") if scope.tagging else allowed


def _by_index(near: TemplateQuerySet) -> list[Candidate]:
    """The nearest templates by HNSW, in order."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Going on until enough candidates pass the filters; of this transaction only.
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        cursor.execute(f"SET LOCAL hnsw.ef_search = {_EF_SEARCH:d}")
        return [_candidate(row) for row in _rows(near[:_EF_SEARCH])]


def _rows(query: models.QuerySet[Any]) -> Iterable[tuple[UUID, str, float]]:
    # Ids and distances only: the default would carry every vector into this process.
    return query.values_list("user_id", "face__face_id", "distance")


def _candidate(row: tuple[UUID, str, float]) -> Candidate:
    user_id, face_id, distance = row
    return Candidate(user_id, face_id, -distance)


def _first_of_each_user(candidates: list[Candidate], limit: int) -> list[Candidate]:
    best: dict[UUID, Candidate] = {}
    for candidate in candidates:
        best.setdefault(candidate.user_id, candidate)
    return list(islice(best.values(), limit))
