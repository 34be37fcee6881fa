"""A search for the faces of a picture: on a replica and then on the primary, or there alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from recognition.gallery import finding
from recognition.gallery.finding import Found
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking, judging
from recognition.gallery.replicas.fitness import Moment, Reason
from recognition.gallery.replicas.judging import SPARE
from recognition.gallery.scope import Gallery, Scope
from recognition.gallery.statements import searching
from recognition.packs.engine import Engine
from recognition.packs.scores import Threshold


class Answered(NamedTuple):
    """Who was found for each probe, best first, among how many faces, and with which threshold."""

    found: list[list[Found]]
    searched: int
    threshold: Threshold


@dataclass(frozen=True)
class PictureSearch:
    """Who the probes are. `limit` is the most people for each."""

    active: Engine
    probes: Sequence[SearchProbe]
    scope: Scope
    min_confidence: float
    max_false_positive_rate: float | None
    limit: int
    by_user: bool

    def answered(self, since: Moment | None) -> Answered:
        """What is found of all that was committed before `since`, which is in the past."""
        answered = self._on_replica(since)
        asking.count(on_replica=answered is not None)
        return answered or self._on_primary()

    def _on_primary(self) -> Answered:
        with searching():
            return self._ranked(self._gallery(), self.limit)

    def _on_replica(self, since: Moment | None) -> Answered | None:
        """None if the primary has to do all of it."""
        replica = asking.look(self.active, since)
        if replica is None:
            return None
        gallery = None
        if not replica.has_all:  # it would count people who are hidden by now
            with searching():
                gallery = self._gallery()
        ranked = asking.tried(lambda: self._ranked(gallery or self._gallery(), self.limit + SPARE))
        if ranked is None:
            return None
        shown = self._shown(ranked, has_all=replica.has_all)
        for proposed, found in zip(ranked.found, shown, strict=True):
            if len(proposed) == self.limit + SPARE and len(found) < self.limit:
                asking.give_up(Reason.GAP)
                return None
        return ranked._replace(found=[found[: self.limit] for found in shown])

    def _shown(self, ranked: Answered, *, has_all: bool) -> list[list[Found]]:
        """Those of the proposed people who may be shown. What a replica `has_all` of is ranked
        rightly, so the primary looks at the spare ones only if one of the others is not as it was.
        """
        if has_all:
            first = [proposed[: self.limit] for proposed in ranked.found]
            shown = self._judged(ranked, first)
            pairs = zip(ranked.found, shown, strict=True)
            if all(self._are_first(proposed, found) for proposed, found in pairs):
                return shown
        return self._judged(ranked, ranked.found)

    def _are_first(self, proposed: list[Found], shown: list[Found]) -> bool:
        """Whether no spare one comes before the last who is shown."""
        if len(proposed) <= self.limit:
            return True
        return len(shown) == self.limit and shown[-1].cosine >= proposed[self.limit].cosine

    def _judged(self, ranked: Answered, proposed: Sequence[Sequence[Found]]) -> list[list[Found]]:
        gallery = Gallery(self.active, self.scope, ranked.searched)
        cut = ranked.threshold
        return judging.judged(gallery, self.probes, proposed, cut, by_user=self.by_user)

    def _gallery(self) -> Gallery:
        return Gallery.visible_to(self.scope, self.active)

    def _ranked(self, gallery: Gallery, limit: int) -> Answered:
        threshold = self.active.scores.cut(
            self.min_confidence, self.max_false_positive_rate, gallery.searched
        )
        found = [
            finding.find(gallery, probe, threshold, limit=limit, by_user=self.by_user)
            for probe in self.probes
        ]
        return Answered(found, gallery.searched, threshold)
