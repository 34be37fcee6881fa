"""Cosine to similarity, confidence and false match rate, with the default pack's calibration."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.inference.pack.declaration import Calibration, SeveralPhotos
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


# --- people with several faces --------------------------------------------------------------------

UNMEASURED, SEVERAL = (
    ScoreScale(replace(engine.calibration_of(engine.pack("dlib")), several_photos=several))
    for several in (None, SeveralPhotos(1e-4, 0.8, 0.85, ()))
)
scales = st.sampled_from([UNMEASURED, SEVERAL])


@given(scales, cosines)
def test_a_single_face_is_worth_its_cosine(scale: ScoreScale, cosine: float) -> None:
    assert scale.worth_of_nearest(cosine, 1) == pytest.approx(cosine)
    assert scale.worth_of_mean(cosine, 1) == pytest.approx(cosine)


@pytest.mark.parametrize("faces", [2, 3, 5, 500])
def test_the_nearest_of_several_is_found_as_often_as_they_have_chances(faces: int) -> None:
    cosine = SEVERAL.cosine_of_fmr(1e-7)
    assert SEVERAL.fmr(SEVERAL.worth_of_nearest(cosine, faces)) == pytest.approx(1e-7 * faces**0.8)
    assert UNMEASURED.fmr(UNMEASURED.worth_of_nearest(cosine, faces)) == pytest.approx(1e-7 * faces)


@pytest.mark.parametrize("pairs", [1, 4, 2500])
def test_the_best_of_several_pairs_is_found_as_often_as_there_are_pairs(pairs: int) -> None:
    """However much the photos of one person are alike: these are of different people."""
    cosine = SEVERAL.cosine_of_fmr(1e-7)
    assert SEVERAL.fmr(SEVERAL.worth_of_best(cosine, pairs)) == pytest.approx(1e-7 * pairs)
    assert SEVERAL.worth_of_best(LEAST, pairs) <= LEAST


def test_a_mean_deviates_less_than_a_single_score() -> None:
    """Its variance with n faces is 0.85 + 0.15 / n, around the same mean."""
    centre, cosine = SEVERAL.stranger_mean, SEVERAL.cosine_of_fmr(1e-4)
    assert centre == pytest.approx(0.84, abs=0.01)
    above = SEVERAL.worth_of_mean(cosine, 5) - centre
    assert above == pytest.approx((cosine - centre) / math.sqrt(0.88))
    assert SEVERAL.worth_of_mean(centre - 0.01, 5) < centre - 0.01
    assert UNMEASURED.worth_of_mean(cosine, 5) == pytest.approx(cosine)


@given(scales, st.floats(LEAST + 0.1, 1.0), st.integers(1, 500))
def test_what_is_worth_so_much_and_its_inverse(scale: ScoreScale, worth: float, faces: int) -> None:
    nearest, mean = scale.nearest_worth(worth, faces), scale.mean_worth(worth, faces)
    assert scale.worth_of_nearest(nearest, faces) == pytest.approx(worth, abs=1e-9)
    assert scale.worth_of_mean(mean, faces) == pytest.approx(worth, abs=1e-9)
    assert nearest >= worth - 1e-9


@given(scales, cosines, cosines, st.integers(1, 500))
def test_more_alike_is_never_worth_less(scale: ScoreScale, a: float, b: float, faces: int) -> None:
    low, high = sorted((a, b))
    assert scale.worth_of_nearest(low, faces) <= scale.worth_of_nearest(high, faces)
    assert scale.worth_of_mean(low, faces) <= scale.worth_of_mean(high, faces)


def test_with_no_confidence_needed_many_faces_do_no_harm() -> None:
    threshold = SEVERAL.cut(0.0, None, 0)
    assert SEVERAL.worth_of_nearest(LEAST, 500) >= SEVERAL.needed(threshold, 500) - 1e-9


def test_a_search_counts_each_face_once() -> None:
    """In a search of 100 faces, five of one person have five shares of the rate."""
    threshold = SEVERAL.cut(0.0, 0.01, 100)
    assert SEVERAL.fmr(SEVERAL.needed(threshold, 1)) == pytest.approx(1e-4)
    assert SEVERAL.nearest_worth(SEVERAL.needed(threshold, 5), 5) == pytest.approx(threshold.cosine)
    strict = SEVERAL.cut(0.95, 0.01, 100)
    assert SEVERAL.needed(strict, 5) == SEVERAL.needed(strict, 1) == strict.cosine


@given(
    scales,
    st.floats(0.0, 0.99),
    st.none() | st.floats(1e-6, 1.0),
    st.integers(1, 10**6),
    st.integers(1, 40),
)
def test_nobody_needs_a_lower_mean_than_the_least(
    scale: ScoreScale, confidence: float, rate: float | None, searched: int, most: int
) -> None:
    threshold = scale.cut(confidence, rate, searched)
    least = scale.least_mean(threshold, most)
    needed = [
        scale.mean_worth(scale.needed(threshold, faces), faces) for faces in range(1, most + 1)
    ]
    assert least <= min(needed) + 1e-12
    if scale.needed(threshold, most) > scale.stranger_mean:
        assert least == pytest.approx(min(needed))
