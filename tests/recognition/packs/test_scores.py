"""Cosine to similarity, confidence and false match rate, with the default pack's calibration."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.inference.pack.declaration import Calibration
from recognition.packs import engine
from recognition.packs.scores import ScoreScale

SCALE = ScoreScale(engine.calibration_of(engine.pack("dlib")))
LEAST = SCALE.cosine_of_fmr(1.0)
cosines = st.floats(LEAST, 1.0)
confidences = st.floats(0, 0.99)


@pytest.fixture
def calibration() -> Calibration:
    return engine.calibration_of(engine.pack("dlib"))


@pytest.mark.parametrize(
    ("fmr", "confidence"), [(1e-3, 0.80), (1e-4, 0.85), (1e-5, 0.90), (1e-6, 0.95)]
)
def test_it_works(fmr: float, confidence: float) -> None:
    assert SCALE.confidence(SCALE.cosine_of_fmr(fmr)) == pytest.approx(confidence, abs=1e-9)
    assert SCALE.fmr(SCALE.cosine_of_confidence(confidence)) == pytest.approx(fmr, rel=1e-6)


def test_the_rows_of_the_table_hold(calibration: Calibration) -> None:
    for point in calibration.table:
        assert SCALE.fmr(point.cosine) == pytest.approx(point.fmr, rel=1e-9)
        assert SCALE.cosine_of_fmr(point.fmr) == pytest.approx(point.cosine, rel=1e-9)


def test_half_way_between_the_anchors() -> None:
    assert SCALE.confidence(SCALE.cosine_of_fmr(10**-3.5)) == pytest.approx(0.825)
    assert SCALE.confidence(SCALE.cosine_of_fmr(10**-1.5)) == pytest.approx(0.4)


def test_as_good_as_any_stranger_is_0() -> None:
    assert SCALE.confidence(LEAST) == SCALE.confidence(-1) == 0


@given(cosines, cosines)
def test_confidence_is_strictly_monotone(a: float, b: float) -> None:
    if abs(a - b) > 1e-9:
        assert (SCALE.confidence(a) < SCALE.confidence(b)) == (a < b)


@given(cosines, cosines)
def test_fmr_is_strictly_monotone(a: float, b: float) -> None:
    if abs(a - b) > 1e-9:
        assert (SCALE.fmr(a) > SCALE.fmr(b)) == (a < b)


@given(st.floats(-1.001, 1.001))
def test_confidence_stays_below_1(cosine: float) -> None:
    assert 0 <= SCALE.confidence(cosine) < 1


def test_the_very_same_picture_is_not_certain() -> None:
    assert 0.95 < SCALE.confidence(1.0) < 1
    assert round(SCALE.confidence(1.0), 4) < 1


@given(confidences)
def test_confidence_and_its_inverse(confidence: float) -> None:
    cosine = SCALE.cosine_of_confidence(confidence)
    assert SCALE.confidence(cosine) == pytest.approx(confidence, abs=1e-9)


@given(st.floats(1e-12, 1))
def test_fmr_and_its_inverse(fmr: float) -> None:
    assert SCALE.fmr(SCALE.cosine_of_fmr(fmr)) == pytest.approx(fmr, rel=1e-6)


@given(st.floats(0, 1))
def test_similarity_and_its_inverse(similarity: float) -> None:
    cosine = SCALE.cosine_of_similarity(similarity)
    assert SCALE.similarity(cosine) == pytest.approx(similarity, abs=1e-9)


@given(cosines, cosines)
def test_similarity_ranks_as_the_cosine(a: float, b: float) -> None:
    if a < b:
        assert SCALE.similarity(a) <= SCALE.similarity(b)


def test_strangers_are_near_0(calibration: Calibration) -> None:
    """Half of them are below the mean and shown as 0, 99% below 0.45."""
    assert SCALE.similarity(calibration.zero_cosine) == 0
    assert SCALE.similarity(SCALE.cosine_of_fmr(0.3)) < 0.2
    assert SCALE.similarity(SCALE.cosine_of_fmr(0.01)) < 0.5
    assert SCALE.similarity(-1) == 0
    assert SCALE.similarity(1.0) == 1
    assert SCALE.similarity(1.0001) == 1


@pytest.mark.parametrize("confidence", [-0.1, 1.0, 1.5, math.nan])
def test_a_confidence_that_is_none(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        SCALE.cosine_of_confidence(confidence)


def test_what_is_extrapolated_is_told(calibration: Calibration) -> None:
    measured = [point.cosine for point in calibration.table if not point.extrapolated]
    assert not SCALE.is_extrapolated(measured[-1])
    assert SCALE.is_extrapolated(measured[-1] + 1e-6)


def test_duplicates_are_far_above_matches(calibration: Calibration) -> None:
    cosine = 1 - SCALE.duplicate_distance**2 / 2  # of templates of length 1
    assert SCALE.similarity(cosine) == pytest.approx(calibration.duplicate_similarity)
    assert SCALE.confidence(cosine) > 0.95


def test_a_pack_that_cannot_tell_people_apart(calibration: Calibration) -> None:
    """Then strict asks for more than there is."""
    table = tuple(replace(point, cosine=point.cosine + 0.06) for point in calibration.table)
    poor = ScoreScale(replace(calibration, table=table))
    assert poor.cosine_of_confidence(0.95) > 1
    assert poor.confidence(1.0) < 0.95
