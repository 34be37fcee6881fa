"""The statements of a search: PostgreSQL ranks and counts, and no vector leaves it.

They are kept, see recognition.prepared, with two blanks: `probe`, a Vector, and `farthest`, the
greatest distance that counts. A `distance` is minus the cosine, so the nearest have the lowest.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar
from uuid import UUID

import psycopg
from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.db import models, transaction
from django.db.models import (
    Avg,
    Count,
    F,
    Func,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Window,
)
from django.db.models.functions import RowNumber
from pgvector.django import L2Distance, MaxInnerProduct
from psycopg.adapt import Dumper
from psycopg.pq import Format

from recognition.inference.arrays import Floats
from recognition.models import Face, Listing
from recognition.prepared import Blank, fetched

Listings: TypeAlias = "QuerySet[Listing]"
# A user's id, the id of the nearest face, and its distance.
Ranking: TypeAlias = "QuerySet[Any, tuple[UUID, str, float]]"
_COLUMNS = ("user_id", "template__face__face_id", "distance")
_Rows = TypeVar("_Rows", bound="QuerySet[Any, Any]")

_EMBEDDING = F("template__embedding")
_PROBE, _FARTHEST = Blank("probe"), Blank("farthest")
# The distance alone would let the planner take the HNSW index, which stops after 40 templates,
# whether the viewer may find them or not.
_BY_DISTANCE = (F("distance") + 0.0).asc()
# Settings of the planner for a search: it is over before it could be compiled, and the other
# processors have requests of their own.
_PLANNER = {
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_generic_plan",
}
# No two templates have a higher cosine. With a cohort the last number of one is 4.5 at most, for a
# picture that is like nobody (recognition.inference.pack.cohort).
_MOST_SIMILAR = 22
# Without them the planner would read a small table and sort it.
_FOR_GRAPH = dict.fromkeys(("enable_sort", "enable_seqscan", "enable_bitmapscan"), "off")


@dataclass(frozen=True)
class Vector:
    """A vector as a parameter of a statement, in the precision that is stored.

    PostgreSQL needs 0.06 ms to read 512 numbers as text, which is several times a whole search.
    """

    halves: bytes  # big-endian

    @classmethod
    def of(cls, embedding: Floats) -> Self:
        """The vector of an embedding (N,)."""
        return cls(embedding.astype(">f2").tobytes())


class _VectorDumper(Dumper):
    """The format that pgvector's halfvec_recv reads: dimensions, two bytes of 0, numbers."""

    format = Format.BINARY

    def dump(self, obj: Vector) -> bytes:
        return (len(obj.halves) // 2).to_bytes(2, "big") + b"\0\0" + obj.halves


psycopg.adapters.register_dumper(Vector, _VectorDumper)


@contextmanager
def searching(*, savepoint: bool = True) -> Iterator[None]:
    """A transaction for searches, with the settings of the planner that they need. Within another
    one a savepoint lets that go on after an error.
    """
    with transaction.atomic(savepoint=savepoint):
        _configure(_PLANNER)
        yield


@contextmanager
def for_graph() -> Iterator[None]:
    """A block in which the planner has to take the HNSW index."""
    # The scan goes on until enough templates pass the filters, or hnsw.max_scan_tuples are seen.
    scan = {"hnsw.iterative_scan": "strict_order"}
    scan["hnsw.ef_search"] = str(settings.FACESVC_HNSW_EF_SEARCH)
    with transaction.atomic():
        _configure(_FOR_GRAPH | scan)
        yield
        transaction.set_rollback(True)


def _configure(parameters: Mapping[str, str]) -> None:
    """Set parameters until the transaction ends. The names and values are our own."""
    calls = (f"set_config('{name}', '{value}', true)" for name, value in parameters.items())
    fetched(f"SELECT {', '.join(calls)}")


# --- ranking --------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A user who is found, with the nearest face and its cosine, or the mean of all."""

    user_id: UUID
    face_id: str
    cosine: float


def distance(embedding: Any) -> MaxInnerProduct:
    return MaxInnerProduct(embedding, _PROBE)


def photo_distance(embedding: Any) -> L2Distance:
    """How far two pictures are from being one: see ScoreScale.duplicate_distance."""
    return L2Distance(embedding, _PROBE)


def within(compared: _Rows, farthest: Any = _FARTHEST) -> _Rows:
    """The rows that are near enough, where these are few.

    Between two bounds the planner expects 0.5% of the rows, and below one bound a third. So it
    looks up what else it needs of them, and does not read whole tables. BETWEEN has the vector
    once: a plan without the values does not know that two parameters are the same.
    """
    return compared.filter(Q(distance__range=(-_MOST_SIMILAR, farthest)))


def by_index(listings: Listings) -> Ranking:
    """All templates, nearest first, in an order that the HNSW index has."""
    return _compared(listings).order_by("distance").values_list(*_COLUMNS)


def best_of_all(listings: Listings) -> Ranking:
    """The templates that are near enough, nearest first."""
    near = _compared(listings).filter(Q(distance__lte=_FARTHEST)).order_by(_BY_DISTANCE)
    # A join would look up the face of each template before the first rows are taken.
    face = Face.objects.filter(pk=OuterRef("template__face_id")).values("face_id")
    ranked: Ranking = near.annotate(face=models.Subquery(face)).values_list(
        "user_id", "face", "distance"
    )
    return ranked


def best_of_each_user(listings: Listings) -> Ranking:
    """Each user's nearest template that is near enough, nearest first."""
    return _first_of_each_user(near(listings, are_few=False))


def best_of_few_users(listings: Listings) -> Ranking:
    """The same, where hardly any template is near enough."""
    return _first_of_each_user(near(listings, are_few=True))


def _first_of_each_user(near: QuerySet[Any, Any]) -> Ranking:
    first = Window(RowNumber(), partition_by=F("user_id"), order_by=_BY_DISTANCE)
    placed = near.order_by("distance").annotate(place=first)
    ranked: Ranking = placed.filter(place=1).values_list(*_COLUMNS)
    return ranked


def mean_of_each_user(listings: Listings) -> Ranking:
    """The users whose templates are near enough in the mean, nearest first.

    Each comes with the nearest face. The mean is of the templates in `listings`, so a face that the
    viewer may not see has no weight in it.
    """
    each = distance(_EMBEDDING)
    users = listings.order_by().values("user_id").annotate(distance=Avg(each))
    near = users.filter(distance__lte=_FARTHEST).order_by("distance")
    return near.annotate(nearest=_nearest(each)).values_list("user_id", "nearest", "distance")


def both_of_each_user(listings: Listings) -> QuerySet[Any, tuple[UUID, str, float, float, int]]:
    """Each user with the nearest face and its distance, what all have in the mean, and how many
    these are."""
    each = distance(_EMBEDDING)
    users = (
        listings.order_by()
        .values("user_id")
        .annotate(
            nearest=_nearest(each), distance=Min(each), mean_distance=Avg(each), faces=Count("*")
        )
    )
    return users.values_list("user_id", "nearest", "distance", "mean_distance", "faces")


def _nearest(each: MaxInnerProduct) -> Func:
    """The face of the least distance, of those of a user."""
    faces = ArrayAgg("template__face__face_id", order_by=each)
    return Func(faces, template="(%(expressions)s)[1]", output_field=models.CharField())


class NearestAndMean(NamedTuple):
    """The nearest of a user's faces and its distance, what all faces have in the mean, the least
    distance of a photo, and how many faces these are.
    """

    face_id: str
    distance: float
    mean_distance: float
    photo_distance: float
    faces: int


def nearest_and_mean(listings: Listings) -> QuerySet[Any, tuple[str, float, float, float, int]]:
    """The nearest of one user's faces: the fields of NearestAndMean."""
    each = distance(_EMBEDDING)
    near = listings.annotate(
        distance=each + 0.0,  # for the reason of _BY_DISTANCE
        mean_distance=Window(Avg(each)),
        least_photo_distance=Window(Min(photo_distance(_EMBEDDING))),
        faces=Window(Count("*")),
    )
    return near.order_by("distance").values_list(
        "template__face__face_id", "distance", "mean_distance", "least_photo_distance", "faces"
    )[:1]


def most_alike(listings: Listings) -> QuerySet[Any, tuple[str]]:
    """The id of the face whose picture is most like that of the probe."""
    by_photo = listings.order_by(photo_distance(_EMBEDDING))
    return by_photo.values_list("template__face__face_id")[:1]


def near(listings: Listings, *, are_few: bool) -> QuerySet[Any, Any]:
    """The listings of the templates that are near enough."""
    compared = _compared(listings)
    return within(compared) if are_few else compared.filter(Q(distance__lte=_FARTHEST))


def _compared(listings: Listings) -> QuerySet[Any, Any]:
    return listings.annotate(distance=distance(_EMBEDDING))
