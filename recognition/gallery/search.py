"""What one request may search, how many templates that are, and what it asks for."""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self
from uuid import UUID

import numpy as np
from django.db.models import BooleanField, Count, ExpressionWrapper, Q, TextField
from django.db.models.functions import Cast

from recognition.gallery.scope import ListingQuerySet, Scope, all_listings, counted_for_all
from recognition.gallery.statements import Vector, fetched
from recognition.inference.arrays import Floats
from recognition.models import GalleryCount, SketchCentre
from recognition.packs.engine import Engine
from recognition.packs.sketches import SketchGeometry, sketch_of

# The best face of a user has at least the cosine of their mean, times the length of that mean
# before it is normalised. This is the square of the length, as a similarity: that of five faces
# which have 0.2 with each other (mated pairs have 0.55 in the median, lfw-a).
_SQUARED_LENGTH_OF_MEAN = 0.36


@dataclass(frozen=True)
class Candidate:
    user_id: UUID
    face_id: str
    cosine: float


@dataclass(frozen=True)
class Gallery:
    """What one request may search: the listings, and how many there are."""

    engine: Engine
    listings: ListingQuerySet
    scope: Scope | None  # None: everybody
    searched: int
    related: int = 0  # how many of `searched` not every viewer may find
    counted: int | None = None  # how many are stored, if that is known already

    @classmethod
    def visible_to(cls, scope: Scope, engine: Engine) -> Self:
        visible = all_listings().comparable_with(engine.template_version).visible_to(scope)
        related = 0
        if not scope.everyone:
            related = _count(visible.related_to(scope).not_counted_for_all(scope))
            if not scope.has_public:
                return cls(engine, visible, scope, related, related)
        for_all, stored = _counted(counted_for_all(scope), engine.template_version)
        return cls(engine, visible, scope, for_all + related, related, stored)

    @classmethod
    def of_everybody(cls, engine: Engine) -> Self:
        """All templates, those of suspended and unsearchable faces too: for moderators."""
        searched, stored = _counted(Q(), engine.template_version)
        listings = all_listings().comparable_with(engine.template_version)
        return cls(engine, listings, None, searched, counted=stored)

    @classmethod
    def of_others(cls, user_id: UUID, engine: Engine) -> Self:
        """All templates but those of one user."""
        everybody = cls.of_everybody(engine)
        return replace(everybody, listings=everybody.listings.exclude(user=user_id))

    def of_others_than(self, user_id: UUID) -> Self:
        """`of_others` for one more user, without counting once more."""
        listings = all_listings().comparable_with(self.engine.template_version)
        other = replace(self, listings=listings.exclude(user=user_id))
        other.__dict__["centre"] = self.centre  # as the cached property keeps it
        return other

    @property
    def is_by_owner(self) -> bool:
        """Whether it has a part of the users only, to whom an index leads."""
        return self.scope is not None and not self.scope.everyone

    @property
    def public(self) -> int:
        """How many of `searched` every viewer may find."""
        return self.searched - self.related

    @cached_property
    def stored(self) -> int:
        """How many templates a scan reads, with those of other versions."""
        counted = self.counted
        if counted is None:
            counted = _counted(Q(), self.engine.template_version)[1]
        # The counts are not of one moment, and somebody may have changed them by hand.
        return max(counted, self.searched)

    @cached_property
    def centre(self) -> Floats:
        """(512,) the centre that the stored sketches were taken around."""
        of_version = SketchCentre.objects.filter(pk=self.engine.template_version)
        ((text,),) = fetched(of_version.values_list(Cast("centre", TextField())))
        return np.array(json.loads(text), np.float32)

    @cached_property
    def sketches(self) -> SketchGeometry:
        """Around the stored centre: that of the pack changes with every calibration."""
        return replace(self.engine.sketches, centre=self.centre)


@dataclass(frozen=True)
class Search:
    """Who in a gallery has a cosine of `least` or more to a probe (512,), `limit` users at most.

    The cosine is that of a user's best face or, `by_user`, of the mean of their faces.
    """

    gallery: Gallery
    probe: Floats
    least: float
    limit: int
    by_user: bool = False

    @cached_property
    def vector(self) -> Vector:
        return Vector.of(self.probe)

    @property
    def share_of_strangers(self) -> float:
        """The share of strangers' templates that reach `least`."""
        return self.gallery.engine.scores.fmr(self.least)

    @property
    def sketch(self) -> str:
        """The probe's own sketch."""
        return sketch_of(self.probe, self.gallery.centre)

    @cached_property
    def most_differing(self) -> int:
        """In how many bits the sketch of somebody who is found differs from the probe's at most."""
        return self.gallery.sketches.bound(self.probe, self._least_of_faces)

    @property
    def share_by_sketch(self) -> float:
        """The share of strangers' sketches that differ in no more bits than that."""
        return self.gallery.sketches.share_within(self.most_differing)

    @property
    def _least_of_faces(self) -> float:
        """The cosine that the best face of everybody who is found has at least."""
        if not self.by_user or self.least <= 0:
            return self.least
        scores = self.gallery.engine.scores
        return self.least * float(scores.cosine_of_similarity(_SQUARED_LENGTH_OF_MEAN) ** 0.5)


def _counted(kinds: Q, version: str) -> tuple[int, int]:
    """How many templates there are of these kinds and this version, and how many in all."""
    wanted = ExpressionWrapper(kinds & Q(embedding_version=version), BooleanField())
    rows = fetched(GalleryCount.objects.values_list("templates", wanted))
    counts = sum(count for count, is_wanted in rows if is_wanted), sum(count for count, _ in rows)
    # Never below 0, whatever was done to the tables by hand.
    return max(counts[0], 0), max(counts[1], 0)


def _count(listings: ListingQuerySet) -> int:
    # One version has one row, or none.
    grouped = listings.order_by().values("embedding_version").annotate(count=Count("*"))
    return sum(count for (count,) in fetched(grouped.values_list("count")))
