"""Pictures of a screen that shows a photo of a face: a simulation of a presentation attack.

What a camera sees of a phone or a monitor: the photo in perspective, the screen's dark frame or
none, its grid against the sensor's (moire), its light, a reflection, blur, noise, JPEG.
"""

from __future__ import annotations

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
    scene = np.full((SIDE, SIDE, 3), random.uniform(40, 170, 3), np.float32)
    scene += np.linspace(-30, 30, SIDE, dtype=np.float32)[:, None, None]
    matrix = _perspective(shown.shape[0], random, close=close)
    mask = cv2.warpPerspective(np.ones(shown.shape[:2], np.float32), matrix, (SIDE, SIDE))
    warped = cv2.warpPerspective(shown, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    warped = _glare(warped * _moire(random), random)
    scene = scene * (1 - mask[..., None]) + warped * mask[..., None]
    return _taken(scene.astype(np.float32), random)


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
