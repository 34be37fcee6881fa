"""The privacy-filtered search: who may be found is part of the query that ranks.

`visible_to` is the privacy rule, all of it and only here. The methods behind it narrow down where
PostgreSQL looks, never who may be found; recognition.gallery.search chooses among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar
from uuid import UUID, uuid4

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import models
from django.db.models import (
    Avg,
    Exists,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Value,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Concat, RowNumber
from pgvector.django import BitField, HammingDistance, MaxInnerProduct

from recognition.gallery.statements import Vector
from recognition.models import (
    Face,
    Friendship,
    Listing,
    Membership,
    PublicSketch,
    Sketch,
    Template,
    User,
)

_EMBEDDING = F("template__embedding")
# A literal, so that the planner knows how many are public when it plans without the values.
_PUBLIC = RawSQL("'public'", [])
# Not by the distance itself: the planner might take the HNSW index for that, which stops after 40
# templates of whomever.
_BY_DISTANCE = (F("distance") + 0.0).asc()
# Ids and distances only: the default would carry every vector into this process.
COLUMNS = ("user_id", "template__face__face_id", "distance")
Ranking: TypeAlias = "QuerySet[Any, tuple[UUID, str, float]]"
# A query for the ids of users or templates.
Ids: TypeAlias = "QuerySet[Any, Any]"
_Rows = TypeVar("_Rows", bound="QuerySet[Any, Any]")


@dataclass(frozen=True)
class Scope:
    """Whom a search may show.

    `viewer` is the user on whose behalf is searched, if any; `groups` are `public`, `friends` and
    names of groups; `everyone` (for administrators) shows all that is not suspended; `tagging`
    obeys the faces' `taggable` setting as well. A viewer who `is_alone`, for being suspended,
    searches as somebody unknown: without friends and groups, by the same statements.
    """

    viewer: UUID | None
    groups: frozenset[str] = frozenset(("public", "friends"))
    everyone: bool = False
    tagging: bool = False
    is_alone: bool = False

    @property
    def has_public(self) -> bool:
        return "public" in self.groups

    @property
    def counted(self) -> list[str]:
        """Those of `groups` that say something: without a viewer there are no friends."""
        return sorted(self.groups if self.viewer else self.groups & {"public"})

    def friends(self) -> Relation:
        return Relation(Friendship.objects.filter(user=self._related_one), "friend")

    @property
    def _related_one(self) -> UUID | None:
        """The user whose friends and groups count; of an id that nobody has there are none."""
        return uuid4() if self.is_alone else self.viewer

    def relations(self) -> list[Relation]:
        """The users whom the viewer may find for being in a relation with them, by kind."""
        if self.viewer is None:
            return []
        related = [self.friends()] if "friends" in self.groups else []
        if names := self.groups - {"public", "friends"}:
            # No index leads to this text, or the time would show whether others have such a group.
            named = Concat("group__name", Value(""))
            own = Membership.objects.filter(user=self._related_one).alias(named=named)
            groups = own.filter(named__in=sorted(names)).values("group")
            related.append(Relation(Membership.objects.filter(group__in=groups), "user"))
        return related


@dataclass(frozen=True)
class Relation:
    """Rows that each name in `column` a user whom the viewer is in a relation with."""

    rows: QuerySet[Any, Any]
    column: str

    def users(self) -> Ids:
        return self.rows.values(self.column)

    def has(self, user: OuterRef) -> Q:
        """Not IN: of EXISTS the planner knows that it may look up single users as well."""
        return Q(Exists(self.rows.filter(**{self.column: user})))


class ListingQuerySet(models.QuerySet[Listing]):
    """Lazy and chained: `all_listings().comparable_with(v).visible_to(scope)`."""

    def comparable_with(self, embedding_version: str) -> ListingQuerySet:
        """Vectors of different models have nothing to do with each other."""
        return self.filter(embedding_version=embedding_version)

    def of_user(self, user_id: UUID) -> ListingQuerySet:
        return self.filter(user_id=user_id, suspended=False)

    # --- who may be found -------------------------------------------------------------------------

    def visible_to(self, scope: Scope) -> ListingQuerySet:
        """The templates whose people the viewer may find: the privacy rule, all of it."""
        shown = self.filter(searchable=True, suspended=False)
        if scope.everyone:
            return shown.exclude(taggable="nobody") if scope.tagging else shown
        allowed = Q(user_id=scope.viewer) if scope.viewer else Q(pk__in=[])
        if scope.has_public:
            allowed |= Q(privacy_level=_PUBLIC)
        for related in scope.relations():
            allowed |= ~Q(privacy_level="private") & related.has(OuterRef("user_id"))
        if scope.tagging:
            allowed &= _taggable(scope)
        return shown.filter(allowed)

    def not_counted_for_all(self, scope: Scope) -> ListingQuerySet:
        """Of the visible ones those that GalleryCount does not have, see `counted_for_all`."""
        if not scope.has_public:
            return self
        public = Q(privacy_level=_PUBLIC)
        return self.exclude(public & Q(taggable="everyone") if scope.tagging else public)

    # --- where to look ----------------------------------------------------------------------------

    def related_to(self, scope: Scope) -> ListingQuerySet:
        """Only the users who are in a relation with the viewer, by the listings' index."""
        owners = _related(scope)
        return self.filter(user_id__in=owners[0].union(*owners[1:])) if owners else self.none()

    def of_owners(self, scope: Scope) -> ListingQuerySet:
        """Only the users that the viewer may find, by the templates' index."""
        owners = _related(scope)
        if scope.has_public:
            shown = self.model.objects.filter(searchable=True, suspended=False)
            owners.append(shown.filter(privacy_level=_PUBLIC).values("user"))
        if not owners:
            return self.none()
        return self.filter(template__user_id__in=owners[0].union(*owners[1:]))

    def near_by_sketch(self, sketch: str, bound: int) -> ListingQuerySet:
        """Only those whose sketch differs in at most `bound` bits from this one of 512."""
        return self.filter(pk__in=_near(Sketch.objects.all(), sketch, bound))

    def near_public(
        self, scope: Scope, sketch: str, bound: int, vector: Vector, *, least: float
    ) -> ListingQuerySet:
        """Of what is public only those near by their sketch, and of everybody in a relation those
        with a cosine of `least` or more."""
        near = _near(PublicSketch.objects.all(), sketch, bound)
        owners = _related(scope)
        if owners:
            # Compared here and not only by the ranking, which would first look up each by its key.
            own = Template.objects.filter(user_id__in=owners[0].union(*owners[1:]))
            compared = own.annotate(distance=_distance(F("embedding"), vector))
            near = near.union(_within(compared, least).values("pk"))
        return self.filter(pk__in=near)

    def indexed(self, version: str) -> ListingQuerySet:
        """Only those in the HNSW index of a version, which is given as a literal of SQL.

        Of a parameter a generic plan could not know that it is the index's version.
        """
        literal = RawSQL(version.replace("%", "%%"), [])
        return self.filter(template__embedding_version=literal)

    # --- ranking ----------------------------------------------------------------------------------

    def by_distance(self, vector: Vector) -> ListingQuerySet:
        """Nearest first, with `distance`: minus the cosine."""
        return self.annotate(distance=_distance(_EMBEDDING, vector)).order_by("distance")

    def best_of_all(self, vector: Vector, *, least: float) -> Ranking:
        """The templates with a cosine of `least` or more, nearest first."""
        near = self.by_distance(vector).filter(Q(distance__lte=-least)).order_by(_BY_DISTANCE)
        # Not by a join, which would look up the face of each one before the first are taken.
        face = Face.objects.filter(pk=OuterRef("template__face_id")).values("face_id")
        return near.annotate(face=models.Subquery(face)).values_list("user_id", "face", "distance")

    def best_of_each_user(self, vector: Vector, *, least: float, few: bool) -> Ranking:
        """Each user's nearest template with a cosine of `least` or more, nearest first.

        `few`: hardly any template will reach it.
        """
        near = self.by_distance(vector)
        near = _within(near, least) if few else near.filter(Q(distance__lte=-least))
        first = Window(RowNumber(), partition_by=F("user_id"), order_by=_BY_DISTANCE)
        return near.annotate(place=first).filter(place=1).values_list(*COLUMNS)

    def nearest_and_mean(self, vector: Vector) -> QuerySet[Any, tuple[str, float, float]]:
        """Of one user's templates the nearest first, each with the distance of their mean."""
        mean = Func(Window(Avg(_EMBEDDING)), function="l2_normalize")
        near = self.annotate(
            # Not the distance itself, see _BY_DISTANCE.
            distance=_distance(_EMBEDDING, vector) + 0.0,
            mean_distance=_distance(mean, vector),
        )
        return near.order_by("distance").values_list(
            "template__face__face_id", "distance", "mean_distance"
        )

    def mean_of_each_user(self, vector: Vector, *, least: float) -> Ranking:
        """The users whose mean template has a cosine of `least` or more, nearest first.

        With the nearest face of each. The mean is of the templates in this query set, so nothing
        that the viewer may not see weighs in it.
        """
        mean = Func(Avg(_EMBEDDING), function="l2_normalize")
        faces = ArrayAgg("template__face__face_id", order_by=_distance(_EMBEDDING, vector))
        nearest = Func(faces, template="(%(expressions)s)[1]", output_field=models.CharField())
        users = self.order_by().values("user_id").annotate(distance=_distance(mean, vector))
        near = users.filter(distance__lte=-least).order_by("distance")
        return near.annotate(nearest=nearest).values_list("user_id", "nearest", "distance")


def all_listings() -> ListingQuerySet:
    """All of them: where every search begins."""
    return ListingQuerySet(Listing)


def _related(scope: Scope) -> list[Ids]:
    """The viewer, and all who are in a relation that the scope or tagging asks for, by kind."""
    if scope.viewer is None:
        return []
    viewer = User.objects.filter(pk=scope.viewer).values("pk")
    relations = scope.relations()
    if scope.tagging and "friends" not in scope.groups:
        relations.append(scope.friends())  # a public user's face may be for friends only
    return [viewer, *(relation.users() for relation in relations)]


def _near(sketches: QuerySet[Any, Any], sketch: str, bound: int) -> Ids:
    differing = HammingDistance("bits", Cast(Value(sketch), BitField(length=512)))
    # Two bounds for the planner's sake, see _within.
    near: Ids = sketches.annotate(differing=differing).filter(Q(differing__range=(0, bound)))
    return near.values("pk")


def counted_for_all(scope: Scope) -> Q:
    """The rows of GalleryCount whose templates every viewer may find with such a scope."""
    if scope.everyone:
        return Q(shown=True) & ~Q(taggable="nobody") if scope.tagging else Q(shown=True)
    if not scope.has_public:
        return Q(pk__in=[])
    public = Q(shown=True, privacy_level=_PUBLIC)
    return public & Q(taggable="everyone") if scope.tagging else public


def _taggable(scope: Scope) -> Q:
    allowed = Q(taggable="everyone")
    if scope.viewer:
        close = Q(user_id=scope.viewer) | scope.friends().has(OuterRef("user_id"))
        allowed |= Q(taggable="friends_only") & close
    return allowed


def _within(compared: _Rows, least: float) -> _Rows:
    """Those with a cosine of `least` or more, where these are few.

    Between two bounds the planner expects 0.5% of the rows, not a third as below one; so it looks
    up the rest of these, and does not read whole tables for them. BETWEEN has the vector once: of
    two parameters a plan without the values does not know that they are the same.
    """
    return compared.filter(Q(distance__range=(-2, -least)))


def _distance(of: Any, vector: Vector) -> MaxInnerProduct:
    return MaxInnerProduct(of, Value(vector))
