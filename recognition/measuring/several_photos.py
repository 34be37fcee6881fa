"""False matches with people who have several photos: with the best of these, or with their mean.

Every photo is compared with sets of other people's photos. A person's photos stand in a circle,
and a set has some that follow one another.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import PhotosMeasured, SeveralPhotos
from recognition.measuring.pairs import ERRORS_NEEDED, Numbers, Rate, design_effect, rate, round_up
from recognition.packs.scores import ScoreScale

MatchOn = Literal["face", "user"]
# Photos of a person in a set that a calibration measures, and that are reported.
_MEASURED, REPORTED = (3, 5), (1, 3, 5)
# Sets of one person.
_MOST_SETS = 6
# People with so many photos, for a calibration.
_PEOPLE_NEEDED = 50
# FMRs at which a calibration measures: the first with enough false matches. The mean of some photos
# reaches an FMR where a single one has not much more than this.
_FMRS, _COMMON = (1e-4, 1e-3), 0.03


@dataclass(frozen=True)
class _Person:
    """A person's sets of photos, compared with all N photos; `people` (N,) are those on them."""

    number: int
    people: Numbers
    members: Numbers  # (S, photos) of each set
    cosines: Floats  # (N, S, photos)

    def of_strangers(self) -> Floats:
        cosines: Floats = self.cosines[self.people != self.number]
        return cosines

    def of_own(self) -> Floats:
        """(M, photos) the cosines of other photos of the person."""
        own = np.flatnonzero(self.people == self.number)
        is_other = ~(own[:, None, None] == self.members[None]).any(axis=2)
        cosines: Floats = self.cosines[own][is_other]
        return cosines


def _people(embeddings: Floats, people: Numbers, photos: int) -> Iterator[_Person]:
    """Those who have at least so many photos; all photos have a face."""
    order = np.argsort(people, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(people[order])) + 1):
        if len(own) >= photos:
            starts = np.arange(min(len(own), _MOST_SETS))
            members = own[(starts[:, None] + np.arange(photos)) % len(own)]
            cosines = (embeddings @ embeddings[members.ravel()].T).reshape(-1, *members.shape)
            yield _Person(int(people[own[0]]), people, members, cosines)


# --- what a calibration needs ---------------------------------------------------------------------


def measure(embeddings: Floats, people: Numbers, scores: ScoreScale) -> SeveralPhotos | None:
    """What several photos change, or None if too few people have so many."""
    for fmr in _FMRS:
        found = [_at(embeddings, people, scores, fmr, photos) for photos in _MEASURED]
        known = [each for each in found if each is not None]
        if known:
            rows = [row for row, _ in known]
            chances = sum(math.log(row.nearest) for row in rows)
            exponent = chances / sum(math.log(row.photos) for row in rows)
            correlation = float(np.mean([correlation for _, correlation in known]))
            exponent, correlation = (
                min(1.0, round_up(value, 3)) for value in (exponent, correlation)
            )
            return SeveralPhotos(fmr, exponent, correlation, tuple(rows))
    return None


def _at(
    embeddings: Floats, people: Numbers, scores: ScoreScale, fmr: float, photos: int
) -> tuple[PhotosMeasured, float] | None:
    """The rates, and the correlation that follows. None with too few people or false matches."""
    cut, common = scores.cosine_of_fmr(fmr), scores.cosine_of_fmr(_COMMON)
    single, nearest, sets, tail, count = 0.0, 0, 0, [], 0
    for person in _people(embeddings, people, photos):
        cosines = person.of_strangers()
        matches, means = cosines >= cut, cosines.mean(axis=2)
        single += float(matches.mean(axis=2).sum())
        nearest += int(matches.any(axis=2).sum())
        sets += means.size
        tail.append(means[means >= common])
        count += 1
    # Every photo is in several sets.
    if count < _PEOPLE_NEEDED or single < ERRORS_NEEDED:
        return None
    falling = np.sort(np.concatenate(tail))[::-1]
    mean = int(np.searchsorted(-falling, -cut, side="right"))
    rates = (round(nearest / single, 3), round(mean / single, 3))
    # At this mean there are as many false matches as at the cut with single photos.
    equal, centre = float(falling[min(round(single), len(falling)) - 1]), scores.stranger_mean
    variance = ((equal - centre) / (cut - centre)) ** 2
    correlation = (variance * photos - 1) / (photos - 1)
    return PhotosMeasured(photos, count, *rates), max(0.0, correlation)


# --- what is reported -----------------------------------------------------------------------------


@dataclass(frozen=True)
class PersonRates:
    """Error rates of comparisons with people who have so many photos, at the cut for as many."""

    photos: int
    match_on: MatchOn
    level: str
    people: int
    fmr: Rate
    fnmr: Rate


class _Tally:
    """Errors and trials of each person; one with a stranger counts with either of the two."""

    def __init__(self, people: int) -> None:
        self.matches, self.strangers, self.misses, self.own = np.zeros((4, people), np.int64)

    def add(self, person: _Person, match_on: MatchOn, cut: float) -> None:
        strangers, own = (
            cosines.max(axis=-1) if match_on == "face" else cosines.mean(axis=-1)
            for cosines in (person.of_strangers(), person.of_own())
        )
        reached = (strangers >= np.float32(cut)).sum(axis=1)
        others = person.people[person.people != person.number]
        np.add.at(self.matches, others, reached)
        np.add.at(self.strangers, others, strangers.shape[1])
        self.matches[person.number] += reached.sum()
        self.strangers[person.number] += strangers.size
        self.misses[person.number] += int((own < np.float32(cut)).sum())
        self.own[person.number] += len(own)

    def fmr(self, effect: float) -> tuple[Rate, float]:
        """The rate and its design effect: the given one, where errors are too few to tell."""
        errors = int(self.matches.sum()) // 2
        if errors >= ERRORS_NEEDED:
            effect = design_effect(self.matches, self.strangers, people_in_trial=2)
        return rate(errors, int(self.strangers.sum()) // 2, design_effect=effect), effect

    def fnmr(self) -> Rate:
        effect = design_effect(self.misses, self.own, people_in_trial=1)
        return rate(int(self.misses.sum()), int(self.own.sum()), design_effect=effect)


def person_rates(
    embeddings: Floats, people: Numbers, scores: ScoreScale, levels: Mapping[str, float]
) -> list[PersonRates]:
    """For the best and the mean of REPORTED photos; all photos have a face.

    `levels` have the cosine that a single photo needs, rising. A number of photos that nobody has
    is left out.
    """
    people = np.unique(people, return_inverse=True)[1]
    found = []
    for photos in REPORTED:
        ways: Sequence[MatchOn] = ("face", "user") if photos > 1 else ("face",)
        cuts = {
            (way, level): (scores.nearest_worth if way == "face" else scores.mean_worth)(at, photos)
            for way in ways
            for level, at in levels.items()
        }
        tallies = {key: _Tally(int(people.max()) + 1) for key in cuts}
        count = 0
        for person in _people(embeddings, people, photos):
            count += 1
            for (way, level), cut in cuts.items():
                tallies[way, level].add(person, way, cut)
        effect = 1.0
        for (way, level), tally in tallies.items():
            fmr, effect = tally.fmr(effect)
            if count:
                found.append(PersonRates(photos, way, level, count, fmr, tally.fnmr()))
    return found
