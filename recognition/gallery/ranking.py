"""Ranking listings by their distance to a probe: PostgreSQL does it, and no vector leaves it.

A `distance` is minus the cosine, so the nearest have the lowest.
"""

from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import models
from django.db.models import Avg, F, Func, OuterRef, Q, QuerySet, Value, Window
from django.db.models.functions import RowNumber
from pgvector.django import MaxInnerProduct

from recognition.gallery.scope import ListingQuerySet
from recognition.gallery.statements import Vector
from recognition.models import Face

# A user's id, the id of the nearest face, and its distance.
Ranking: TypeAlias = "QuerySet[Any, tuple[UUID, str, float]]"
_COLUMNS = ("user_id", "template__face__face_id", "distance")
_Rows = TypeVar("_Rows", bound="QuerySet[Any, Any]")

_EMBEDDING = F("template__embedding")
# The distance alone would let the planner take the HNSW index, which stops after 40 templates,
# whether the viewer may find them or not.
_BY_DISTANCE = (F("distance") + 0.0).asc()


def distance(embedding: Any, vector: Vector) -> MaxInnerProduct:
    return MaxInnerProduct(embedding, Value(vector))


def within(compared: _Rows, least: float) -> _Rows:
    """The rows with a cosine of `least` or more, where these are few.

    Between two bounds the planner expects 0.5% of the rows, and below one bound a third. So it
    looks up what else it needs of them, and does not read whole tables. BETWEEN has the vector
    once: a plan without the values does not know that two parameters are the same.
    """
    return compared.filter(Q(distance__range=(-2, -least)))


def by_index(listings: ListingQuerySet, vector: Vector) -> Ranking:
    """All templates, nearest first, in an order that the HNSW index has."""
    return _compared(listings, vector).order_by("distance").values_list(*_COLUMNS)


def best_of_all(listings: ListingQuerySet, vector: Vector, *, least: float) -> Ranking:
    """The templates with a cosine of `least` or more, nearest first."""
    near = _compared(listings, vector).filter(Q(distance__lte=-least)).order_by(_BY_DISTANCE)
    # A join would look up the face of each template before the first rows are taken.
    face = Face.objects.filter(pk=OuterRef("template__face_id")).values("face_id")
    ranked: Ranking = near.annotate(face=models.Subquery(face)).values_list(
        "user_id", "face", "distance"
    )
    return ranked


def best_of_each_user(
    listings: ListingQuerySet, vector: Vector, *, least: float, few: bool
) -> Ranking:
    """Each user's nearest template with a cosine of `least` or more, nearest first.

    `few`: hardly any template will reach that cosine.
    """
    compared = _compared(listings, vector).order_by("distance")
    near = within(compared, least) if few else compared.filter(Q(distance__lte=-least))
    first = Window(RowNumber(), partition_by=F("user_id"), order_by=_BY_DISTANCE)
    ranked: Ranking = near.annotate(place=first).filter(place=1).values_list(*_COLUMNS)
    return ranked


def mean_of_each_user(listings: ListingQuerySet, vector: Vector, *, least: float) -> Ranking:
    """The users whose mean template has a cosine of `least` or more, nearest first.

    Each comes with the nearest face. The mean is of the templates in `listings`, so a face that the
    viewer may not see has no weight in it.
    """
    mean = Func(Avg(_EMBEDDING), function="l2_normalize")
    faces = ArrayAgg("template__face__face_id", order_by=distance(_EMBEDDING, vector))
    nearest = Func(faces, template="(%(expressions)s)[1]", output_field=models.CharField())
    users = listings.order_by().values("user_id").annotate(distance=distance(mean, vector))
    near = users.filter(distance__lte=-least).order_by("distance")
    return near.annotate(nearest=nearest).values_list("user_id", "nearest", "distance")


def nearest_and_mean(
    listings: ListingQuerySet, vector: Vector
) -> QuerySet[Any, tuple[str, float, float]]:
    """One user's faces, nearest first: the id, its distance, and that of the user's mean."""
    mean = Func(Window(Avg(_EMBEDDING)), function="l2_normalize")
    near = listings.annotate(
        # Plus 0 for the reason of _BY_DISTANCE.
        distance=distance(_EMBEDDING, vector) + 0.0,
        mean_distance=distance(mean, vector),
    )
    return near.order_by("distance").values_list(
        "template__face__face_id", "distance", "mean_distance"
    )


def _compared(listings: ListingQuerySet, vector: Vector) -> QuerySet[Any, Any]:
    return listings.annotate(distance=distance(_EMBEDDING, vector))
