"""Made-up templates resemble the given ones as these resemble each other."""

import numpy as np
import pytest

from benchmarks.resampled import Resampled
from benchmarks.templates import Floats, Numbers, Population
from recognition.inference.pack.cohort import extended

PEOPLE = 1200


@pytest.fixture(scope="module")
def faces() -> Floats:
    """One photo of each: of the kind with fewer dimensions, to be quick."""
    return Population("dlib").probes(range(PEOPLE))[:, :128]


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    return np.arange(PEOPLE)


@pytest.fixture(scope="module")
def resampled(faces: Floats, numbers: Numbers) -> Resampled:
    return Resampled(faces, numbers, seed=1)


@pytest.mark.slow
def test_real_people_have_as_many_lookalikes_among_them_as_among_each_other(
    resampled: Resampled, faces: Floats
) -> None:
    made_up = resampled.draw(10_000)
    real = (faces @ faces.T)[np.triu_indices(PEOPLE, 1)]
    assert 0.1 < resampled.nearness < 0.9
    deviation = real.std()
    for rate in (1e-3, 1e-4):
        wanted = np.quantile(real, 1 - rate)
        assert abs(np.quantile(faces @ made_up.T, 1 - rate) - wanted) < 0.05 * deviation
    # Without coming from them they would have fewer.
    unlike = np.quantile(faces @ resampled._drawn(10_000, 0).T, 1 - 1e-4)
    assert unlike < np.quantile(real, 1 - 1e-4) - 0.1 * deviation


@pytest.mark.slow
def test_they_are_as_alike_by_the_scores_that_a_pack_compares(
    faces: Floats, numbers: Numbers
) -> None:
    """With a cohort: what a face shares with it is taken off, and made-up faces share less."""
    cohort = faces[:64]

    def compared(some: Floats) -> Floats:
        nearness = np.sort(some @ cohort.T, axis=1)[:, -4:-1].mean(axis=1)
        return extended(some, 0.35 * (faces @ cohort.T).mean() - 0.35 * nearness)

    made_up = Resampled(faces[64:], numbers[64:], seed=1, compared=compared).draw(10_000)
    people = compared(faces[64:])
    real = (people @ people.T)[np.triu_indices(len(people), 1)]
    for rate in (1e-3, 1e-4):
        found = np.quantile(people @ compared(made_up).T, 1 - rate)
        assert abs(found - np.quantile(real, 1 - rate)) < 0.1 * real.std()


def test_they_are_of_length_1_and_the_same_every_time(
    faces: Floats, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Resampled, "nearness", 0.5)
    one, same = (Resampled(faces, numbers, seed=1).draw(30) for _ in range(2))
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
    assert np.array_equal(one, same)
    assert not np.allclose(one, Resampled(faces, numbers, seed=2).draw(30))


def test_they_are_nobody(faces: Floats, numbers: Numbers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resampled, "nearness", 0.5)
    assert (faces @ Resampled(faces, numbers, seed=1).draw(500).T).max() < 0.99
