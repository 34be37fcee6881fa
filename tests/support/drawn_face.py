"""A face that shows no person: the example picture of the API description.

`python -m tests.support.drawn_face` draws it into facesvc/openapi/example_face.webp.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from recognition.inference.arrays import Floats, Image

FILE = Path(__file__).parents[2] / "facesvc" / "openapi" / "example_face.webp"
# Pixels of a side: the drawing is made smaller for the file.
DRAWN, SIDE = 384, 192
_QUALITY = 60  # of WebP
_SHIFT = 4  # OpenCV takes sixteenths of a pixel

Colour = tuple[int, int, int]  # blue, green, red
WALL, COAT, HAIR = (150, 140, 125), (110, 70, 45), (35, 45, 62)
SKIN, SHADE, LIGHT = (150, 180, 222), (93, 112, 138), (170, 203, 245)
WHITE, IRIS, PUPIL, GLEAM = (225, 230, 235), (60, 75, 90), (15, 15, 18), (250, 250, 250)
LASHES = (30, 35, 45)
LIPS, LIPS_MEET, NOSTRIL = (100, 100, 190), (35, 35, 75), (40, 45, 75)
WHOLE = (0, 360)


class Layer(NamedTuple):
    """An ellipse or an arc of one, filled or as a line. Lengths are in pixels of the drawing,
    `x` counts from the middle of the face, `y` from the top, angles are in degrees."""

    x: float
    y: float
    wide: float  # half of it, as `high`
    high: float
    colour: Colour
    strength: float = 1.0  # 1 hides what is below
    blur: float = 1.0
    arc: tuple[int, int] = WHOLE
    line: int = cv2.FILLED
    turned: float = 0.0

    def mirrored(self) -> "Layer":
        arc = self.arc if self.arc == WHOLE else (180 - self.arc[1], 180 - self.arc[0])
        return self._replace(x=-self.x, arc=arc, turned=-self.turned)


BEHIND = [
    Layer(0, 420, 142, 82, COAT),
    Layer(0, 322, 46, 68, SHADE, blur=1.5),
    Layer(0, 170, 103, 128, HAIR, blur=1.5),
]
BESIDE = [Layer(88, 206, 13, 27, SHADE)]  # an ear
HEAD = [
    Layer(0, 196, 85, 114, SKIN),
    Layer(0, 143, 52, 30, LIGHT, 0.7, 15),
    Layer(0, 304, 26, 10, LIGHT, 0.4, 8),
    Layer(0, 130, 88, 66, HAIR, 1, 1.5, (180, 360), 26),
]
# Half of what there are two of; the other half is its mirror image.
HALF = [
    Layer(64, 200, 12, 58, SHADE, 0.6, 8),
    Layer(43, 232, 21, 18, LIGHT, 0.6, 9),
    # the eye
    Layer(35, 190, 27, 17, SHADE, 0.55, 6),
    Layer(35, 196, 18, 8, WHITE),
    Layer(35, 196, 8, 8, IRIS, 1, 0.7),
    Layer(35, 196, 4.5, 4.5, PUPIL, 1, 0.7),
    Layer(33, 193, 2, 2, GLEAM, 1, 0.5),
    Layer(35, 197, 20, 10, LASHES, 0.95, 0.8, (190, 350), 4),
    Layer(35, 197, 19, 9, SHADE, 0.7, 0.8, (20, 160), 2),
    Layer(36, 183, 26, 13, HAIR, 0.9, 1.5, (205, 335), 7, 6),
    # the nose
    Layer(13, 219, 5, 32, SHADE, 0.35, 4.5, turned=-8),
    Layer(15, 246, 9, 8, SHADE, 0.4, 3),
    Layer(8, 253, 5, 3, NOSTRIL, 0.9, 1.2, turned=-15),
    Layer(18, 246, 7, 10, SHADE, 0.7, 1.5, (-60, 60), 2),
]
MIDDLE = [
    Layer(0, 219, 7, 38, LIGHT, 0.6, 4.5),
    Layer(0, 243, 11, 9, LIGHT, 0.8, 4.5),
    Layer(0, 258, 16, 5, SHADE, 0.6, 3),
    # the mouth
    Layer(0, 280, 33, 7, LIPS, 0.95, 1.2, (180, 360)),
    Layer(0, 280, 30, 11, LIPS, 0.95, 1.2, (0, 180)),
    Layer(0, 277, 33, 5, LIPS_MEET, 0.9, 0.8, (10, 170), 3),
    Layer(0, 298, 25, 5, SHADE, 0.5, 4.5),
]


def drawing() -> Image:
    """(SIDE, SIDE, 3), BGR."""
    canvas = np.full((DRAWN, DRAWN, 3), WALL, np.float64)
    for layer in _layers():
        _draw(canvas, layer)
    canvas *= np.linspace(1.06, 0.9, DRAWN)[None, :, None]  # lit from the left
    whole = np.clip(canvas, 0, 255).astype(np.uint8)
    return cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _layers() -> Iterator[Layer]:
    yield from BEHIND
    for part, has_two in ((BESIDE, True), (HEAD, False), (HALF, True), (MIDDLE, False)):
        for layer in part:
            yield layer
            if has_two:
                yield layer.mirrored()


def _draw(canvas: Floats, layer: Layer) -> None:
    shape = np.zeros(canvas.shape[:2])
    centre = _fixed(DRAWN / 2 + layer.x), _fixed(layer.y)
    axes = _fixed(layer.wide), _fixed(layer.high)
    cv2.ellipse(shape, centre, axes, layer.turned, *layer.arc, 1.0, layer.line, cv2.LINE_AA, _SHIFT)
    mask = layer.strength * cv2.GaussianBlur(shape, (0, 0), layer.blur)[..., None]
    canvas += mask * (np.array(layer.colour) - canvas)


def _fixed(length: float) -> int:
    return round(length * (1 << _SHIFT))


if __name__ == "__main__":
    _, data = cv2.imencode(".webp", drawing(), [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    FILE.write_bytes(data.tobytes())
