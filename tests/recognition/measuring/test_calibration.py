"""Calibration on made-up embeddings whose distributions are known."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import Calibration
from recognition.inference.pack.schema import build
from recognition.measuring.calibration import calibrate, to_yaml
from recognition.measuring.pairs import Pairs, all_pairs
from recognition.measuring.photos import PhotosError
from recognition.packs.scores import ScoreScale

People = npt.NDArray[np.int64]


def unit(vectors: Floats) -> Floats:
    length: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return length


def embeddings(
    people: int, photos: int, *, offset: float = 0, seed: int = 1
) -> tuple[Floats, People]:
    """Isotropic identities in 32 dimensions with noise, pushed together by `offset`."""
    random = np.random.default_rng(seed)
    centres = np.repeat(unit(random.normal(size=(people, 32))), photos, axis=0)
    noisy = centres + random.normal(size=centres.shape) * 0.07
    noisy[:, 0] += offset
    return unit(noisy), np.repeat(np.arange(people), photos)


@pytest.fixture(scope="module")
def sample() -> tuple[Floats, People]:
    return embeddings(300, 3)


@pytest.fixture(scope="module")
def pairs(sample: tuple[Floats, People]) -> Pairs:
    return all_pairs(*sample)


@pytest.fixture(scope="module")
def measured(sample: tuple[Floats, People]) -> Calibration:
    return calibrate(*sample, data="made up", model_version="x_v1.0.0")


def test_it_works(measured: Calibration) -> None:
    assert (measured.identities, measured.photos) == (300, 900)
    assert measured.mated_pairs == 300 * 3
    assert measured.non_mated_pairs == 900 * 899 // 2 - 900
    assert (measured.data, measured.model_version) == ("made up", "x_v1.0.0")
    assert len(measured.mean_embedding) == 32


def test_pairs_are_those_of_a_double_loop() -> None:
    vectors, people = embeddings(7, 2)
    mated, strangers = [], []
    for i in range(len(people)):
        for j in range(i):
            cosine = float(vectors[i] @ vectors[j])
            (mated if people[i] == people[j] else strangers).append(cosine)
    pairs = all_pairs(vectors, people)
    assert sorted(pairs.mated) == pytest.approx(sorted(mated))
    assert list(pairs.non_mated) == pytest.approx(sorted(strangers, reverse=True))


def test_pairs_do_not_depend_on_the_blocks(
    sample: tuple[Floats, People], pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recognition.measuring.pairs._BLOCK", 64)
    blocked = all_pairs(*sample)
    assert blocked.non_mated == pytest.approx(pairs.non_mated)
    assert np.sort(blocked.mated) == pytest.approx(np.sort(pairs.mated))


def test_a_threshold_never_lets_more_pass(measured: Calibration, pairs: Pairs) -> None:
    for point in measured.table:
        if not point.extrapolated and point.fmr < 1:
            assert (pairs.non_mated >= point.cosine).mean() <= point.fmr


def test_a_threshold_is_not_stricter_than_needed(measured: Calibration, pairs: Pairs) -> None:
    for point in measured.table:
        if not point.extrapolated:
            assert (pairs.non_mated >= point.cosine - 2e-6).sum() >= point.pairs


def test_the_distribution_is_found_again(measured: Calibration) -> None:
    """Cosines of random directions in n dimensions have a standard deviation of about n^-1/2."""
    (at_3_percent,) = (point.cosine for point in measured.table if point.fmr == 0.03)
    assert at_3_percent == pytest.approx(1.88 / math.sqrt(32), rel=0.05)


def test_what_few_pairs_support_is_marked(measured: Calibration) -> None:
    """400,000 pairs support 30 errors down to 7.4e-5."""
    assert {point.fmr for point in measured.table if not point.extrapolated} == {
        *(1.0, 0.3, 0.1, 0.03, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
    }
    assert {point.fmr for point in measured.table if point.extrapolated} == {
        *(3e-5, 1e-5, 1e-6, 1e-7, 1e-8)
    }


def test_extrapolation_is_rather_too_strict(measured: Calibration) -> None:
    many = all_pairs(*embeddings(2500, 1, seed=2)).non_mated
    for point in measured.table:
        if point.extrapolated:
            allowed = point.fmr * len(many)
            assert (many >= point.cosine).sum() <= allowed + 3 * math.sqrt(allowed) + 1


def test_the_table_makes_a_scale(measured: Calibration) -> None:
    cosines = [point.cosine for point in measured.table]
    assert cosines == sorted(set(cosines))
    scale = ScoreScale(measured)
    assert scale.confidence(scale.cosine_of_fmr(1e-3)) == pytest.approx(0.8)


def test_strangers_are_shown_near_0(measured: Calibration) -> None:
    assert measured.zero_cosine == 0  # they are there already
    vectors, people = embeddings(200, 2, offset=3)
    squeezed = calibrate(vectors, people, data="x", model_version="x")
    strangers = all_pairs(vectors, people).non_mated
    assert squeezed.zero_cosine == pytest.approx(strangers.mean(), abs=1e-4)
    assert squeezed.zero_cosine > 0.8


def test_one_percent_of_mated_pairs_are_as_near_as_duplicates(
    measured: Calibration, pairs: Pairs
) -> None:
    share = (pairs.mated >= 1 - ScoreScale(measured).duplicate_distance ** 2 / 2).mean()
    assert 0 < share <= 0.01


def test_yaml_and_back(measured: Calibration) -> None:
    text = to_yaml(measured)
    again = build(Calibration, yaml.safe_load(text)["calibration"], "calibration")
    assert again == measured
    assert len(text.splitlines()) < 40


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("people", "photos"), [(1, 1), (20, 2), (1, 400), (400, 1)])
def test_too_few_photos(people: int, photos: int) -> None:
    with pytest.raises(PhotosError, match="pairs of photos"):
        calibrate(*embeddings(people, photos), data="x", model_version="x")
