"""What attribute and anti-spoofing networks are shown, and what their outputs mean."""

import numpy as np
import pytest

from recognition.inference.arrays import Image
from recognition.inference.attributes import decode_genderage, decode_genderage_2018, square_crop
from recognition.inference.liveness import context_crop, softmax


def gradient(rows: int, columns: int) -> Image:
    """Blue is the column, green the row."""
    image = np.zeros((rows, columns, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(columns), np.arange(rows)[:, None]
    return image


def test_genderage_2018() -> None:
    outputs = np.zeros((2, 202), np.float32)
    outputs[0, :2] = [1, 0]
    outputs[0, 2:] = np.tile([1, 0], 100)
    outputs[0, 2 : 2 + 2 * 31] = np.tile([0, 1], 31)
    outputs[1, :2] = [-1, 3]
    ages, genders = decode_genderage_2018(outputs)
    assert (ages, genders) == ([31, 0], ["female", "male"])


def test_genderage() -> None:
    ages, genders = decode_genderage(np.array([[0.5, -0.5, 0.34], [-2, 1, -0.01]], np.float32))
    assert (ages, genders) == ([34, 0], ["female", "male"])


def test_a_square_around_the_box() -> None:
    """Centre (50, 40), longer side 20, so columns 35 to 65 and rows 25 to 55."""
    crop = square_crop(gradient(100, 100), np.array([45.0, 30, 55, 50]), 1.5, 30)
    assert crop.shape == (30, 30, 3)
    assert crop[0, 0, :2].tolist() == [35, 25]
    assert crop[29, 29, :2].tolist() == [64, 54]


def test_a_square_beyond_the_picture_is_black() -> None:
    crop = square_crop(gradient(100, 100), np.array([80.0, 80, 100, 100]), 1.5, 30)
    assert crop[20, 20, :2].tolist() == [95, 95]
    assert not crop[26:, 26:].any()


def test_the_surroundings_of_a_box() -> None:
    """Twice a box of 20 x 20 around (50, 40)."""
    crop = context_crop(gradient(100, 100), np.array([40.0, 30, 60, 50]), 2, 41)
    assert crop[0, 0, :2].tolist() == [30, 20]
    assert crop[40, 40, :2].tolist() == [70, 60]


def test_surroundings_are_shifted_into_the_picture() -> None:
    crop = context_crop(gradient(100, 100), np.array([0.0, 80, 20, 100]), 2, 41)
    assert crop[0, 0, :2].tolist() == [0, 59]
    assert crop[40, 40, :2].tolist() == [40, 99]


def test_surroundings_shrink_where_there_is_no_room() -> None:
    """A box of 40 x 40 in 100 x 60 can grow 59 / 40 times only."""
    crop = context_crop(gradient(60, 100), np.array([30.0, 10, 70, 50]), 4, 60)
    assert crop[0, 0, 1] == 0 and crop[59, 59, 1] == 59
    assert crop[0, 59, 0] - crop[0, 0, 0] == 59


@pytest.mark.parametrize("box", [[-30, -30, -10, -10], [200, 200, 300, 300], [5, 5, 5, 5]])
def test_surroundings_of_any_box(box: list[float]) -> None:
    assert context_crop(gradient(60, 100), np.array(box, np.float64), 2.7, 80).shape == (80, 80, 3)


def test_softmax() -> None:
    chances = softmax(np.array([[1000.0, 1000, 0], [0, 0, 0]], np.float32))
    assert chances == pytest.approx(np.array([[0.5, 0.5, 0], [1 / 3] * 3]))
