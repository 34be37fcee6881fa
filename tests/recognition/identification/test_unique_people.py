"""Who each face of a picture is given, so that nobody is given twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.identification import unique_people
from recognition.identification.unique_people import apart, best_assignment
from recognition.packs import engine
from recognition.packs.scores import ScoreScale, Threshold

ANN, BEN, CLEO = (UUID(int=number) for number in (1, 2, 3))


@dataclass(frozen=True)
class Seen:
    user_id: UUID
    cosine: float


@pytest.fixture(scope="module")
def scores() -> ScoreScale:
    return ScoreScale(engine.calibration_of(engine.pack("dlib")))


@pytest.fixture
def threshold(scores: ScoreScale) -> Threshold:
    return scores.cut(0.8, None, 0)  # at a false match rate of 1e-3


def told(
    scores: ScoreScale, threshold: Threshold, *faces: Mapping[UUID, float]
) -> list[list[UUID]]:
    """Who stays with each face; a face has people with the powers of ten of their rates."""
    seen = [
        [Seen(user, scores.cosine_of_fmr(10**-decades)) for user, decades in own.items()]
        for own in faces
    ]
    return [[one.user_id for one in own] for own in apart(seen, scores, threshold)]


def test_it_works(scores: ScoreScale, threshold: Threshold) -> None:
    """The second face gets its next candidate."""
    found = told(scores, threshold, {ANN: 8, BEN: 4}, {ANN: 7, BEN: 6, CLEO: 5})
    assert found == [[ANN], [BEN, CLEO]]


def test_the_best_sum_and_not_the_best_match(scores: ScoreScale, threshold: Threshold) -> None:
    found = told(scores, threshold, {ANN: 9, BEN: 8.5}, {ANN: 8.8})
    assert found == [[BEN], [ANN]]


def test_a_sure_match_is_not_given_up_for_two_doubtful_ones(
    scores: ScoreScale, threshold: Threshold
) -> None:
    """8 is more than 3.5 and 3.4, since each counts from the threshold on."""
    found = told(scores, threshold, {ANN: 8, BEN: 3.5}, {ANN: 3.4})
    assert found == [[ANN, BEN], []]


def test_nobody_is_left(scores: ScoreScale, threshold: Threshold) -> None:
    assert told(scores, threshold, {ANN: 6}, {ANN: 5}, {}) == [[ANN], [], []]


def test_who_is_given_to_no_face_stays_with_the_most_similar_one(
    scores: ScoreScale, threshold: Threshold
) -> None:
    found = told(scores, threshold, {ANN: 8, CLEO: 4}, {BEN: 8, CLEO: 5})
    assert found == [[ANN], [BEN, CLEO]]


def test_somebody_below_the_threshold(scores: ScoreScale, threshold: Threshold) -> None:
    """A person with several faces may be found there: it is better than nobody."""
    assert told(scores, threshold, {ANN: 2.9, BEN: 2.8}, {ANN: 2.95}) == [[BEN], [ANN]]


def test_how_many_are_looked_for() -> None:
    assert [unique_people.needed(10, faces) for faces in (0, 1, 5, 300)] == [10, 10, 14, 100]


# --- against all possibilities --------------------------------------------------------------------


def best_sum(totals: Sequence[Mapping[UUID, float]], taken: frozenset[UUID] = frozenset()) -> float:
    if not totals:
        return 0.0
    own, others = totals[0], totals[1:]
    with_one = [w + best_sum(others, taken | {u}) for u, w in own.items() if u not in taken]
    return max([best_sum(others, taken), *with_one])


USERS = st.sampled_from([UUID(int=number) for number in range(1, 7)])
# Equal sums are more likely with few numbers.
TOTALS = st.one_of(st.sampled_from([1.0, 2.0, 3.0]), st.floats(1e-6, 20))


@given(st.lists(st.dictionaries(USERS, TOTALS, max_size=6), max_size=5))
def test_no_other_choice_is_better(totals: list[dict[UUID, float]]) -> None:
    chosen = best_assignment(totals)
    given_away = [user for user in chosen if user]
    assert len(set(given_away)) == len(given_away)
    total = sum(own[user] for own, user in zip(totals, chosen, strict=True) if user)
    assert total == pytest.approx(best_sum(totals))


CANDIDATES = st.dictionaries(USERS, st.floats(0.8, 0.99), max_size=6)


@given(faces=st.lists(CANDIDATES, max_size=5), most=st.integers(1, 6))
def test_nobody_stands_twice(scores: ScoreScale, faces: list[dict[UUID, float]], most: int) -> None:
    """A face keeps its order, and what the first ones are worth is the best sum."""
    seen = [
        sorted((Seen(*pair) for pair in own.items()), key=lambda one: -one.cosine) for own in faces
    ]
    found: list[Any] = apart(seen, scores, scores.cut(0.5, None, 0))
    users = [one.user_id for own in found for one in own]
    assert len(users) == len(set(users)) == len({user for own in faces for user in own})
    for own, before in zip(found, seen, strict=True):
        assert own == [one for one in before if one in own]


def test_two_hundred_faces_with_the_same_hundred_people() -> None:
    rng = np.random.default_rng(4)
    users = [UUID(int=number + 1) for number in range(100)]
    totals = [dict(zip(users, rng.exponential(2, 100), strict=True)) for _ in range(200)]
    chosen = best_assignment(totals)
    assert sorted(user for user in chosen if user) == users
    assert chosen.count(None) == 100
