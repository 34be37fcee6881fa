"""Where the faces of a picture are, and which way up it is: the search around a detector.

A search for the main face alone does not wait for the small ones: it stops as soon as no face that
could be the main one is missing.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.results import NOTHING, Detections, Detector, View
from recognition.inference.images import turned
from recognition.inference.pack.specs import DetectorSpec
from recognition.inference.pose import PoseEstimator

# Faces whose sides differ by a smaller factor count as equal: one step of the default detector's
# pyramid.
_SAME_SIZE = 0.699
# A picture holds no face if the means of its cells differ by less. Its longer side has so many of
# them, or up to twice as many.
_CELLS, _BLANK = 64, 4
# Cosine of 30 degrees: people tilt their heads up to this angle.
_COMMON_TILT = 0.866
# A turned picture is searched for faces as large as the largest that was found, and in any case for
# those with this share of its longer side.
_TURNED_FACE = 0.2

Search = Callable[[View], Detections]


class FaceFinder:
    """A detector, and what is surely upright for it."""

    def __init__(self, detector: Detector, spec: DetectorSpec, pose: PoseEstimator) -> None:
        self._detector = detector
        self._spec = spec
        self._pose = pose

    def find(
        self, image: Image, *, rotate: bool = True, only_main: bool = False
    ) -> tuple[Detections, int]:
        """The faces, and the degrees clockwise by which the picture was turned to be upright.

        Where no face is surely upright the turned picture is also searched, if the pack says so and
        `rotate` allows it. A blank picture is not searched at all. `only_main` may leave out faces
        that are not the main one.
        """
        view = View.of(image, self._spec.largest_side)
        if is_blank(view.small):
            return NOTHING, 0
        search = self._main if only_main else self._detector.detect
        found = search(view)
        if rotate and self._spec.rotate and self._sureness(found) < self._spec.upright_score:
            return self._turned(view, found, search)
        return found, 0

    def _main(self, view: View) -> Detections:
        """The main face, if it is surely upright and what is larger or as large is known; otherwise
        all faces.
        """
        for sight in self._detector.sights(view):
            if not sight.unseen:
                return sight.closely(list(range(len(sight.boxes))))
            order = by_prominence(sight.boxes, view.image)
            if order and sight.unseen < _SAME_SIZE * _sides(sight.boxes).max():
                main = sight.closely(order[:1])
                if self._sureness(main) >= self._spec.upright_score:
                    return main
        raise ValueError("the detector did not end its search")

    def _turned(self, view: View, found: Detections, search: Search) -> tuple[Detections, int]:
        """`found`, or the surely upright faces of a turned picture, and its rotation.

        The picture is turned even if faces were found. Every detector here finds most faces that
        lie on their side or stand on their head, but with the landmarks of an upright one, and the
        embedding matches no person (cosine 0.0 with the same photo upright). A glance says which
        turn is the best, and a search there whether it is right.
        """
        face = _TURNED_FACE * max(view.small.shape[:2])
        if len(found):
            face = min(face, float(_sides(found.boxes).max()) / view.factor)
        sureness = {
            degrees: self._sureness(self._detector.glance(view.turned(degrees), face))
            for degrees in (90, 180, 270)
        }
        best = max(sureness, key=lambda degrees: sureness[degrees])
        if sureness[best] <= max(self._sureness(found), 0):
            return found, 0
        again = search(View.of(turned(view.image, best), self._spec.largest_side))
        return (again, best) if self._sureness(again) >= self._spec.upright_score else (found, 0)

    def _sureness(self, found: Detections) -> float:
        """The score of the surest face, lowered if its landmarks are tilted; -1 without a face."""
        if not len(found):
            return -1.0
        roll = np.radians(self._pose.estimate(found.landmarks[0]).roll)
        return float(found.scores[0] * min(1, np.cos(roll) / _COMMON_TILT))


def by_prominence(boxes: Floats, image: Image) -> list[int]:
    """Indices of the boxes, that of the main face first: the largest, or the most central of those
    of about its size.

    Detectors that search a pyramid give many faces the very same size. On LFW, choosing by size
    alone often took a bystander, which cost 1.6% of the mated pairs at FMR 1e-3.
    """
    sides = _sides(boxes)
    order = [int(index) for index in np.argsort(-sides, kind="stable")]
    if len(order) < 2:
        return order
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    distances = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - middle, axis=1)
    rivals = [index for index in order if sides[index] >= _SAME_SIZE * sides[order[0]]]
    main = min(rivals, key=lambda index: float(distances[index]))
    return [main, *(index for index in order if index != main)]


def _sides(boxes: Floats) -> Floats:
    """(N,) the sides of squares as large as the boxes."""
    sides: Floats = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    return sides


def is_blank(small: Image) -> bool:
    """Whether a picture is so uniform that it can hold no face."""
    cells: npt.NDArray[Any] = small
    # OpenCV halves a picture in a seventh of the time that another factor takes.
    while max(cells.shape[:2]) >= 2 * _CELLS and min(cells.shape[:2]) >= 2:
        rows, columns = cells.shape[0] // 2, cells.shape[1] // 2
        even = cells[: 2 * rows, : 2 * columns]
        cells = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA)
    limits = [cv2.minMaxLoc(channel)[:2] for channel in cv2.split(cells)]
    return all(most - least < _BLANK for least, most in limits)
