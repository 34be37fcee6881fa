"""A gallery of made-up people, their privacy and friends, and the searches that are measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.templates import STRANGERS, Floats, Numbers, Population

Halves = npt.NDArray[np.float16]
Flags = npt.NDArray[np.bool_]

GROUP = "club"
SHARES = (1.0, 0.5, 0.1, 0.01, 0.001, 0.0001)
FRIENDS = (20, 200, 2000)
# Of the whole rule: so many are public, the viewer has friends and is in a group.
MIXED_SHARE, _MIXED_FRIENDS, _GROUP_SIZE = 0.3, 200, 200
_PUBLIC, _FRIENDS = frozenset(("public",)), frozenset(("friends",))
_EVERYTHING = _PUBLIC | _FRIENDS | {GROUP}
# People from this rank on are private, unless all the world is public.
_PRIVATE_RANK = 0.95
_FACES_A_PERSON = 1.7
_CHUNK = 20_000  # people
# Of the probes, photos of people who may be found; the rest are strangers.
_MATED = 0.75


@dataclass(frozen=True)
class Case:
    """One kind of search: who is public, and for whom is searched in which scope."""

    name: str
    share: float  # of the people who are public
    groups: frozenset[str]
    friends: int = 0  # of the viewer
    # Also measured with several clients at once.
    popular: bool = False
    # A search of an administrator, whatever the privacy of people is.
    everyone: bool = False


def cases() -> list[Case]:
    """By rising share: with a falling one, those no longer public would leave gaps to scan past.

    So everybody comes last, and is what a run that has no time left does without.
    """
    found = [Case(f"public {s:.4g}", s, _PUBLIC, popular=s in (1.0, 0.1)) for s in SHARES]
    found += [Case(f"{n} friends", MIXED_SHARE, _FRIENDS, n) for n in FRIENDS]
    found.append(Case("whole rule", MIXED_SHARE, _EVERYTHING, _MIXED_FRIENDS, popular=True))
    return sorted(found, key=lambda case: case.share)


def cases_of_growth() -> list[Case]:
    """None changes who is public: the gallery goes on growing."""
    _, some, many = FRIENDS
    return [
        Case("whole rule", MIXED_SHARE, _EVERYTHING, some),
        Case("30% public", MIXED_SHARE, _PUBLIC),
        Case(f"{some} friends", MIXED_SHARE, _FRIENDS, some),
        Case(f"{many:,} friends", MIXED_SHARE, _FRIENDS, many),
        Case("everyone", MIXED_SHARE, frozenset(), everyone=True),
    ]


def case_of_the_grown() -> Case:
    """Comes last: it makes everybody public."""
    return Case("100% public", 1.0, _PUBLIC)


@dataclass(frozen=True)
class Allowed:
    """Who may be found: everybody of a rank below `share`, and the `people`."""

    share: float
    people: Numbers
    flags: Flags  # (people of the gallery,): both of these together
    rows: Flags  # (N,): the same for each template

    @property
    def is_everybody(self) -> bool:
        return self.share >= 1


@dataclass(frozen=True)
class Gallery:
    """N templates of people 0, 1, 2 ..., of 1-3 faces each, sorted by person."""

    vectors: Halves  # (N, 512), as precise as they are stored
    people: Numbers  # (N,)
    ranks: npt.NDArray[np.float64]  # (people,) from 0 to 1, by chance
    population: Population

    @classmethod
    def draw(cls, templates: int, *, seed: int, kind: str = "arcface", **said: Any) -> Gallery:
        """`kind`, and `said` of it: see Population."""
        population = Population(kind, seed=seed, **said)
        vectors: list[Halves] = []
        people: list[Numbers] = []
        start = 0
        while (have := sum(map(len, people))) < templates:
            step = min(_CHUNK, int((templates - have) / _FACES_A_PERSON) + 10)
            drawn, whose = population.enrol(range(start, start + step))
            vectors.append(drawn.astype(np.float16))
            people.append(whose)
            start += step
        whose = np.concatenate(people)[:templates]
        count = int(whose[-1]) + 1
        ranks = np.random.default_rng((seed, 1)).permutation(count) / count
        return cls(np.concatenate(vectors)[:templates], whose, ranks, population)

    def first(self, templates: int) -> Gallery:
        """This gallery when it had so many templates."""
        people = self.people[:templates]
        ranks = self.ranks[: int(people[-1]) + 1]
        return replace(self, vectors=self.vectors[:templates], people=people, ranks=ranks)

    @property
    def size(self) -> int:
        return len(self.ranks)

    @cached_property
    def first_rows(self) -> Numbers:
        return np.flatnonzero(np.diff(self.people, prepend=-1))

    def privacy(self, share: float) -> list[str]:
        """The privacy level of everybody when so many are public."""
        hidden = np.where(self.ranks >= max(share, _PRIVATE_RANK), "private", "friends")
        levels: list[str] = np.where(self.ranks < share, "public", hidden).tolist()
        return levels

    def friends(self, count: int) -> Numbers:
        """Of the viewer who has so many; whoever has more has these as well."""
        return np.random.default_rng(2).permutation(self.size)[:count]

    def members(self) -> Numbers:
        return np.random.default_rng(3).permutation(self.size)[:_GROUP_SIZE]

    def allowed(self, case: Case) -> Allowed:
        if case.everyone:
            everybody = np.ones(self.size, np.bool_)
            return Allowed(1.0, np.empty(0, np.int64), everybody, everybody[self.people])
        share = case.share if "public" in case.groups else 0.0
        related = [self.friends(case.friends)] if "friends" in case.groups else []
        if GROUP in case.groups:
            related.append(self.members())
        people = np.unique(np.concatenate(related)) if related else np.empty(0, np.int64)
        people = people[(self.ranks[people] < case.share) | (self.ranks[people] < _PRIVATE_RANK)]
        flags = self.ranks < share
        flags[people] = True
        return Allowed(share, people, flags, flags[self.people])

    def probes(self, allowed: Allowed, count: int) -> tuple[Floats, Numbers]:
        """Photos (count, 512), and whose: people who may be found, the last ones strangers (-1)."""
        mated = round(count * _MATED)
        known = np.random.default_rng(4).permutation(np.flatnonzero(allowed.flags))
        # With few people further photos of the same.
        rounds = -(-mated // len(known))
        photos = [self.population.probes(known[:mated], photo=number) for number in range(rounds)]
        strangers = self.population.strangers(count - mated)
        probes = np.concatenate([np.concatenate(photos)[:mated], strangers])
        whose = np.concatenate([np.tile(known[:mated], rounds)[:mated], [-1] * len(strangers)])
        return probes.astype(np.float16).astype(np.float32), whose.astype(np.int64)

    def newcomers(self, count: int) -> Floats:
        """Templates (count, 512) to add."""
        return self.population.probes(range(STRANGERS // 2, STRANGERS // 2 + count))
