"""The privacy rule: who may be found in a search, as a part of the query that ranks.

`ListingQuerySet.visible_to` is all of it, and it is only here. The plans narrow down where
PostgreSQL looks, and never who may be found; see recognition.gallery.plans.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import numpy as np
from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Concat

from recognition.gallery import counting
from recognition.gallery.statements import fetched
from recognition.inference.arrays import Floats
from recognition.models import Friendship, Listing, Membership, SketchCentre, User
from recognition.packs.engine import Engine
from recognition.packs.scores import SketchGeometry

# A literal: PostgreSQL plans without the values, and has to know how many people are public.
PUBLIC = RawSQL("'public'", [])
# A query for the ids of users or templates.
Ids: TypeAlias = "QuerySet[Any, Any]"


@dataclass(frozen=True)
class Scope:
    """Who may be found in a search.

    `viewer` is the user on whose behalf the service searches, if any. `groups` are `public`,
    `friends` and names of groups. `everyone` (for administrators) shows all who are not suspended.
    `tagging` obeys the faces' `taggable` setting as well. A suspended viewer `is_alone`:
    the same statements then find no friends and no groups.
    """

    viewer: UUID | None
    groups: frozenset[str] = frozenset(("public", "friends"))
    everyone: bool = False
    tagging: bool = False
    is_alone: bool = False

    @cached_property
    def has_public(self) -> bool:
        return "public" in self.groups

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
    """Rows that each name, in `column`, a user who is related to the viewer."""

    rows: QuerySet[Any, Any]
    column: str

    def users(self) -> Ids:
        return self.rows.values(self.column)

    def has(self, user: OuterRef) -> Q:
        """By EXISTS and not by IN: the planner may then look up single users as well."""
        return Q(Exists(self.rows.filter(**{self.column: user})))


class ListingQuerySet(models.QuerySet[Listing]):
    """A lazy query, as in `all_listings().comparable_with(v).visible_to(scope)`."""

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

    def related_to(self, scope: Scope) -> ListingQuerySet:
        """Only the users who are related to the viewer, without what `counted_for_all` counts."""
        owners = scope.related_users()
        if not owners:
            return self.none()
        related = self.filter(user_id__in=owners[0].union(*owners[1:]))  # by the listings' index
        if not scope.has_public:
            return related
        public = Q(privacy_level=PUBLIC)
        return related.exclude(public & Q(taggable="everyone") if scope.tagging else public)


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


@dataclass(frozen=True)
class Gallery:
    """What one request may search: the listings, and how many there are."""

    engine: Engine
    listings: ListingQuerySet
    scope: Scope | None  # None: no index leads to a part of the users that holds all of them
    searched: int
    related: int = 0  # how many of `searched` not every viewer may find
    counted: int | None = None  # how many are stored, if that is known already

    @classmethod
    def visible_to(cls, scope: Scope, engine: Engine) -> Gallery:
        version, for_all = engine.template_version, counted_for_all(scope)
        visible = all_listings().comparable_with(version).visible_to(scope)
        if scope.everyone:
            searched, stored = counting.stored(for_all, version)
            return cls(engine, visible, None, searched, counted=stored)
        related = counting.count(visible.related_to(scope))
        if not scope.has_public:
            return cls(engine, visible, scope, related, related)
        public, stored = counting.stored(for_all, version)
        return cls(engine, visible, scope, public + related, related, stored)

    @classmethod
    def of_everybody(cls, engine: Engine, *, but: UUID | None = None) -> Gallery:
        """All templates, those of suspended and unsearchable faces too, but for those of one user.

        For moderators, and to find duplicates: a viewer may find fewer.
        """
        listings = all_listings().comparable_with(engine.template_version)
        searched, stored = counting.stored(Q(), engine.template_version)
        return cls(engine, listings, None, searched, counted=stored).without(but)

    def without(self, user_id: UUID | None) -> Gallery:
        """Everybody but one user, without counting once more."""
        listings = all_listings().comparable_with(self.engine.template_version)
        other = replace(self, listings=listings.exclude(user=user_id) if user_id else listings)
        if "sketches" in vars(self):
            vars(other)["sketches"] = self.sketches  # a query less
        return other

    @cached_property
    def stored(self) -> int:
        """How many templates a scan reads, with those of other versions."""
        counted = self.counted
        if counted is None:
            counted = counting.stored(Q(), self.engine.template_version)[1]
        # The counts are not of one moment, and somebody may have changed them by hand.
        return max(counted, self.searched)

    @cached_property
    def sketches(self) -> SketchGeometry:
        """Around the stored centre: that of the pack changes with every calibration."""
        return replace(self.engine.sketches, centre=_centre_of(self.engine.template_version))


def _centre_of(version: str) -> Floats:
    """(512,) the centre that the stored sketches of a version were taken around."""
    of_version = SketchCentre.objects.filter(pk=version)
    ((text,),) = fetched(of_version.values_list(Cast("centre", TextField())))
    return np.array(json.loads(text), np.float32)
