"""The privacy rule: whom a search may show, as a part of the query that ranks.

`ListingQuerySet.visible_to` is all of it, and it is only here. The plans narrow down where
PostgreSQL looks, and never who may be found; see recognition.gallery.plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Concat

from recognition.models import Friendship, Listing, Membership, User

# A literal: PostgreSQL plans without the values, and has to know how many people are public.
PUBLIC = RawSQL("'public'", [])
# A query for the ids of users or templates.
Ids: TypeAlias = "QuerySet[Any, Any]"


@dataclass(frozen=True)
class Scope:
    """Whom a search may show.

    `viewer` is the user on whose behalf the service searches, if any. `groups` are `public`,
    `friends` and names of groups. `everyone` (for administrators) shows all who are not suspended.
    `tagging` obeys the faces' `taggable` setting as well. A viewer `is_alone` who is suspended: the
    same statements then find no friends and no groups.
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
        """Those of `groups` that count: without a viewer there are no friends."""
        return sorted(self.groups if self.viewer else self.groups & {"public"})

    def friends(self) -> Relation:
        return Relation(Friendship.objects.filter(user=self._related_one), "friend")

    @property
    def _related_one(self) -> UUID | None:
        """The user whose friends and groups count; a new id has none."""
        return uuid4() if self.is_alone else self.viewer

    def relations(self) -> list[Relation]:
        """The relations through which the viewer may find users who are not public."""
        if self.viewer is None:
            return []
        related = [self.friends()] if "friends" in self.groups else []
        if names := self.groups - {"public", "friends"}:
            # No index leads to this text: the time must not show whether others have such a group.
            named = Concat("group__name", Value(""))
            own = Membership.objects.filter(user=self._related_one).alias(named=named)
            groups = own.filter(named__in=sorted(names)).values("group")
            related.append(Relation(Membership.objects.filter(group__in=groups), "user"))
        return related

    def related_users(self) -> list[Ids]:
        """The viewer, and the users in each relation that the scope or tagging asks for."""
        if self.viewer is None:
            return []
        relations = self.relations()
        if self.tagging and "friends" not in self.groups:
            relations.append(self.friends())  # a public user's face may be for friends only
        viewer = User.objects.filter(pk=self.viewer).values("pk")
        return [viewer, *(relation.users() for relation in relations)]


@dataclass(frozen=True)
class Relation:
    """Rows that each name, in `column`, a user to whom the viewer is related."""

    rows: QuerySet[Any, Any]
    column: str

    def users(self) -> Ids:
        return self.rows.values(self.column)

    def has(self, user: OuterRef) -> Q:
        """By EXISTS and not by IN: the planner may then look up single users as well."""
        return Q(Exists(self.rows.filter(**{self.column: user})))


class ListingQuerySet(models.QuerySet[Listing]):
    """Lazy and chained: `all_listings().comparable_with(v).visible_to(scope)`."""

    def comparable_with(self, embedding_version: str) -> ListingQuerySet:
        """The listings of one version: vectors of different models cannot be compared."""
        return self.filter(embedding_version=embedding_version)

    def of_user(self, user_id: UUID) -> ListingQuerySet:
        """The listings of one user, without faces that are suspended."""
        return self.filter(user_id=user_id, suspended=False)

    def visible_to(self, scope: Scope) -> ListingQuerySet:
        """The templates whose people the viewer may find: the privacy rule, all of it."""
        shown = self.filter(searchable=True, suspended=False)
        if scope.everyone:
            return shown.exclude(taggable="nobody") if scope.tagging else shown
        allowed = Q(user_id=scope.viewer) if scope.viewer else Q(pk__in=[])
        if scope.has_public:
            allowed |= Q(privacy_level=PUBLIC)
        for related in scope.relations():
            allowed |= ~Q(privacy_level="private") & related.has(OuterRef("user_id"))
        if scope.tagging:
            allowed &= _taggable(scope)
        return shown.filter(allowed)

    def not_counted_for_all(self, scope: Scope) -> ListingQuerySet:
        """Without the listings that GalleryCount has counted, see `counted_for_all`."""
        if not scope.has_public:
            return self
        public = Q(privacy_level=PUBLIC)
        return self.exclude(public & Q(taggable="everyone") if scope.tagging else public)

    def related_to(self, scope: Scope) -> ListingQuerySet:
        """Only the users who are related to the viewer, by the listings' index."""
        owners = scope.related_users()
        return self.filter(user_id__in=owners[0].union(*owners[1:])) if owners else self.none()


def all_listings() -> ListingQuerySet:
    """All listings: every search begins here, and not with a manager of the model."""
    return ListingQuerySet(Listing)


def counted_for_all(scope: Scope) -> Q:
    """The rows of GalleryCount whose templates every viewer may find with such a scope."""
    if scope.everyone:
        return Q(shown=True) & ~Q(taggable="nobody") if scope.tagging else Q(shown=True)
    if not scope.has_public:
        return Q(pk__in=[])
    public = Q(shown=True, privacy_level=PUBLIC)
    return public & Q(taggable="everyone") if scope.tagging else public


def _taggable(scope: Scope) -> Q:
    allowed = Q(taggable="everyone")
    if scope.viewer:
        close = Q(user_id=scope.viewer) | scope.friends().has(OuterRef("user_id"))
        allowed |= Q(taggable="friends_only") & close
    return allowed
