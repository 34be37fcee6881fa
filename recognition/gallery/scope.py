"""The privacy rule: who may be found in a search, as a part of the query that ranks.

`ListingQuerySet.visible_to` is all of it, and it is only here. The plans narrow down where
PostgreSQL looks, and never who may be found; see recognition.gallery.plans.

The queries have blanks for the viewer and for names of groups, which Scope.values fills in. So they
are kept once for all viewers (recognition.prepared).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, TypeAlias
from uuid import UUID, uuid4

import numpy as np
from django.db import models
from django.db.models import Count, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from recognition.models import Friendship, GalleryCount, Listing, Membership, SketchCentre, User
from recognition.packs.engine import Engine
from recognition.packs.scores import SketchGeometry
from recognition.prepared import Blank, is_any, kept

PUBLIC = "public"
_GROUPS_OF_ALL = frozenset(("public", "friends"))
# Stand for all viewers and for all names. Nobody has them, in case a query has no blank for one.
_A_VIEWER, _A_NAME = UUID(int=0), "\0"
Ids: TypeAlias = "QuerySet[Any, Any]"  # of users or templates


@dataclass(frozen=True)
class Scope:
    """Who may be found in a search.

    `viewer` is the user on whose behalf the service searches, if any. `groups` are `public`,
    `friends` and names of groups. `everyone` (for administrators) shows all who are not suspended.
    `face_group`: only faces of this group, which have nothing to do with groups of users.
    `tagging` obeys the faces' `taggable` setting as well. A suspended viewer `is_alone`:
    the same statements then find no friends and no groups. `of_few`: see Listed.
    """

    viewer: UUID | None
    groups: frozenset[str] = _GROUPS_OF_ALL
    everyone: bool = False
    tagging: bool = False
    is_alone: bool = False
    face_group: str | None = None
    of_few: bool = False

    @cached_property
    def kind(self) -> Self:
        """The scope of another viewer with the same statements."""
        names = frozenset([_A_NAME]) if self._names else frozenset()
        viewer = None if self.viewer is None else _A_VIEWER
        groups = self.groups & _GROUPS_OF_ALL | names
        face_group = None if self.face_group is None else _A_NAME
        return replace(self, viewer=viewer, groups=groups, is_alone=False, face_group=face_group)

    @property
    def values(self) -> dict[str, Any]:
        """What fills in the blanks. A new id has no friends and no groups."""
        related_one = uuid4() if self.is_alone else self.viewer
        people = {"viewer": self.viewer, "related one": related_one, "names": sorted(self._names)}
        return people | {"face group": self.face_group}

    @cached_property
    def _names(self) -> frozenset[str]:
        return self.groups - _GROUPS_OF_ALL

    @cached_property
    def has_public(self) -> bool:
        return "public" in self.groups

    def friends(self) -> Relation:
        return self._relation(Friendship.objects.filter(user=Blank("related one")), "friend")

    def relations(self) -> list[Relation]:
        """The relations through which the viewer may find users who are not public."""
        if self.viewer is None:
            return []
        related = [self.friends()] if "friends" in self.groups else []
        if self._names:
            # No index leads to this text: the time must not show whether others have such a group.
            named = Concat("group__name", Value(""))
            own = Membership.objects.filter(user=Blank("related one")).alias(named=named)
            groups = own.filter(is_any("named", Blank("names"))).values("group")
            related.append(self._relation(Membership.objects.filter(group__in=groups), "user"))
        return related

    def _relation(self, rows: Ids, column: str) -> Relation:
        few = is_any(f"{column}_id", Blank("users"))  # or PostgreSQL reads all friends and members
        return Relation(rows.filter(few) if self.of_few else rows, column)

    def related_users(self) -> list[Ids]:
        """The viewer, and the users in each relation that the scope or tagging asks for."""
        if self.viewer is None:
            return []
        relations = self.relations()
        if self.tagging and "friends" not in self.groups:
            relations.append(self.friends())  # a public user's face may be for friends only
        viewer = User.objects.filter(pk=Blank("viewer")).values("pk")
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
    """A lazy query, as in `all_listings().comparable_with(v).visible_to(scope.kind)`."""

    def comparable_with(self, embedding_version: str) -> ListingQuerySet:
        """The listings of one version: vectors of different models cannot be compared."""
        return self.filter(embedding_version=embedding_version)

    def of_user(self) -> ListingQuerySet:
        """The listings of one user, a blank, without faces that are suspended."""
        return self.filter(user_id=Blank("user"), suspended=False)

    def visible_to(self, scope: Scope) -> ListingQuerySet:
        """The templates whose people the viewer may find: the privacy rule, all of it."""
        shown = self.filter(searchable=True, suspended=False)
        if scope.face_group is not None:
            shown = shown.filter(template__face__face_group=Blank("face group"))
        if scope.everyone:
            return shown.exclude(taggable="nobody") if scope.tagging else shown
        allowed = Q(user_id=Blank("viewer")) if scope.viewer is not None else Q(pk__in=[])
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
    if scope.viewer is not None:
        close = Q(user_id=Blank("viewer")) | scope.friends().has(OuterRef("user_id"))
        allowed |= Q(taggable="friends_only") & close
    return allowed


@dataclass(frozen=True)
class Listed:
    """Which listings a search may find, for any viewer; with `scope` None (for moderators and
    duplicates) all. One user may be left out. `of_few`: only the users in the blank `users`.
    """

    version: str
    scope: Scope | None = None
    is_without_one: bool = False
    of_few: bool = False

    def rows(self) -> ListingQuerySet:
        rows = all_listings().comparable_with(self.version)
        if self.of_few:
            rows = rows.filter(is_any("user_id", Blank("users")))
        if self.scope is not None:
            rows = rows.visible_to(replace(self.scope, of_few=self.of_few))
        return rows.exclude(user=Blank("left out")) if self.is_without_one else rows


@dataclass(frozen=True)
class Gallery:
    """What one request may search, and how many listings that is."""

    engine: Engine
    scope: Scope | None  # None: everybody, those of suspended and unsearchable faces too
    searched: int
    related: int = 0  # how many of `searched` not every viewer may find
    counted: int | None = None  # how many are stored, if that is known already
    left_out: UUID | None = None

    @classmethod
    def visible_to(cls, scope: Scope, engine: Engine) -> Gallery:
        """Faces of all groups are counted: those of one group are not counted anywhere, and to go
        through all would take longer than the search. The threshold is then rather too strict.
        """
        version = engine.template_version
        kind = replace(scope, face_group=None).kind
        counted = [] if scope.everyone else _related(scope.values, scope=kind, version=version)
        related = sum(count for (count,) in counted)  # one version has one row, or none
        if not scope.everyone and not scope.has_public:
            return cls(engine, scope, related, related)
        public, stored = _stored(counted_for_all(scope), version)
        return cls(engine, scope, public + related, related, stored)

    @classmethod
    def of_everybody(cls, engine: Engine, *, but: UUID | None = None) -> Gallery:
        """All templates, but for those of one user. A viewer may find fewer."""
        searched, stored = _stored(Q(), engine.template_version)
        return cls(engine, None, searched, counted=stored, left_out=but)

    def without(self, user_id: UUID) -> Gallery:
        """Everybody but one user, without counting once more."""
        other = replace(self, left_out=user_id)
        if "sketches" in vars(self):
            vars(other)["sketches"] = self.sketches  # a query less
        return other

    @cached_property
    def has_owners(self) -> bool:
        """Whether an index leads to a part of the users that holds all who may be found."""
        return self.scope is not None and not self.scope.everyone

    @cached_property
    def listed(self) -> Listed:
        """What may be found, for a statement that is kept."""
        version, kind = self.engine.template_version, self.scope and self.scope.kind
        return Listed(version, kind, is_without_one=self.left_out is not None)

    @cached_property
    def values(self) -> dict[str, Any]:
        """What fills in the blanks of `listed`."""
        return (self.scope.values if self.scope else {}) | {"left out": self.left_out}

    @cached_property
    def stored(self) -> int:
        """How many templates a scan reads, with those of other versions."""
        counted = self.counted
        if counted is None:
            counted = _stored(Q(), self.engine.template_version)[1]
        # The counts are not of one moment, and somebody may have changed them by hand.
        return max(counted, self.searched)

    @cached_property
    def sketches(self) -> SketchGeometry:
        """Around the stored centre: that of the pack changes with every calibration."""
        ((text,),) = _centre({"version": self.engine.template_version})
        return replace(self.engine.sketches, centre=np.array(json.loads(text), np.float32))


@kept
def _related(*, scope: Scope, version: str) -> Ids:
    visible = all_listings().comparable_with(version).visible_to(scope)
    grouped = visible.related_to(scope).order_by().values("embedding_version")
    return grouped.annotate(count=Count("*")).values_list("count")


def _stored(kinds: Q, version: str) -> tuple[int, int]:
    """How many templates there are of these kinds and this version, and how many in all."""
    rows = _counts(kinds=kinds, version=version)
    counts = sum(count for count, is_wanted in rows if is_wanted), sum(count for count, _ in rows)
    return max(counts[0], 0), max(counts[1], 0)  # whatever was done to the tables by hand


@kept
def _counts(*, kinds: Q, version: str) -> Ids:
    wanted = ExpressionWrapper(kinds & Q(embedding_version=version), models.BooleanField())
    return GalleryCount.objects.values_list("templates", wanted)


@kept
def _centre() -> Ids:
    """(512,) as JSON: the centre that the stored sketches of a version were taken around."""
    of_version = SketchCentre.objects.filter(pk=Blank("version"))
    return of_version.values_list(Cast("centre", models.TextField()))
