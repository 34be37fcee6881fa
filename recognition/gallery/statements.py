"""The statements of a search: PostgreSQL ranks and counts, and no vector leaves it.

The statements are prepared, and have vectors as they are stored. A `distance` is minus the cosine,
so the nearest have the lowest.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar
from uuid import UUID

import numpy as np
import psycopg
from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.core.exceptions import EmptyResultSet
from django.db import connection, models, transaction
from django.db.models import (
    Avg,
    Count,
    F,
    Func,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Value,
    Window,
)
from django.db.models.functions import RowNumber
from pgvector.django import L2Distance, MaxInnerProduct
from psycopg.adapt import Dumper
from psycopg.pq import Format

from recognition.inference.arrays import Floats
from recognition.models import Face, Listing

Listings: TypeAlias = "QuerySet[Listing]"
# A user's id, the id of the nearest face, and its distance.
Ranking: TypeAlias = "QuerySet[Any, tuple[UUID, str, float]]"
_COLUMNS = ("user_id", "template__face__face_id", "distance")
_Rows = TypeVar("_Rows", bound="QuerySet[Any, Any]")

_EMBEDDING = F("template__embedding")
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


class _Binary(Dumper):
    """The format that pgvector's halfvec_recv reads: dimensions, two bytes of 0, numbers."""

    format = Format.BINARY

    def dump(self, obj: Vector) -> bytes:
        return (len(obj.halves) // 2).to_bytes(2, "big") + b"\0\0" + obj.halves


class _Text(Dumper):
    """For statements whose parameters Django fills in."""

    def dump(self, obj: Vector) -> bytes:
        numbers = np.frombuffer(obj.halves, ">f2").tolist()
        return f"[{','.join(map(str, numbers))}]".encode()


# psycopg prefers the dumper that was registered last.
psycopg.adapters.register_dumper(Vector, _Text)
psycopg.adapters.register_dumper(Vector, _Binary)


@contextmanager
def searching() -> Iterator[None]:
    """A transaction for searches, with the settings of the planner that they need."""
    with transaction.atomic():
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
    _execute(f"SELECT {', '.join(calls)}", ())


def fetched(query: QuerySet[Any, Any]) -> list[tuple[Any, ...]]:
    """The rows of a query, by a prepared statement.

    Planning takes as long as a search among friends. So each connection plans a statement once,
    without the values; the tests look at these plans.
    """
    try:
        sql, params = query.query.sql_with_params()
    except EmptyResultSet:
        return []
    return _execute(sql, params)


def _execute(sql: str, params: Any) -> list[tuple[Any, ...]]:
    connection.ensure_connection()
    raw = connection.connection
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with _preparing(raw), wrap(psycopg.Cursor(raw)) as cursor:  # type: ignore[arg-type]
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


@contextmanager
def _preparing(raw: psycopg.Connection[Any]) -> Iterator[None]:
    """A block in which psycopg prepares statements. Outside of it psycopg would keep the last
    hundred statements of Django, with the templates in them, and would forget what it has prepared
    whenever a savepoint is rolled back."""
    raw.prepare_threshold = 0
    try:
        yield
    finally:
        raw.prepare_threshold = None


# --- ranking --------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A user who is found, with the nearest face and its cosine, or the mean of all."""

    user_id: UUID
    face_id: str
    cosine: float


def best(ranked: Ranking, count: int) -> list[Candidate]:
    rows = fetched(ranked[:count])
    return [Candidate(user_id, face_id, -distance) for user_id, face_id, distance in rows]


def distance(embedding: Any, vector: Vector) -> MaxInnerProduct:
    return MaxInnerProduct(embedding, Value(vector))


def photo_distance(embedding: Any, vector: Vector) -> L2Distance:
    """How far two pictures are from being one: see ScoreScale.duplicate_distance."""
    return L2Distance(embedding, Value(vector))


def within(compared: _Rows, least: float) -> _Rows:
    """The rows with a cosine of `least` or more, where these are few.

    Between two bounds the planner expects 0.5% of the rows, and below one bound a third. So it
    looks up what else it needs of them, and does not read whole tables. BETWEEN has the vector
    once: a plan without the values does not know that two parameters are the same.
    """
    return compared.filter(Q(distance__range=(-_MOST_SIMILAR, -least)))


def by_index(listings: Listings, vector: Vector) -> Ranking:
    """All templates, nearest first, in an order that the HNSW index has."""
    return _compared(listings, vector).order_by("distance").values_list(*_COLUMNS)


def best_of_all(listings: Listings, vector: Vector, *, least: float) -> Ranking:
    """The templates with a cosine of `least` or more, nearest first."""
    near = _compared(listings, vector).filter(Q(distance__lte=-least)).order_by(_BY_DISTANCE)
    # A join would look up the face of each template before the first rows are taken.
    face = Face.objects.filter(pk=OuterRef("template__face_id")).values("face_id")
    ranked: Ranking = near.annotate(face=models.Subquery(face)).values_list(
        "user_id", "face", "distance"
    )
    return ranked


def best_of_each_user(listings: Listings, vector: Vector, *, least: float, few: bool) -> Ranking:
    """Each user's nearest template with a cosine of `least` or more, nearest first.

    `few`: hardly any template will reach that cosine.
    """
    compared = _compared(listings, vector).order_by("distance")
    near = within(compared, least) if few else compared.filter(Q(distance__lte=-least))
    first = Window(RowNumber(), partition_by=F("user_id"), order_by=_BY_DISTANCE)
    ranked: Ranking = near.annotate(place=first).filter(place=1).values_list(*_COLUMNS)
    return ranked


def mean_of_each_user(listings: Listings, vector: Vector, *, least: float) -> Ranking:
    """The users whose templates have a cosine of `least` or more in the mean, nearest first.

    Each comes with the nearest face. The mean is of the templates in `listings`, so a face that the
    viewer may not see has no weight in it.
    """
    each = distance(_EMBEDDING, vector)
    faces = ArrayAgg("template__face__face_id", order_by=each)
    nearest = Func(faces, template="(%(expressions)s)[1]", output_field=models.CharField())
    users = listings.order_by().values("user_id").annotate(distance=Avg(each))
    near = users.filter(distance__lte=-least).order_by("distance")
    return near.annotate(nearest=nearest).values_list("user_id", "nearest", "distance")


class NearestAndMean(NamedTuple):
    """The nearest of a user's faces and its distance, what all faces have in the mean, the least
    distance of a photo, and how many faces these are.
    """

    face_id: str
    distance: float
    mean_distance: float
    photo_distance: float
    faces: int


def nearest_and_mean(
    listings: Listings, vector: Vector
) -> QuerySet[Any, tuple[str, float, float, float, int]]:
    """One user's faces, nearest first: the fields of NearestAndMean."""
    each = distance(_EMBEDDING, vector)
    near = listings.annotate(
        distance=each + 0.0,  # for the reason of _BY_DISTANCE
        mean_distance=Window(Avg(each)),
        least_photo_distance=Window(Min(photo_distance(_EMBEDDING, vector))),
        faces=Window(Count("*")),
    )
    return near.order_by("distance").values_list(
        "template__face__face_id", "distance", "mean_distance", "least_photo_distance", "faces"
    )


def most_alike(listings: Listings, vector: Vector) -> str:
    """The id of the face whose picture is most like that of a vector. There must be one."""
    by_photo = listings.order_by(photo_distance(_EMBEDDING, vector))
    return by_photo.values_list("template__face__face_id", flat=True)[0]


def _compared(listings: Listings, vector: Vector) -> QuerySet[Any, Any]:
    return listings.annotate(distance=distance(_EMBEDDING, vector))
