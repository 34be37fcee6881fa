"""Pictures of a screen or a print that shows a photo of a face: simulated presentation attacks.

What a camera sees of a phone or a monitor: the photo in perspective, the screen's dark frame or
none, its grid against the sensor's (moire), its light, a reflection, blur, noise, JPEG. What it
sees of a print: fewer tones, the dots of the printer, the paper's grain and bend, its white margin
or none, the light of the room.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from recognition.inference.arrays import Image

Generator = np.random.Generator
SIDE = 480  # pixels of the pictures that come out


def as_camera(photo: Image, random: Generator) -> Image:
    """The photo as the camera sees the scene itself: same size, blur, noise and compression."""
    scene = cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return _taken(scene, random)


def as_screen(photo: Image, random: Generator, *, close: bool) -> Image:
    """The photo on a screen, whose frame and surroundings are seen unless it is `close`."""
    size = 400
    shown = cv2.resize(photo, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    shown *= random.uniform([0.95, 0.88, 0.8], [1.1, 1.0, 0.95])  # BGR: a screen's light is bluish
    shown = 128 + (shown - 128) * random.uniform(0.8, 1.1) + random.uniform(0, 25)
    frame = 0 if close else int(random.integers(14, 34))
    shown = cv2.copyMakeBorder(
        shown, frame, frame, frame, frame, cv2.BORDER_CONSTANT, value=(18.0, 16.0, 15.0)
    )
    return _held_up(shown, random, lambda seen: _glare(seen * _moire(random), random), close=close)


def as_print(photo: Image, random: Generator, *, close: bool) -> Image:
    """The photo on paper, whose margin and surroundings are seen unless it is `close`."""
    size = 400
    shown = cv2.resize(photo, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    # Ink is no black, and paper no white.
    darkest, lightest = random.uniform(25, 55), random.uniform(205, 240)
    shown = darkest + (lightest - darkest) * (shown / 255) ** random.uniform(0.85, 1.2)
    shown *= 1 + _dots(size, random)
    margin = 0 if close else int(random.integers(10, 30))
    shown = cv2.copyMakeBorder(
        shown, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(lightest,) * 3
    )
    return _held_up(shown, random, lambda seen: _on_paper(seen, random), close=close)


def _held_up(
    shown: np.ndarray, random: Generator, seen: Callable[[np.ndarray], np.ndarray], *, close: bool
) -> Image:
    """What the camera sees of a flat thing in a room; `seen` is what happens to its light."""
    scene = np.full((SIDE, SIDE, 3), random.uniform(40, 170, 3), np.float32)
    scene += np.linspace(-30, 30, SIDE, dtype=np.float32)[:, None, None]
    matrix = _perspective(shown.shape[0], random, close=close)
    mask = cv2.warpPerspective(np.ones(shown.shape[:2], np.float32), matrix, (SIDE, SIDE))
    warped = cv2.warpPerspective(shown, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    scene = scene * (1 - mask[..., None]) + seen(warped) * mask[..., None]
    return _taken(scene.astype(np.float32), random)


def _dots(size: int, random: Generator) -> np.ndarray:
    """(size, size, 3) around 0: the screen of dots of each ink, at the angles that printers use."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    period, strength = random.uniform(2.2, 4.5), random.uniform(0.03, 0.12)
    dots = np.empty((size, size, 3), np.float32)
    for colour, angle in enumerate(np.radians([0, 75, 15])):  # yellow, magenta, cyan
        u = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period)
        v = (y * np.cos(angle) - x * np.sin(angle)) * (2 * np.pi / period)
        dots[..., colour] = strength * (np.cos(u) + np.cos(v)) / 2
    return dots


def _on_paper(scene: np.ndarray, random: Generator) -> np.ndarray:
    """The grain of the paper, the shade of its bend, and the colour of the room's light."""
    grain = cv2.GaussianBlur(random.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 1.5)
    grain *= random.uniform(0.01, 0.03) / grain.std()
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE - 0.5
    angle, at = random.uniform(0, np.pi), random.uniform(-0.4, 0.4)
    bend = random.uniform(-0.5, 0.5) * (x * np.cos(angle) + y * np.sin(angle) - at)
    light = random.uniform([0.8, 0.92, 0.95], [1.0, 1.0, 1.08])  # BGR: lamps are warm
    lit: np.ndarray = scene * (1 + grain + bend)[..., None] * light
    return lit


def _perspective(size: int, random: Generator, *, close: bool) -> np.ndarray:
    """From the corners of the screen to where the camera sees them."""
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
    margin = -0.04 * SIDE if close else random.uniform(0.03, 0.1) * SIDE
    inside = SIDE - 2 * margin
    seen = corners / size * inside + margin
    seen += random.uniform(-0.03, 0.03, (4, 2)) * SIDE
    return cv2.getPerspectiveTransform(corners, seen.astype(np.float32))


def _moire(random: Generator) -> np.ndarray:
    """(SIDE, SIDE, 3) factors around 1: slow bands where two grids nearly agree, per colour."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    bands = np.ones((SIDE, SIDE, 3), np.float32)
    for _ in range(2):
        angle, period = random.uniform(0, np.pi), random.uniform(4, 24)
        along = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period)
        strength = random.uniform(0.02, 0.09)
        for colour, shift in enumerate((0, 2.1, 4.2)):  # the sub-pixels lie side by side
            bands[..., colour] += strength * np.sin(along + shift)
    return bands


def _glare(scene: np.ndarray, random: Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    at, width = random.uniform(0, SIDE, 2), random.uniform(0.08, 0.3, 2) * SIDE
    spot = np.exp(-(((x - at[0]) / width[0]) ** 2) - ((y - at[1]) / width[1]) ** 2)
    return scene + random.uniform(10, 90) * spot[..., None]


def _taken(scene: np.ndarray, random: Generator) -> Image:
    """Through a lens, onto a sensor and into a JPEG of quality 90."""
    blurred = cv2.GaussianBlur(scene, (0, 0), random.uniform(0.5, 1.1))
    noisy = blurred + random.normal(0, 2.5, blurred.shape)
    picture = np.clip(noisy, 0, 255).astype(np.uint8)
    done, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 90))
    if not done:
        raise ValueError("the picture cannot be encoded")
    return cv2.imdecode(data, cv2.IMREAD_COLOR).astype(np.uint8)
