"""One search of a gallery, and what every plan does with it: recognition.gallery.plans has them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias
from uuid import UUID

from recognition.gallery import statements
from recognition.gallery.scope import Gallery, Listed, ListingQuerySet
from recognition.gallery.statements import Candidate, Listings, Ranking, Vector
from recognition.inference.arrays import Floats
from recognition.prepared import kept

# Templates that a first look asks for.
FIRST_LOOK = 100
# With a smaller share of strangers at the cosine, hardly any template reaches it.
_SMALL_SHARE = 0.05
_Ranker: TypeAlias = Callable[[Listings], Ranking]


@dataclass(frozen=True)
class Search:
    """Who in a gallery has a cosine of `least` or more to a probe (512,), `limit` users at most.

    The cosine is that of a user's best face or, `by_user`, the mean of the cosines of their faces.
    """

    gallery: Gallery
    probe: Floats
    least: float
    limit: int
    by_user: bool = False

    @cached_property
    def values(self) -> dict[str, Any]:
        """What fills in the blanks of every plan's statements."""
        near = {"probe": Vector.of(self.probe), "farthest": -self.least}
        return self.gallery.values | near

    @cached_property
    def share_of_strangers(self) -> float:
        """The share of strangers' templates that reach `least`."""
        return self.gallery.engine.scores.fmr(self.least)

    @cached_property
    def most_differing(self) -> int:
        """In how many bits the sketch of somebody who is found differs from the probe's at most.

        Some face of everybody who is found has the cosine, `by_user` as well.
        """
        return self.gallery.sketches.bound(self.probe, self.least)


class Plan(ABC):
    """A way to answer a search."""

    def __init__(self, name: str) -> None:
        self.name = name

    def is_possible(self, search: Search) -> bool:
        return True

    @abstractmethod
    def cost(self, search: Search) -> float:
        """Milliseconds of the database; infinite if the plan would miss too much."""

    @abstractmethod
    def narrowed(self, listed: Listed) -> ListingQuerySet:
        """The listings, or a part of them that has every face with the cosine."""

    def values(self, search: Search) -> dict[str, Any]:
        """What fills in the blanks of the statement."""
        return search.values

    def find(self, search: Search) -> list[Candidate]:
        are_few = search.share_of_strangers < _SMALL_SHARE
        if search.by_user:
            where: Any = {"plan": self, "listed": search.gallery.listed, "are_few": are_few}
            return _candidates(_means(self.values(search), **where, limit=search.limit))
        if are_few:
            return self.best(search, statements.best_of_few_users, search.limit)
        # Where much of the gallery reaches the cosine, the nearest templates are found ten times
        # as fast as everybody is ranked; mostly they are of enough users.
        wanted = max(FIRST_LOOK, 4 * search.limit)
        nearest = self.best(search, statements.best_of_all, wanted)
        users = first_of_each_user(nearest)
        if len(nearest) < wanted or len(users) >= search.limit:
            return users[: search.limit]
        return self.best(search, statements.best_of_each_user, search.limit)

    def best(self, search: Search, ranking: _Ranker, limit: int) -> list[Candidate]:
        """The first `limit` of a ranking of what this plan narrows down to."""
        where: Any = {"plan": self, "listed": search.gallery.listed}
        return _candidates(_ranked(self.values(search), **where, ranking=ranking, limit=limit))


@kept
def _ranked(*, plan: Plan, listed: Listed, ranking: _Ranker, limit: int) -> Ranking:
    return ranking(plan.narrowed(listed))[:limit]


@kept
def _means(*, plan: Plan, listed: Listed, are_few: bool, limit: int) -> Ranking:
    """The users with a face that has the cosine, by the mean of all that may be found."""
    near = statements.near(plan.narrowed(listed), are_few=are_few)
    users = listed.rows().filter(user__in=near.values("user"))
    return statements.mean_of_each_user(users)[:limit]


def _candidates(rows: Iterable[Any]) -> list[Candidate]:
    return [Candidate(user_id, face_id, -distance) for user_id, face_id, distance in rows]


def first_of_each_user(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first of each user."""
    best: dict[UUID, Candidate] = {}
    for candidate in candidates:
        best.setdefault(candidate.user_id, candidate)
    return list(best.values())
