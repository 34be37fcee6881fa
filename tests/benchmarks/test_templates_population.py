"""The made-up people of the benchmarks: reproducible, and spread like the real ones."""

import json

import numpy as np
import pytest

from benchmarks.templates import DIMENSIONS, FITTED, Population

KINDS = {"arcface": 512, "dlib": 128}
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_templates_are_of_length_1_and_fit_the_column(kind: str) -> None:
    vectors, people = Population(kind).enrol(range(300))
    assert vectors.shape == (len(people), DIMENSIONS) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert not vectors[:, KINDS[kind] :].any()
    assert np.ptp(vectors[:, : KINDS[kind]], axis=0).min() > 0


def test_everybody_has_one_to_three_faces() -> None:
    people = Population().enrol(range(2000))[1]
    faces = np.bincount(people)
    assert set(faces) == {1, 2, 3}
    assert (np.diff(people) >= 0).all()
    assert 1.6 < faces.mean() < 1.8


def test_equal_seeds_give_equal_people_in_whatever_chunks() -> None:
    vectors, people = Population(seed=3).enrol(range(1500))
    parts = [Population(seed=3).enrol(part) for part in (range(100), range(100, 1500))]
    assert np.array_equal(np.concatenate([part[1] for part in parts]), people)
    assert np.allclose(np.concatenate([part[0] for part in parts]), vectors, atol=1e-6)
    scattered, whose = Population(seed=3).enrol([1400, 7])
    assert set(whose) == {1400, 7} and whose[0] == 1400
    assert np.allclose(scattered[whose == 7], vectors[people == 7], atol=1e-6)
    assert not np.allclose(Population(seed=4).enrol([7])[0][0], vectors[people == 7][0], atol=0.1)


def test_a_probe_is_a_new_photo_of_the_person() -> None:
    population = Population()
    vectors, people = population.enrol(range(500))
    probes = population.probes([499, 5])
    nearest = people[(probes @ vectors.T).argmax(1)]
    assert nearest.tolist() == [499, 5]
    assert (probes @ vectors.T).max() < 0.95
    again = population.probes([499, 5], photo=1)
    assert (np.sum(probes * again, axis=1) < 0.95).all()


@kinds
def test_cosines_are_those_of_real_faces(kind: str) -> None:
    real = json.loads(FITTED.read_text())[kind]["real"]
    deviation = real["non_mated_deviation"]
    population = Population(kind, seed=1)
    vectors, people = population.enrol(range(3000))
    others = (population.strangers(1000) @ vectors.T).ravel()
    assert others.mean() == pytest.approx(real["non_mated_mean"], abs=deviation / 5)
    assert others.std() == pytest.approx(deviation, rel=0.2)
    for fmr, cosine in real["cosine_at_fmr"].items():
        assert np.quantile(others, 1 - float(fmr)) == pytest.approx(cosine, abs=deviation / 2)
    first = np.unique(people, return_index=True)[1]
    mated = np.sum(population.probes(range(3000)) * vectors[first], axis=1)
    for share, cosine in real["mated_quantiles"].items():
        found = np.quantile(mated, float(share))
        assert found == pytest.approx(cosine, abs=deviation / 2), share


def test_the_mean_points_where_it_is_told_to() -> None:
    wanted = np.random.default_rng(5).normal(size=128)
    population = Population("dlib", mean=wanted)
    plain = Population("dlib").enrol(range(300))[0]
    vectors = population.enrol(range(300))[0]
    mean = population.mean[:128]
    assert mean @ wanted / np.linalg.norm(mean) / np.linalg.norm(wanted) == pytest.approx(1)
    assert np.allclose(vectors @ vectors.T, plain @ plain.T, atol=1e-5)
    assert vectors.mean(0) @ population.mean > 0.9 * np.linalg.norm(mean) ** 2
    with pytest.raises(ValueError, match="must have 128 numbers"):
        Population("dlib", mean=np.ones(5))


def test_nobody_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="nobody"):
        Population().probes([])
