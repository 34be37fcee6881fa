"""The privacy-filtered search: who may be found is part of the query that ranks.

`visible_to` is the privacy rule, all of it and only here. The methods behind it narrow down where
PostgreSQL looks, never who may be found; recognition.search chooses among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import models
from django.db.models import Avg, F, Func, Q, QuerySet, Value, Window
from django.db.models.expressions import RawSQL
from django.db.models.functions import RowNumber
from pgvector import HalfVector
from pgvector.django import MaxInnerProduct

from recognition.inference.arrays import Floats
from recognition.social import Friendship, Membership

if TYPE_CHECKING:
    from recognition.models import Template  # noqa: F401  named in a string below

# Ids and distances only: the default would carry every vector into this process.
COLUMNS = ("user_id", "face__face_id", "distance")
Ranking: TypeAlias = "QuerySet[Any, tuple[UUID, str, float]]"
# A query for the ids of users.
Ids: TypeAlias = "QuerySet[Any, Any]"


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

    @property
    def has_public(self) -> bool:
        return "public" in self.groups

    def friends(self) -> Ids:
        """The viewer's friends."""
        return Friendship.objects.filter(user=self.viewer).values("friend")

    def relations(self) -> list[Ids]:
        """The users whom the viewer may find for being in a relation with them, by kind."""
        if self.viewer is None:
            return []
        related = [self.friends()] if "friends" in self.groups else []
        if names := self.groups - {"public", "friends"}:
            own = Membership.objects.filter(user=self.viewer, group__name__in=sorted(names))
            members = Membership.objects.filter(group__in=own.values("group"))
            related.append(members.values("user"))
        return related


class TemplateQuerySet(models.QuerySet["Template"]):
    """Lazy and chained: `Template.objects.comparable_with(v).visible_to(scope)`."""

    def comparable_with(self, embedding_version: str) -> TemplateQuerySet:
        """Vectors of different models have nothing to do with each other."""
        return self.filter(embedding_version=embedding_version)

    def active(self) -> TemplateQuerySet:
        return self.filter(face__suspended_at=None, user__suspended_at=None)

    def of_user(self, user_id: UUID) -> TemplateQuerySet:
        return self.active().filter(user_id=user_id)

    # --- who may be found -------------------------------------------------------------------------

    def visible_to(self, scope: Scope) -> TemplateQuerySet:
        """The templates whose people the viewer may find: the privacy rule, all of it."""
        shown = self.active().filter(face__searchable=True)
        if scope.everyone:
            return shown.exclude(face__taggable="nobody") if scope.tagging else shown
        allowed = Q(user_id=scope.viewer) if scope.viewer else Q(pk__in=[])
        if scope.has_public:
            allowed |= Q(user__privacy_level="public")
        for related in scope.relations():
            allowed |= ~Q(user__privacy_level="private") & Q(user_id__in=related)
        if scope.tagging:
            allowed &= _taggable(scope)
        return shown.filter(allowed)

    def not_known_to_all(self, scope: Scope) -> TemplateQuerySet:
        """Without those that every viewer may find with such a scope: see `counted_for_all`."""
        if not scope.has_public:
            return self
        public = Q(user__privacy_level="public")
        return self.exclude(public & Q(face__taggable="everyone") if scope.tagging else public)

    # --- where to look ----------------------------------------------------------------------------

    def of_owners(self, scope: Scope, *, public: bool) -> TemplateQuerySet:
        """Only the users that the viewer may find, by their own index.

        Those who are in a relation with the viewer, and the public ones if asked for.
        """
        from recognition.models import User  # which imports this module

        owners: list[Ids] = []
        if scope.viewer:
            viewer = User.objects.filter(pk=scope.viewer).values("pk")
            # Friends in any case: tagging, a public user's face may be for friends only.
            owners = [viewer, scope.friends(), *scope.relations()]
        if public and scope.has_public:
            owners.append(User.objects.filter(privacy_level="public").values("pk"))
        return self.filter(user_id__in=owners[0].union(*owners[1:])) if owners else self.none()

    def near_by_sketch(self, embedding_version: str, vector: str, bound: int) -> TemplateQuerySet:
        """Only those whose sketch differs in at most `bound` bits from that of a vector."""
        # The ORM knows no scalar subquery of a function. It is computed once a statement.
        # Beside an upper bound alone the planner would expect a third of the gallery; with a lower
        # one as well it expects half a percent, and looks the templates up by their key.
        probe = (
            "(SELECT binary_quantize(%s::halfvec(512) - centre)::bit(512) "
            "FROM recognition_sketchcentre WHERE embedding_version = %s)"
        )
        near = (
            f"SELECT template_id FROM recognition_templatesketch WHERE bits <~> {probe} <= %s "
            f"AND bits <~> {probe} >= 0 AND embedding_version = %s"
        )
        of_probe = [vector, embedding_version]
        return self.filter(pk__in=RawSQL(near, [*of_probe, bound, *of_probe, embedding_version]))

    # --- ranking ----------------------------------------------------------------------------------

    def by_distance(self, vector: str) -> TemplateQuerySet:
        """Nearest first, with `distance`: minus the cosine."""
        return self.annotate(distance=_distance(F("embedding"), vector)).order_by("distance")

    def best_of_each_user(self, vector: str, *, least: float) -> Ranking:
        """Each user's nearest template with a cosine of `least` or more, nearest first."""
        near = self.by_distance(vector).filter(Q(distance__lte=-least))
        # Not by the distance itself: with one user left the planner would take the HNSW index for
        # that, which stops after 40 templates of whomever.
        order = (F("distance") + 0.0).asc()
        first = Window(RowNumber(), partition_by=F("user_id"), order_by=order)
        return near.annotate(place=first).filter(place=1).values_list(*COLUMNS)

    def nearest_and_mean(self, vector: str) -> QuerySet[Any, tuple[str, float, float]]:
        """Of one user's templates the nearest first, each with the distance of their mean."""
        mean = Func(Window(Avg("embedding")), function="l2_normalize")
        near = self.annotate(
            # Not by the distance itself, see best_of_each_user.
            distance=_distance(F("embedding"), vector) + 0.0,
            mean_distance=_distance(mean, vector),
        )
        return near.order_by("distance").values_list("face__face_id", "distance", "mean_distance")

    def mean_of_each_user(self, vector: str, *, least: float) -> Ranking:
        """The users whose mean template has a cosine of `least` or more, nearest first.

        With the nearest face of each. The mean is of the templates in this query set, so nothing
        that the viewer may not see weighs in it.
        """
        mean = Func(Avg("embedding"), function="l2_normalize")
        nearest = ArrayAgg("face__face_id", order_by=_distance(F("embedding"), vector))
        users = self.order_by().values("user_id").annotate(distance=_distance(mean, vector))
        near = users.filter(distance__lte=-least).order_by("distance")
        return near.annotate(nearest=nearest).values_list("user_id", "nearest__0", "distance")


def counted_for_all(scope: Scope) -> Q:
    """The rows of GalleryCount whose templates every viewer may find with such a scope."""
    if scope.everyone:
        return Q(listed=True) & ~Q(taggable="nobody") if scope.tagging else Q(listed=True)
    if not scope.has_public:
        return Q(pk__in=[])
    public = Q(listed=True, privacy_level="public")
    return public & Q(taggable="everyone") if scope.tagging else public


def _taggable(scope: Scope) -> Q:
    allowed = Q(face__taggable="everyone")
    if scope.viewer:
        close = Q(user_id=scope.viewer) | Q(user_id__in=scope.friends())
        allowed |= Q(face__taggable="friends_only") & close
    return allowed


def _distance(of: Any, vector: str) -> MaxInnerProduct:
    return MaxInnerProduct(of, Value(vector))


def as_text(embedding: Floats) -> str:
    """A vector (512,) for a statement, in the precision that is stored."""
    return HalfVector(embedding.tolist()).to_text()
