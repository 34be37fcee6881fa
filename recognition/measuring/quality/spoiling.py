"""Photos made worse: turned, covered, smeared, coarse, small or dark."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from recognition.inference.arrays import Floats, Image
from recognition.inference.images import turned
from recognition.inference.pipeline import DetectedFace
from recognition.inference.pose import eye_centres

# Sides of the face in pixels, and factors of the light, from bad to worse.
SIZES = (62, 45, 32, 24)
LIGHTS = (0.5, 0.25, 0.12, 0.06)
# Sides in pixels from which a face of its old size is made again: good enough for most, and not.
_MILD, _COARSE = 24, (8, 15)
_ENLARGED = (cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_NEAREST, cv2.INTER_NEAREST)
# Length of a motion in sides of the face.
_MOTION = (0.22, 0.42)

Lot = np.random.Generator


@dataclass(frozen=True)
class Spoilt:
    """`kind` is a flaw, or what the `rung` changes. `rotate` is for FacePipeline.detect."""

    kind: str
    rung: float
    image: Image
    rotate: bool = True


def spoilt(image: Image, face: DetectedFace, names: tuple[str, ...], lot: Lot) -> Iterator[Spoilt]:
    """An upright photo made worse in every way; `names` of the face's landmarks."""
    side = float(np.max(face.box[2:] - face.box[:2]))
    eyes = np.array(eye_centres(face.landmarks, names))
    for degrees in (90, 180, 270):
        yield Spoilt("level", degrees, turned(image, degrees), rotate=False)
    yield Spoilt("mouth", 0, masked(image, eyes, lot))
    yield Spoilt("eyes", 0, barred(image, eyes, lot))
    # Most motion is nearly level: it shows least, and heads turn like that.
    for angle in (lot.uniform(-10, 10), lot.uniform(0, 180)):
        length = round(lot.uniform(*_MOTION) * side)
        yield Spoilt("stillness", angle, moved(image, length, angle))
    way = _ENLARGED[lot.integers(len(_ENLARGED))]
    yield Spoilt("detail", 0, coarse(image, lot.integers(*_COARSE) / side, way))
    yield Spoilt("mild", _MILD, coarse(image, _MILD / side, cv2.INTER_CUBIC))
    for size in SIZES:
        yield Spoilt("size", size, scaled(image, size / side))
    for light in LIGHTS:
        yield Spoilt("light", light, (image * light).astype(np.uint8))


def masked(image: Image, eyes: Floats, lot: Lot) -> Image:
    """With a mask over mouth and nose, of some shape and colour."""
    top, width = lot.uniform(0.2, 0.55), lot.uniform(0.85, 1.1)
    bottom = lot.uniform(1.8, 2.1)
    left = [(-width, top), (-0.95 * width, 1.1), (-0.6 * width, 1.65)]
    right = [(-x, y) for x, y in reversed(left)]
    outline = [(0, top - 0.05), *left, (0, bottom), *right]
    return _shaded(image, _painted(image, eyes, outline, _colour(lot)))


def barred(image: Image, eyes: Floats, lot: Lot) -> Image:
    """With a bar over the eyes, every second one black."""
    height, width = lot.uniform(0.22, 0.4), lot.uniform(0.9, 1.3)
    outline = [(-width, -height), (width, -height), (width, height), (-width, height)]
    colour = (0, 0, 0) if lot.random() < 0.5 else _colour(lot)
    return _painted(image, eyes, outline, colour)


def moved(image: Image, length: int, angle: float) -> Image:
    """Smeared along a line of `length` pixels, at an angle in degrees."""
    line = np.zeros((length, length), np.float32)
    line[length // 2] = 1
    middle = ((length - 1) / 2, (length - 1) / 2)
    line = cv2.warpAffine(line, cv2.getRotationMatrix2D(middle, angle, 1), (length, length)).astype(
        np.float32
    )
    blurred = cv2.filter2D(image, -1, line / line.sum(), borderType=cv2.BORDER_REFLECT)
    return blurred.astype(np.uint8, copy=False)


def coarse(image: Image, scale: float, way: int) -> Image:
    """Reduced to a scale and enlarged to its size again."""
    rows, columns = image.shape[:2]
    enlarged = cv2.resize(scaled(image, scale), (columns, rows), interpolation=way)
    return enlarged.astype(np.uint8, copy=False)


def scaled(image: Image, scale: float) -> Image:
    rows, columns = image.shape[:2]
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=way).astype(np.uint8, copy=False)


def _painted(
    image: Image, eyes: Floats, outline: list[tuple[float, float]], colour: tuple[int, ...]
) -> Image:
    """With a polygon around the middle of the eyes, in units of their distance."""
    across = eyes[np.argmax(eyes[:, 0])] - eyes[np.argmin(eyes[:, 0])]
    down = np.array([-across[1], across[0]])
    points = eyes.mean(axis=0) + np.array(outline) @ np.array([across, down])
    painted = image.copy()
    # In sixteenths of a pixel.
    fixed = np.round(points * 16).astype(np.int32)
    cv2.fillPoly(painted, [fixed], colour, lineType=cv2.LINE_AA, shift=4)
    return painted


def _shaded(image: Image, painted: Image) -> Image:
    """What was painted gets light and shade from what is under it."""
    changed = (painted != image).any(axis=2)
    light = cv2.GaussianBlur(image, (0, 0), 6).mean(axis=2)
    share = light[changed] / max(float(light[changed].mean()), 1) if changed.any() else light[:0, 0]
    shaded = painted.copy()
    shaded[changed] = np.clip(painted[changed] * (0.6 + 0.4 * share[:, None]), 0, 255)
    return shaded


def _colour(lot: Lot) -> tuple[int, ...]:
    """Any colour, or one that masks often have: white, black, light blue."""
    grey, blue = int(lot.integers(0, 50)), int(lot.integers(170, 240))
    return (
        tuple(int(value) for value in lot.integers(0, 256, 3)),
        (255 - grey, 255 - grey, 255 - grey),
        (grey, grey, grey),
        (blue, int(blue * 0.9), int(blue * 0.65)),
    )[lot.integers(4)]
