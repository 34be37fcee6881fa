"""Finds five landmarks by a cascade of regression trees (Kazemi and Sullivan, CVPR 2014)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from recognition.inference.alignment import fit_similarity
from recognition.inference.arrays import Floats, Image


class LandmarkCascade:
    """dlib's 5-point predictor: outer and inner corner of each eye, base of the nose.

    Arrays as in dlib.format.ShapePredictor, for C cascades of T trees with S splits.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self._initial = arrays["initial_shape"].astype(np.float64)
            self._first, self._second = arrays["split_first"], arrays["split_second"]
            self._threshold, self._leaves = arrays["split_threshold"], arrays["leaves"]
            self._anchors, self._deltas = arrays["anchors"], arrays["deltas"].astype(np.float64)
        self._trees = np.arange(self._first.shape[1])
        self._depth = (self._first.shape[2] + 1).bit_length() - 1

    def predict(self, grey: npt.NDArray[np.uint8], box: Floats) -> Floats:
        """Landmarks (5, 2) in pixels of `grey` for one face box (x1, y1, x2, y2).

        `grey` must come from `mean_grey`: other weights of the colours move the points.
        """
        left, top, right, bottom = np.floor(box + 0.5)
        origin, size = np.array([left, top]), np.array([right - left, bottom - top])
        shape = self._initial.copy()
        for stage in range(len(self._anchors)):
            turn = fit_similarity(self._initial, shape)[:, :2]
            points = self._deltas[stage] @ turn.T + shape[self._anchors[stage]]
            pixels = _pixels_at(grey, points * size + origin)
            shape += self._forest_sum(stage, pixels)
        landmarks: Floats = shape * size + origin
        return landmarks

    def _forest_sum(self, stage: int, pixels: npt.NDArray[np.float32]) -> Floats:
        """The sum over all trees of the leaf that the pixels lead to, all trees at once."""
        trees = self._trees
        first, second = self._first[stage], self._second[stage]
        node = np.zeros_like(trees)
        for _ in range(self._depth):
            difference = pixels[first[trees, node]] - pixels[second[trees, node]]
            node = 2 * node + np.where(difference > self._threshold[stage][trees, node], 1, 2)
        leaf = node - first.shape[1]
        total: Floats = self._leaves[stage][trees, leaf].sum(axis=0, dtype=np.float64)
        return total


def mean_grey(image: Image) -> npt.NDArray[np.uint8]:
    """(rows, columns) floor((R + G + B) / 3), the grey that dlib's forests were trained on."""
    # Channel by channel: nine times as fast as a sum over the last axis.
    total = image[..., 0].astype(np.uint16)
    total += image[..., 1]
    total += image[..., 2]
    grey: npt.NDArray[np.uint8] = (total // 3).astype(np.uint8)
    return grey


def _pixels_at(grey: npt.NDArray[np.uint8], points: Floats) -> npt.NDArray[np.float32]:
    """Grey values at the rounded points, 0 outside of the picture."""
    x, y = np.floor(points + 0.5).astype(np.int64).T
    inside = (x >= 0) & (y >= 0) & (x < grey.shape[1]) & (y < grey.shape[0])
    values = grey[np.where(inside, y, 0), np.where(inside, x, 0)].astype(np.float32)
    values[~inside] = 0
    return values
