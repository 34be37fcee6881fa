"""What attribute and anti-spoofing networks are shown, and what their outputs mean."""

from typing import cast

import numpy as np
import pytest

from recognition.inference.alignment import square_crop
from recognition.inference.arrays import Image
from recognition.inference.estimators import (
    EyesNetwork,
    HeadPoseNetwork,
    context_crop,
    decode_age_gender,
    decode_genderage,
    decode_genderage_2018,
    reflected_crop,
    score_of,
    softmax,
)
from recognition.inference.pose import Pose
from recognition.inference.sessions import Model
from tests.support.real_packs import permissive_pack


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


def test_age_and_gender_in_two_outputs() -> None:
    """In either order: Open Model Zoo names and orders them otherwise in each release."""
    ages = np.array([0.344, -0.01], np.float32).reshape(2, 1, 1, 1)
    genders = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32).reshape(2, 2, 1, 1)
    for outputs in ([ages, genders], [genders, ages]):
        assert decode_age_gender(outputs) == ([34, 0], ["female", "male"])


def test_outputs_that_are_not_age_and_gender() -> None:
    for outputs in ([np.zeros((1, 3))], [np.zeros((1, 2)), np.zeros((1, 2))]):
        with pytest.raises(ValueError, match="the network of age and gender gave"):
            decode_age_gender([output.astype(np.float32) for output in outputs])


def test_the_score_is_a_half_at_the_threshold() -> None:
    assert [score_of(chance, 0.5) for chance in (0, 0.3, 1)] == pytest.approx([0, 0.3, 1])
    assert score_of(0.9, 0.9) == pytest.approx(0.5)
    scores = [score_of(chance, 0.9) for chance in (0, 0.1, 0.5, 0.9, 0.99, 1)]
    assert scores == sorted(scores) and (scores[0], scores[-1]) == (0, 1)


# --- Crops that are mirrored at the border --------------------------------------------------------


def test_a_reflected_crop_inside_of_the_picture() -> None:
    """1.5 times a box of 20 x 10 around (50, 40): columns 35 to 65, rows 25 to 55."""
    crop = reflected_crop(gradient(100, 100), np.array([40.0, 35, 60, 45]), 1.5, 30)
    assert crop[0, 0, :2].tolist() == [35, 25]
    assert crop[29, 29, :2].tolist() == [64, 54]


def test_a_reflected_crop_over_the_border() -> None:
    """Columns -10 to 20, rows 80 to 110 of 100."""
    crop = reflected_crop(gradient(100, 100), np.array([-5.0, 85, 15, 105]), 1.5, 30)
    assert crop[0, :, 0].tolist() == [*range(10, 0, -1), *range(20)]
    assert crop[:, 0, 1].tolist() == [*range(80, 100), *range(98, 88, -1)]


@pytest.mark.parametrize(
    "box", [[-30, -30, -10, -10], [200, 200, 300, 300], [5, 5, 5, 5], [-900, -900, 900, 900]]
)
def test_a_reflected_crop_of_any_box(box: list[float]) -> None:
    crop = reflected_crop(gradient(60, 100), np.array(box, np.float64), 1.5, 128)
    assert crop.shape == (128, 128, 3)


# --- The head -------------------------------------------------------------------------------------


class Recorder:
    """A model that keeps what it is given, and answers with what the test says."""

    def __init__(self, *outputs: list[list[float]]) -> None:
        self.outputs = [np.array(output, np.float32) for output in outputs]
        self.seen: list[np.ndarray] = []

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        self.seen.append(batch)
        at = sum(map(len, self.seen[:-1]))
        return [output[at : at + len(batch)] for output in self.outputs]


def test_head_pose() -> None:
    spec = permissive_pack().head_pose
    assert spec is not None
    model = Recorder([[30.0], [-5]], [[-10.0], [4]], [[3.0], [2]])
    boxes = np.array([[40.0, 30, 60, 50], [10, 10, 30, 30]])
    poses = HeadPoseNetwork(spec, cast(Model, model)).estimate(gradient(100, 100), boxes)
    assert poses == [Pose(30, -10, 3), Pose(-5, 4, 2)]
    assert model.seen[0].shape == (2, 3, 60, 60)


def test_eyes() -> None:
    """The more open one counts. Each is in the middle of its crop."""
    spec = permissive_pack().eyes
    assert spec is not None
    model = Recorder([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.7, 0.3]])
    names = ("right_eye", "left_eye", "nose_tip", "mouth_right", "mouth_left")
    points = np.array([[[40.0, 50], [60, 50], [50, 60], [45, 70], [55, 70]]] * 2)
    eyes = EyesNetwork(spec, cast(Model, model), names)
    assert eyes.estimate(gradient(100, 100), points) == pytest.approx([0.6, 0.3])
    left, right = (crop[0, 0, 16, 16] * 255 + 127 for crop in model.seen[:2])
    assert (left, right) == (pytest.approx(60, abs=1), pytest.approx(40, abs=1))
