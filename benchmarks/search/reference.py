"""The right answers, by comparing every probe with every template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.search.people import Allowed, Gallery
from benchmarks.templates import Floats, Numbers

# Names of what is measured; the first is what a request gets that asks for nothing else.
CUTS = ("default", "no FPR cut", "standard", "nearest 10")
_CHUNK = 20_000  # templates
_PROBES = 100
_NOBODY = -2.0


@dataclass(frozen=True)
class Cut:
    """What is shown: up to `limit` people with at least this cosine."""

    name: str
    cosine: float
    limit: int = 10


@dataclass(frozen=True)
class Answers:
    """For each of P probes the best people who may be found: more of them than any cut shows."""

    people: Numbers  # (P, K), best first
    cosines: Floats  # (P, K); below -1 where there are no more people

    def shown(self, probe: int, cut: Cut) -> list[int]:
        people = self.people[probe, : cut.limit]
        good = self.cosines[probe, : cut.limit] >= max(cut.cosine, -1)
        return [int(person) for person in people[good]]


def answer(gallery: Gallery, allowed: Allowed, probes: Floats, *, keep: int = 10) -> Answers:
    best = best_of_each_person(gallery, probes)
    best[:, ~allowed.flags] = _NOBODY
    keep = min(keep, gallery.size)
    top = np.argpartition(-best, keep - 1, axis=1)[:, :keep]
    order = np.argsort(-np.take_along_axis(best, top, 1), axis=1)
    people = np.take_along_axis(top, order, 1)
    return Answers(people, np.take_along_axis(best, people, 1))


def best_of_each_person(gallery: Gallery, probes: Floats) -> Floats:
    """(P, people): the cosine of each person's nearest template."""
    best = np.empty((len(probes), gallery.size), np.float32)
    starts = gallery.first_rows
    for first in range(0, gallery.size, _CHUNK):
        last = min(first + _CHUNK, gallery.size)
        end = starts[last] if last < gallery.size else len(gallery.people)
        cosines = probes @ gallery.vectors[starts[first] : end].astype(np.float32).T
        np.maximum.reduceat(
            cosines, starts[first:last] - starts[first], axis=1, out=best[:, first:last]
        )
    return best


def share_that_matches(gallery: Gallery, cut: Cut, strangers: int) -> float:
    """The share of so many people who are not in the gallery to whom somebody is shown."""
    probes = gallery.population.strangers(strangers).astype(np.float16).astype(np.float32)
    matches = [
        best_of_each_person(gallery, probes[first : first + _PROBES]).max(1) >= cut.cosine
        for first in range(0, strangers, _PROBES)
    ]
    return float(np.mean(np.concatenate(matches)))


@dataclass(frozen=True)
class Recall:
    """Of what should be found, how much was; None where there was nothing to find."""

    mates: float | None  # the probe's own person
    shown: float | None  # everybody who should be shown


def recall(right: Answers, found: list[list[int]], whose: Numbers, cut: Cut) -> Recall:
    """`found` are the people that a system showed for each probe, at this cut."""
    mates, shown = [], []
    for probe, people in enumerate(found):
        expected = right.shown(probe, cut)
        shown += [person in people for person in expected]
        mates += [whose[probe] in people] if whose[probe] in expected else []
    return Recall(_share(mates), _share(shown))


def _share(hits: list[bool]) -> float | None:
    return float(np.mean(hits)) if hits else None
