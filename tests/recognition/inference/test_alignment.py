"""Landmarks to a crop."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recognition.inference.alignment import align, fit_similarity
from recognition.inference.arrays import Floats, Image
from tests.support.photos import astronaut

TEMPLATE = np.array([[110, 46], [89, 47], [37, 46], [58, 47], [74, 87]], np.float64)
coordinates = st.floats(-500, 500, allow_nan=False)
point = st.tuples(coordinates, coordinates)


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> Floats:
    turn = np.radians(degrees)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def apply(matrix: Floats, points: Floats) -> Floats:
    moved: Floats = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def smooth_picture(size: int) -> Image:
    """Without fine detail, so that resampling changes little."""
    y, x = np.mgrid[:size, :size] / size
    channels = [127 + 120 * np.sin(6 * x + k) * np.cos(5 * y - k) for k in range(3)]
    return np.dstack(channels).astype(np.uint8)


def test_it_works() -> None:
    matrix = similarity(1.5, 30, (12, -7))
    assert fit_similarity(TEMPLATE, apply(matrix, TEMPLATE)) == pytest.approx(matrix, abs=1e-9)


@given(
    st.lists(point, min_size=2, max_size=6),
    st.floats(0.01, 100),
    st.floats(-180, 180),
    point,
)
def test_a_known_similarity_is_recovered(
    points: list[tuple[float, float]], scale: float, degrees: float, shift: tuple[float, float]
) -> None:
    source = np.array(points)
    assume(np.ptp(source, axis=0).max() > 1)
    target = apply(similarity(scale, degrees, shift), source)
    found = apply(fit_similarity(source, target), source)
    assert found == pytest.approx(target, abs=1e-6 * scale * 1000)


def test_it_never_mirrors() -> None:
    mirrored = TEMPLATE * [-1, 1]
    matrix = fit_similarity(TEMPLATE, mirrored)
    assert np.linalg.det(matrix[:, :2]) > 0


@given(st.lists(point, min_size=5, max_size=5), st.lists(point, min_size=5, max_size=5))
def test_no_other_similarity_is_nearer(
    source: list[tuple[float, float]], target: list[tuple[float, float]]
) -> None:
    a, b = np.array(source), np.array(target)
    assume(np.ptp(a, axis=0).max() > 1)
    best = fit_similarity(a, b)
    error = np.square(apply(best, a) - b).sum()
    for nudge in (similarity(1.01, 0, (0, 0)), similarity(1, 1, (0, 0)), similarity(1, 0, (1, 0))):
        other = apply(nudge, apply(best, a))
        assert np.square(other - b).sum() >= error * (1 - 1e-9) - 1e-6


def test_points_that_coincide() -> None:
    with pytest.raises(ValueError, match="coincide"):
        fit_similarity(np.full((5, 2), 3.0), TEMPLATE)


def test_a_face_at_the_template_is_copied() -> None:
    crop = align(astronaut(), TEMPLATE + np.array([100, 60]), TEMPLATE, 150)
    assert np.array_equal(crop, astronaut()[60:210, 100:250])


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.floats(0.7, 6), st.floats(-180, 180))
def test_the_crop_does_not_depend_on_size_and_turn(scale: float, degrees: float) -> None:
    original = smooth_picture(150)
    wanted = align(original, TEMPLATE, TEMPLATE, 150)[30:120, 30:120]
    side = int(400 * scale)
    middle = similarity(scale, degrees, (0, 0))[:, :2] @ [75, 75]
    matrix = similarity(scale, degrees, (side / 2 - middle[0], side / 2 - middle[1]))
    picture = cv2.warpAffine(original, matrix, (side, side), flags=cv2.INTER_LINEAR)
    crop = align(picture.astype(np.uint8), apply(matrix, TEMPLATE), TEMPLATE, 150)
    difference = np.abs(crop[30:120, 30:120].astype(int) - wanted)
    assert difference.mean() < 3


def test_outside_is_black() -> None:
    white = np.full((60, 60, 3), 255, np.uint8)
    crop = align(white, TEMPLATE - [60, 0], TEMPLATE, 150)
    assert crop.shape == (150, 150, 3)
    assert not crop[:, :50].any()
    assert crop.any()
