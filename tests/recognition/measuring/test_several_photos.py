"""What several photos of a person change, on made-up people."""

from dataclasses import replace

import numpy as np
import pytest

from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import Calibration
from recognition.measuring.calibration import calibrate
from recognition.measuring.pairs import Numbers, false_match_rates, false_non_match_rate
from recognition.measuring.several_photos import PersonRates, person_rates
from recognition.packs.scores import ScoreScale


def crowd(people: int, photos: int, *, noise: float, seed: int = 1) -> tuple[Floats, Numbers]:
    """Photos of people in 16 dimensions."""
    lot = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(people), photos)
    faces = lot.normal(size=(people, 16))[numbers] + noise * lot.normal(size=(len(numbers), 16))
    unit = faces / np.linalg.norm(faces, axis=1, keepdims=True)
    return unit.astype(np.float32), numbers


def measured(people: int = 150, photos: int = 6, *, noise: float = 0.5) -> Calibration:
    embeddings, numbers = crowd(people, photos, noise=noise)
    return calibrate(embeddings, numbers, data="made up", model_version="x")


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return measured()


def test_it_works(calibration: Calibration) -> None:
    several = calibration.several_photos
    assert several
    assert several.fmr == 1e-4
    assert [(row.photos, row.people) for row in several.measured] == [(3, 150), (5, 150)]
    assert 0.5 < several.nearest_exponent < 1
    # Two photos of a person have the cosine 1 / (1 + noise ** 2) = 0.8.
    assert several.mean_correlation == pytest.approx(0.8, abs=0.06)
    for row in several.measured:
        assert 1 < row.nearest < row.photos
        assert row.mean < 1


def test_photos_that_have_nothing_in_common_are_as_many_chances() -> None:
    several = measured(noise=20).several_photos
    assert several
    assert several.nearest_exponent == pytest.approx(1, abs=0.03)
    assert several.mean_correlation < 0.2


def test_the_same_photo_several_times_is_one_chance() -> None:
    several = measured(noise=1e-6).several_photos
    assert several
    assert several.nearest_exponent == pytest.approx(0, abs=0.01)
    assert several.mean_correlation == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("people", "photos"), [(45, 6), (400, 2)])
def test_too_few_people_with_several(people: int, photos: int) -> None:
    assert measured(people, photos).several_photos is None


def rates_of(calibration: Calibration, *, level: float, seed: int = 2) -> list[PersonRates]:
    embeddings, numbers = crowd(150, 6, noise=0.5, seed=seed)
    scores = ScoreScale(calibration)
    return person_rates(embeddings, numbers, scores, {"some": scores.cosine_of_fmr(level)})


def test_a_level_is_that_of_everybody(calibration: Calibration) -> None:
    """On other people, the rate with three or five photos is the one with a single photo."""
    found = rates_of(calibration, level=3e-4)
    assert [(each.photos, each.match_on) for each in found] == [
        (1, "face"), (3, "face"), (3, "user"), (5, "face"), (5, "user"),
    ]  # fmt: skip
    for each in found:
        assert each.fmr.value == pytest.approx(found[0].fmr.value, rel=0.3), each


def test_without_a_measurement_it_is_at_most_the_level(calibration: Calibration) -> None:
    single, *several = rates_of(replace(calibration, several_photos=None), level=3e-4)
    for each in several:
        assert each.fmr.value < single.fmr.value, each


def test_one_photo_is_a_pair(calibration: Calibration) -> None:
    embeddings, numbers = crowd(30, 4, noise=0.5)
    scores = ScoreScale(calibration)
    cut = scores.cosine_of_fmr(1e-2)
    single, *_ = person_rates(embeddings, numbers, scores, {"some": cut})
    (pairs,) = false_match_rates(embeddings, numbers, [cut])
    assert single.fmr.value == pytest.approx(pairs.value)
    assert single.fnmr.value == pytest.approx(false_non_match_rate(embeddings, numbers, cut).value)
    assert (single.people, single.fmr.trials) == (30, 120 * 116)


def test_sets_are_those_of_a_double_loop(calibration: Calibration) -> None:
    embeddings, numbers = crowd(12, 4, noise=0.5)
    scores, cut = ScoreScale(calibration), 0.3
    rates = {
        (each.photos, each.match_on): each
        for each in person_rates(embeddings, numbers, scores, {"some": cut})
    }
    reached, missed = [], []
    for person in range(12):
        for start in range(4):
            of_set = [4 * person + (start + step) % 4 for step in range(3)]
            for probe in range(48):
                if probe in of_set:
                    continue
                mean = float(np.mean([embeddings[probe] @ embeddings[n] for n in of_set]))
                is_match = mean >= scores.mean_worth(cut, 3)
                if probe // 4 == person:
                    missed.append(not is_match)
                else:
                    reached.append(is_match)
    found = rates[3, "user"]
    assert (found.fmr.errors, found.fmr.trials) == (sum(reached), len(reached))
    assert (found.fnmr.errors, found.fnmr.trials) == (sum(missed), len(missed))
    assert (5, "face") not in rates
