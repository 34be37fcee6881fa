"""What a service is sent: the face with its surroundings, upright, bounded, encoded by us."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from recognition.inference.arrays import Image
from recognition.inference.images import turned
from recognition.verification.providers import picture_of
from tests.support.builders import face_of, vector


def marked(height: int, width: int, box: tuple[int, int, int, int]) -> tuple[Image, Any]:
    """A grey picture with a white face."""
    image = np.full((height, width, 3), 90, np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return image, replace(face_of(vector(1)), box=np.array(box, np.float64))


def seen(image: Image, face: Any) -> tuple[Image, dict[str, int]]:
    picture = picture_of(image, face)
    assert picture.encoded[:2] == b"\xff\xd8"
    decoded = cv2.imdecode(np.frombuffer(picture.encoded, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8), picture.box


def white_in(image: Image, box: dict[str, int]) -> tuple[float, float]:
    """The share of white within the box, and without."""
    inside = np.zeros(image.shape[:2], bool)
    inside[box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]] = True
    white = image.min(axis=2) > 170
    return float(white[inside].mean()), float(white[~inside].mean())


@pytest.mark.parametrize(
    ("size", "box", "shape"),
    [
        ((600, 800), (350, 250, 450, 350), (400, 400)),  # two boxes of each side around it
        ((600, 800), (0, 0, 100, 100), (250, 250)),  # as far as there is any
        ((4000, 6000), (2000, 1000, 3000, 2000), (560, 640)),  # as large as it needs to be
        ((48, 64), (4, 4, 44, 44), (48, 64)),
    ],
)
def test_it_works(
    size: tuple[int, int], box: tuple[int, int, int, int], shape: tuple[int, int]
) -> None:
    image, face = marked(*size, box)
    decoded, shown = seen(image, face)
    assert decoded.shape[:2] == shape
    inside, outside = white_in(decoded, shown)
    assert inside > 0.97 and outside < 0.03


def test_a_turned_picture_is_sent_upright() -> None:
    image, face = marked(600, 800, (350, 100, 450, 200))
    decoded, box = seen(turned(image, 270), replace(face, rotation=90))
    assert white_in(decoded, box)[0] > 0.97


def test_a_box_that_reaches_over_the_border() -> None:
    image, face = marked(100, 100, (0, 0, 60, 60))
    face = replace(face, box=np.array([-20.0, -30.0, 60.0, 60.0]))
    assert seen(image, face)[1] == {"x": 0, "y": 0, "width": 60, "height": 60}
