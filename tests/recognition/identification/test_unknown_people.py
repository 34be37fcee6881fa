"""Which faces of nobody are of one person."""

import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.unknown_people import halves, pairwise
from recognition.identification import unknown_people
from recognition.identification.unknown_people import grouped, least_score
from recognition.inference.arrays import Floats
from recognition.inference.images import decode
from recognition.measuring.calibration import calibrate
from recognition.packs.scores import ScoreScale
from tests.support.builders import fake_engine
from tests.support.photos import SHARED, needs_shared
from tests.support.real_packs import needs_models, open_permissive

LEAST = 0.45
DIMENSIONS = 12  # few, so that strangers are alike now and then


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Floats, list[int]]:
    """Faces of some people, alike and less alike, in some pictures."""
    seed, count = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 40))
    people, pictures = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    chance = np.random.default_rng(seed)
    middles = unit(chance.normal(size=(people, DIMENSIONS)))
    spread = draw(st.sampled_from([0.05, 0.2, 0.4]))
    faces = middles[chance.integers(people, size=count)]
    faces = unit(faces + spread * chance.normal(size=faces.shape))
    return faces, chance.integers(pictures, size=count).tolist()


def unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(lengths, 1e-9)).astype(np.float32)


def as_sets(groups: list[list[int]]) -> set[frozenset[int]]:
    return set(map(frozenset, groups))


def test_it_works() -> None:
    faces = unit(np.array([[1, 0, 0], [0, 1, 0], [1, 0.1, 0], [0, 0, 1], [0, 1, 0.1]]))
    assert grouped(faces, [0, 0, 1, 1, 2], LEAST) == [[0, 2], [1, 4], [3]]
    assert grouped(faces[:0], [], LEAST) == []


@given(crowds())
def test_each_face_is_in_one_group_and_each_group_once_in_a_picture(
    crowd: tuple[Floats, list[int]],
) -> None:
    faces, pictures = crowd
    groups = grouped(faces, pictures, LEAST)
    assert sorted(face for group in groups for face in group) == [*range(len(faces))]
    assert groups == sorted(map(sorted, groups))
    for group in groups:
        assert len({pictures[face] for face in group}) == len(group)


@given(crowds(), st.randoms(use_true_random=False))
def test_the_order_changes_nothing(crowd: tuple[Floats, list[int]], chance: random.Random) -> None:
    faces, pictures = crowd
    order = [*range(len(faces))]
    chance.shuffle(order)
    shuffled = grouped(faces[order], [pictures[face] for face in order], LEAST)
    assert as_sets(grouped(faces, pictures, LEAST)) == as_sets(
        [[order[face] for face in group] for group in shuffled]
    )


@given(crowds())
def test_the_two_that_are_most_alike_are_joined_first(crowd: tuple[Floats, list[int]]) -> None:
    """Chains of nearest neighbours find the same as a search for the best pair at each step."""
    faces, pictures = crowd
    assert as_sets(grouped(faces, pictures, LEAST)) == as_sets(by_the_book(faces, pictures))


def by_the_book(faces: Floats, pictures: list[int]) -> list[list[int]]:
    scores = faces.astype(float) @ faces.T.astype(float)
    groups = [[face] for face in range(len(faces))]

    def score(pair: tuple[list[int], list[int]]) -> float:
        one, other = pair
        if {pictures[face] for face in one} & {pictures[face] for face in other}:
            return -np.inf
        return float(scores[np.ix_(one, other)].mean())

    while len(groups) > 1 and score(best := max(combinations(groups, 2), key=score)) >= LEAST:
        groups = [group for group in groups if group not in best] + [best[0] + best[1]]
    return groups


def test_a_chain_of_look_alikes_is_no_person() -> None:
    """Each is like the next one, as somebody between two strangers is like both of them."""
    angles = np.radians(np.arange(0, 181, 45))
    faces = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    groups = grouped(faces, [*range(5)], LEAST)
    assert max(map(len, groups)) == 2


def test_a_face_twice_in_a_picture_is_two_people() -> None:
    """As in a collage, or beside a mirror: siblings in one photo are more frequent."""
    faces = unit(np.array([[1, 0], [1, 0.01], [1, 0.02]]))
    assert sorted(map(len, grouped(faces, [0, 0, 1], LEAST))) == [1, 2]


def test_equal_faces_in_many_pictures() -> None:
    """Copies of one photo have equal scores, which must not lead in a circle."""
    faces = np.repeat(unit(np.array([[1, 2, 3], [3, -2, 1]])), 50, axis=0)
    groups = grouped(faces, [*range(50), *range(50)], LEAST)
    assert [len(group) for group in groups] == [50, 50]


def test_a_block_more_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = unit(np.random.default_rng(1).normal(size=(20, DIMENSIONS)))
    whole = grouped(faces, [*range(20)], LEAST)
    monkeypatch.setattr(unknown_people, "_BLOCK", 3)
    assert grouped(faces, [*range(20)], LEAST) == whole


def test_among_more_faces_they_must_be_more_alike() -> None:
    scores = fake_engine().scores
    few, many = least_score(scores, 10), least_score(scores, 5_000)
    assert few == pytest.approx(scores.cosine_of_confidence(0.85))
    assert many == pytest.approx(scores.cosine_of_fmr(1e-5)) and many > few


@pytest.mark.slow
@needs_shared
@needs_models
def test_people_of_another_part_than_calibrated() -> None:
    """A part of the people of lfw-a calibrates, another part is grouped. The whole of it is
    measured by `python -m benchmarks.unknown_people`.
    """
    pipeline = open_permissive()
    names = sorted(path.name for path in (SHARED / "lfw-a").iterdir() if path.is_dir())
    first, second = halves(names)
    calibrating, others = first[:150], second[:100]
    vectors, people = [], []
    for name in [*calibrating, *others]:
        for path in sorted((SHARED / "lfw-a" / name).glob("*.jpg")):
            image = decode(path.read_bytes(), max_bytes=10**7, max_pixels=10**7)
            for face in pipeline.embed(pipeline.detect(image, only_main=True)):
                vectors.append(face.embedding)
                people.append(name)
    faces, numbers = np.stack(vectors), np.unique(people, return_inverse=True)[1].astype(np.int64)
    is_known = np.isin(people, calibrating)
    scores = ScoreScale(
        calibrate(faces[is_known], numbers[is_known], data="a part", model_version="1")
    )
    faces, numbers = faces[~is_known], numbers[~is_known]
    found = grouped(faces, [*range(len(faces))], least_score(scores, len(faces)))
    rates = pairwise(found, numbers)
    assert rates.precision >= 0.99 and rates.recall >= 0.9
