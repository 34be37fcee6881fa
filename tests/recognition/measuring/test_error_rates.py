"""The numbers that calibrate and evaluate give, on synthetic embeddings with known answers."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from recognition.inference.arrays import Floats
from recognition.measuring import calibration
from recognition.measuring.evaluation import (
    Fold,
    area_under_roc,
    error_curve,
    folds_by_person,
    identify,
    lfw_accuracy,
    listed_folds,
    tar_at_fmr,
)
from recognition.measuring.pairs import (
    Numbers,
    Pairs,
    all_pairs,
    false_match_rates,
    false_non_match_rate,
    rate,
    threshold_at,
)

Lot = np.random.Generator


def unit(vectors: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / lengths).astype(np.float32)


def crowd(people: int, photos: int, *, noise: float = 0.1, seed: int = 1) -> tuple[Floats, Numbers]:
    """Photos of people whose faces have nothing in common: strangers are near 0."""
    lot = np.random.default_rng(seed)
    faces = unit(lot.normal(size=(people, 64)))
    numbers = np.repeat(np.arange(people), photos)
    return unit(faces[numbers] + noise / 8 * lot.normal(size=(len(numbers), 64))), numbers


def normal_pairs(count: int = 200_000) -> Pairs:
    """Cosines from two normal distributions, two standard deviations apart."""
    lot = np.random.default_rng(3)
    strangers = np.sort(lot.normal(-1, 1, count))[::-1]
    return Pairs(lot.normal(1, 1, count), strangers)


def below(z: float) -> float:
    """The normal distribution's share below z."""
    return (1 + math.erf(z / math.sqrt(2))) / 2


# --- Verification ---------------------------------------------------------------------------------


def test_perfect_separation() -> None:
    embeddings, people = crowd(100, 3)
    pairs = all_pairs(embeddings, people)
    assert (len(pairs.mated), len(pairs.non_mated)) == (300, 100 * 99 * 9 // 2)
    accuracy = lfw_accuracy(folds_by_person(embeddings, people), balanced=True)
    assert accuracy and (accuracy.mean, accuracy.std, accuracy.folds) == (pytest.approx(1), 0, 10)
    assert area_under_roc(pairs) == 1
    found = tar_at_fmr(pairs, 1e-3)
    assert found and (found.tar, found.false_matches) == (1, 44)


def test_known_overlap() -> None:
    pairs = normal_pairs()
    assert area_under_roc(pairs) == pytest.approx(below(math.sqrt(2)), abs=0.003)
    found = tar_at_fmr(pairs, 1e-2)
    assert found and found.tar == pytest.approx(below(2 - 2.3263), abs=0.006)
    curve = error_curve(pairs)
    equal = int(np.abs(curve.fmr - curve.fnmr).argmin())
    assert curve.fmr[equal] == pytest.approx(below(-1), abs=0.01)


@pytest.mark.parametrize("balanced", [True, False])
def test_accuracy_of_a_known_overlap(balanced: bool) -> None:
    pairs = normal_pairs(20_000)
    cosines = np.stack([pairs.mated, np.random.default_rng(1).permutation(pairs.non_mated)], axis=1)
    same = np.tile([True, False], 20_000)
    accuracy = lfw_accuracy(listed_folds(cosines.ravel(), same), balanced=balanced)
    assert accuracy
    assert accuracy.mean == pytest.approx(below(1), abs=0.005)
    assert accuracy.threshold == pytest.approx(0, abs=0.1)


def test_a_balanced_accuracy_does_not_depend_on_how_many_strangers_there_are() -> None:
    lot = np.random.default_rng(5)
    cosines = np.concatenate([lot.normal(1, 1, 2_000), lot.normal(-1, 1, 60_000)])
    same = np.arange(62_000) < 2_000
    order = lot.permutation(62_000)
    accuracy = lfw_accuracy(listed_folds(cosines[order], same[order]), balanced=True)
    assert accuracy and accuracy.mean == pytest.approx(below(1), abs=0.01)


def test_a_list_in_the_order_of_lfw_is_cut_into_its_ten_sets() -> None:
    same = np.tile(np.repeat([True, False], 300), 10)
    folds = listed_folds(np.arange(6000.0), same)
    assert [len(fold.same) for fold in folds] == [600] * 10
    assert all(fold.same.sum() == 300 for fold in folds)
    assert folds[3].cosines[0] == 1800


def test_the_threshold_of_a_set_is_chosen_on_the_others() -> None:
    # Alone, each set would be judged perfectly.
    folds = [
        Fold(np.array([0.8, 0.6]), np.array([True, False])),
        Fold(np.array([0.5, 0.3]), np.array([True, False])),
    ]
    accuracy = lfw_accuracy(folds, balanced=False)
    assert accuracy and (accuracy.mean, accuracy.threshold) == (0.5, pytest.approx(0.55))


def test_a_pair_with_a_missed_face_is_judged_different() -> None:
    cosines, same = (
        np.tile([0.9, -np.inf, 0.1, -np.inf], 25),
        np.tile([True, True, False, False], 25),
    )
    accuracy = lfw_accuracy(listed_folds(cosines, same), balanced=False)
    assert accuracy and accuracy.mean == pytest.approx(0.75, abs=0.02)


def test_nothing_is_accepted_when_no_face_was_found() -> None:
    folds = listed_folds(np.full(40, -np.inf), np.tile([True, False], 20))
    accuracy = lfw_accuracy(folds, balanced=False)
    assert accuracy and accuracy.mean == 0.5


def test_every_set_of_people_has_pairs_of_both_kinds() -> None:
    _, people = crowd(30, 1)
    people[:8] = people[22:]
    folds = folds_by_person(crowd(30, 1)[0], people)
    assert len(folds) == 8
    assert all(0 < fold.same.sum() < len(fold.same) for fold in folds)


def test_one_person_is_not_enough_for_folds() -> None:
    embeddings, people = crowd(1, 5)
    assert lfw_accuracy(folds_by_person(embeddings, people), balanced=True) is None
    assert tar_at_fmr(all_pairs(embeddings, people), 1e-2) is None


def test_a_missed_face_costs_its_mated_pairs_and_no_false_matches() -> None:
    embeddings, people = crowd(100, 3)
    embeddings[0] = 0
    pairs = all_pairs(embeddings, people)
    assert len(pairs.compared) == len(pairs.non_mated) - 297
    found = tar_at_fmr(pairs, 1e-2)
    assert found and found.tar == pytest.approx(298 / 300)
    assert false_non_match_rate(embeddings, people, 0.5).errors == 2


def test_too_few_pairs_for_an_fmr() -> None:
    embeddings, people = crowd(15, 2)  # 420 non-mated pairs
    pairs = all_pairs(embeddings, people)
    assert tar_at_fmr(pairs, 1e-2)
    assert tar_at_fmr(pairs, 1e-3) is None


def test_no_more_pairs_than_allowed_reach_a_threshold() -> None:
    falling = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    assert [int((falling >= threshold_at(falling, n / 5)).sum()) for n in range(6)] == [
        0, 1, 1, 1, 4, 5,
    ]  # fmt: skip


def test_discarding_the_worst_faces_helps_when_quality_tells_them() -> None:
    embeddings, people = crowd(100, 4)
    spoilt = np.random.default_rng(1).random(400) < 0.1
    embeddings[spoilt] = unit(np.random.default_rng(2).normal(size=(int(spoilt.sum()), 64)))
    steps = calibration.error_versus_discard(
        embeddings, people, np.where(spoilt, 0.2, 0.9), cosine=0.5
    )
    assert steps[0].fnmr.value == pytest.approx(1 - 0.9**2, abs=0.04)
    assert steps[1].fnmr.value < steps[0].fnmr.value
    assert [step.fnmr.errors for step in steps if step.discarded >= 0.15] == [0] * 4
    useless = calibration.error_versus_discard(
        embeddings, people, np.random.default_rng(3).random(400), cosine=0.5
    )
    assert useless[-1].fnmr.value == pytest.approx(steps[0].fnmr.value, abs=0.05)


# --- Identification -------------------------------------------------------------------------------


def test_identification_with_perfect_separation() -> None:
    found = identify(*crowd(120, 3))
    assert found
    assert (found.rank1, found.gallery, found.divisions) == (1, 60, 10)
    assert (found.mated_searches, found.non_mated_searches) == (10 * 60 * 2, 10 * 60 * 3)
    assert found.fnir_at_fpir == {0.01: 0, 0.001: None}


def test_identification_by_chance() -> None:
    lot = np.random.default_rng(2)
    found = identify(unit(lot.normal(size=(2000, 64))), np.repeat(np.arange(200), 10))
    assert found and found.rank1 == pytest.approx(1 / 100, abs=0.005)
    assert found.fnir_at_fpir[0.01] == pytest.approx(1, abs=0.005)


def test_a_missed_face_is_a_failed_search() -> None:
    embeddings, people = crowd(120, 2)
    embeddings[::2] = 0  # one of two photos of everybody: as template or as probe
    found = identify(embeddings, people)
    assert found and (found.rank1, found.fnir_at_fpir[0.01], found.mated_searches) == (0, None, 600)


def test_nobody_to_search() -> None:
    assert identify(*crowd(50, 1)) is None
    assert identify(*crowd(1, 5)) is None


# --- Intervals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "trials", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(errors: int, trials: int, low: float, high: float) -> None:
    found = rate(errors, trials)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_the_rate_of_nothing() -> None:
    assert math.isnan(rate(0, 0).value)


def evenly_spread(lot: Lot) -> Floats:
    """On a sphere in three dimensions the cosine of two is evenly spread from -1 to 1."""
    return unit(lot.normal(size=(100, 3)))


def partly_alike(lot: Lot) -> Floats:
    """Every fourth person belongs to a group of people who look alike."""
    faces = lot.normal(size=(100, 3))
    alike = lot.random(100) < 0.25
    faces[alike] = 0.4 * faces[alike] + [1.5, 0, 0]
    return unit(faces)


def two_photos_each(faces: Callable[[Lot], Floats], lot: Lot) -> tuple[Floats, Numbers]:
    people = np.repeat(np.arange(100), 2)
    return unit(faces(lot)[people] + 0.02 * lot.normal(size=(200, 3))), people


@pytest.mark.parametrize(("faces", "naive"), [(evenly_spread, 0.85), (partly_alike, 0.3)])
def test_the_interval_of_the_fmr_contains_the_truth(
    faces: Callable[[Lot], Floats], naive: float
) -> None:
    lot = np.random.default_rng(11)
    sample = [two_photos_each(faces, lot) for _ in range(300)]
    found = [false_match_rates(*photos, [0.9])[0] for photos in sample]
    truth = float(np.mean([one.value for one in found]))
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.9
    # Ten errors do not tell how they cluster, but the threshold before does.
    few = [false_match_rates(*photos, [0.98, 0.999])[1] for photos in sample]
    rare = float(np.mean([one.value for one in few]))
    assert np.mean([one.errors for one in few]) < 20
    assert np.mean([one.low <= rare <= one.high for one in few]) > 0.9
    independent = [rate(one.errors, one.trials) for one in found]
    assert np.mean([one.low <= truth <= one.high for one in independent]) < naive
