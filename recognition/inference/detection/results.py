"""What detectors take and give, and the interface of all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats, Image
from recognition.inference.images import reduced, turned


@dataclass(frozen=True)
class Detections:
    """N faces in pixels of the picture; boxes may reach over its border."""

    boxes: Floats  # (N, 4) x1, y1, x2, y2
    scores: Floats  # (N,) in the detector's own unit
    landmarks: Floats  # (N, 5, 2) x, y

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, indices: Sequence[int] | npt.NDArray[np.intp]) -> "Detections":
        return Detections(self.boxes[indices], self.scores[indices], self.landmarks[indices])

    def scaled(self, factor: float) -> "Detections":
        return Detections(self.boxes * factor, self.scores, self.landmarks * factor)

    def shifted(self, corner: npt.NDArray[np.int_]) -> "Detections":
        """What was found in a part of a picture whose upper left corner (2,) is there."""
        return Detections(self.boxes + np.tile(corner, 2), self.scores, self.landmarks + corner)


NOTHING = Detections(
    np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32)
)


def joined(parts: list[Detections]) -> Detections:
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
    )


@dataclass(frozen=True)
class View:
    """A picture, and what a detector sees of it: the same, `factor` times smaller."""

    image: Image
    small: Image
    factor: int

    @classmethod
    def of(cls, image: Image, side: int) -> "View":
        """`side` is that of the detector's largest input."""
        return cls(image, *reduced(image, side))

    def turned(self, degrees: int) -> "View":
        """The small picture alone, turned clockwise by a multiple of 90 degrees."""
        small = turned(self.small, degrees)
        return View(small, small, 1)


@dataclass(frozen=True)
class Sight:
    """What a detector knows of a picture after a part of its search.

    No face is missing whose side has more than `unseen` pixels; 0 is the end of the search.
    `closely` gives faces by their indices, with landmarks as good as those of the whole search. It
    leaves out one that a closer look does not find.
    """

    boxes: Floats  # (N, 4) in pixels of the picture, best first
    unseen: float
    closely: Callable[[Sequence[int]], Detections]


class Detector(Protocol):
    def detect(self, view: View) -> Detections:
        """All faces, best first."""

    def sights(self, view: View) -> Iterator[Sight]:
        """What it sees from the largest faces to the smallest; the last sight has all of `detect`.

        Each costs more than the one before, and only when it is asked for.
        """

    def glance(self, view: View, face: float) -> Detections:
        """The faces with a side of about `face` pixels or more, for little."""

    def search(self, image: Image, side: int) -> Detections:
        """The faces of a picture, or of a part of it, fitted into `side` pixels.

        They may lack landmarks, which `marked` adds: it costs more than a face that is found twice.
        """

    def marked(self, image: Image, found: Detections) -> Detections:
        """Faces of a picture, best first, with landmarks; the surest ones, if there are too many
        faces for that.
        """

    def closely(self, image: Image, found: Detections) -> Detections:
        """Faces that are known from a smaller copy of the picture, as this one shows them.

        It leaves out one that a closer look does not find.
        """
