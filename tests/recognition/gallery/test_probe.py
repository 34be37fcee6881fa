"""What several photos of a person are worth in a search."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.gallery.probe import SearchProbe
from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import SeveralPhotos
from recognition.packs import engine
from recognition.packs.scores import ScoreScale
from tests.support.builders import near, vector

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def scores() -> ScoreScale:
    calibration = engine.calibration_of(engine.pack("dlib"))
    several = SeveralPhotos(1e-4, 0.8, 0.85, ())
    return ScoreScale(replace(calibration, several_photos=several))


def looks(*cosines: float) -> Floats:
    return np.stack([near(vector(1), one, toward=20 + n) for n, one in enumerate(cosines)])


def test_it_works(scores: ScoreScale) -> None:
    """Its cosine stands for the mean of the photos' cosines, and is worth more than that."""
    photos = looks(0.98, 0.95, 0.92)
    probe = SearchProbe.of_one_person(photos)
    assert np.linalg.norm(probe.template) == pytest.approx(1, abs=1e-5)
    cosine = float(probe.template @ vector(1))
    assert cosine * probe.mean_length == pytest.approx(0.95, abs=1e-5)
    assert probe.worth(scores, cosine) == pytest.approx(scores.worth_of_mean(0.95, 3), abs=1e-5)
    assert 0.95 < scores.worth_of_mean(0.95, 3) < cosine


def test_copies_of_a_photo_are_worth_one(scores: ScoreScale) -> None:
    probe = SearchProbe.of_one_person(looks(0.9)[[0, 0, 0]])
    assert probe.worth(scores, 0.9) == pytest.approx(0.9, abs=1e-5)
    assert scores.worth_of_mean(0.9, 3) > 0.903


def test_one_photo(scores: ScoreScale) -> None:
    probe = SearchProbe.of_one_person(looks(0.9))
    assert (probe.photos, probe.mean_length) == (1, 1.0)
    assert probe.worth(scores, 0.3) == probe.cosine_worth(scores, 0.3) == 0.3


@given(
    cosines=st.lists(st.floats(0.6, 0.99), min_size=1, max_size=5),
    worth=st.floats(0.2, 0.999),
    higher=st.floats(0.0001, 0.2),
)
def test_both_ways(scores: ScoreScale, cosines: list[float], worth: float, higher: float) -> None:
    """What is worth enough has the cosine that is needed, and nothing else has."""
    probe = SearchProbe.of_one_person(looks(*cosines))
    cosine = probe.cosine_worth(scores, worth)
    assert probe.worth(scores, cosine) == pytest.approx(worth, abs=1e-6)
    assert probe.worth(scores, cosine + higher) > worth
    assert probe.worth(scores, cosine - higher) < worth
