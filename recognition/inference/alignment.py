"""From landmarks to a canonical crop: pure geometry.

Pixel centres have integer coordinates, as in OpenCV and dlib.
"""

import cv2
import numpy as np

from recognition.inference.arrays import Floats, Image

# Bilinear sampling skips pixels at a greater reduction, so the picture is halved first.
_LARGEST_REDUCTION = 2.0


def fit_similarity(source: Floats, target: Floats) -> Floats:
    """The (2, 3) matrix of rotation, scale and shift that takes source (N, 2) nearest to target.

    Least squares without reflection (Umeyama 1991, which in the plane is one complex division).
    Raises ValueError when all source points coincide.
    """
    a, b = source.mean(axis=0), target.mean(axis=0)
    z = (source - a) @ np.array([1, 1j])
    w = (target - b) @ np.array([1, 1j])
    power = np.vdot(z, z).real
    if power == 0:
        raise ValueError("the points coincide")
    turn = np.vdot(z, w) / power
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([matrix, b - matrix @ a])


def align(image: Image, landmarks: Floats, template: Floats, size: int) -> Image:
    """The (size, size, 3) crop of `image` in which the landmarks lie on the template.

    `template` (5, 2) is in pixels of the crop. What lies outside of the picture is black.
    """
    matrix = fit_similarity(landmarks.astype(np.float64), template)
    image, matrix = _reduce(image, matrix, size)
    crop = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return crop.astype(np.uint8, copy=False)


def square_crop(image: Image, box: Floats, scale: float, size: int) -> Image:
    """(size, size, 3): a square around the box's centre, `scale` times its longer side.

    What lies outside of the picture is black.
    """
    middle = (box[:2] + box[2:]) / 2
    zoom = size / max(float(np.max(box[2:] - box[:2])) * scale, 1e-6)
    matrix = np.column_stack([np.diag([zoom, zoom]), size / 2 - middle * zoom])
    image, matrix = _reduce(image, matrix, size)
    return cv2.warpAffine(image, matrix, (size, size)).astype(np.uint8, copy=False)


def _reduce(image: Image, matrix: Floats, size: int) -> tuple[Image, Floats]:
    """Halve the surroundings of the crop until it takes at most every second pixel."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale * _LARGEST_REDUCTION >= 1:
        return image, matrix
    image, matrix = _cut(image, matrix, size, margin=8 / scale)
    while scale * _LARGEST_REDUCTION < 1 and min(image.shape[:2]) >= 2:
        image = cv2.pyrDown(image).astype(np.uint8, copy=False)
        # pyrDown centres its output pixel i on input pixel 2i.
        matrix = matrix @ np.diag([2.0, 2.0, 1.0])
        scale *= 2
    return image, matrix


def _cut(image: Image, matrix: Floats, size: int, *, margin: float) -> tuple[Image, Floats]:
    """The part of the picture that a crop needs, so that a face does not cost the whole picture."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64)
    places = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    limits = np.array([image.shape[1], image.shape[0]])
    # At least a pixel, even where a face lies outside of the picture.
    low = np.clip(np.floor(places.min(axis=0) - margin), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(places.max(axis=0) + margin), low + 1, limits).astype(int)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ low
    return image[low[1] : high[1], low[0] : high[0]], shifted
