"""The result of a detector, and the interface of all detectors."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats, Image


@dataclass(frozen=True)
class Detections:
    """N faces in pixels of the picture; boxes may reach over its border."""

    boxes: Floats  # (N, 4) x1, y1, x2, y2
    scores: Floats  # (N,) in the detector's own unit
    landmarks: Floats  # (N, 5, 2) x, y

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, indices: list[int] | npt.NDArray[np.intp]) -> "Detections":
        return Detections(self.boxes[indices], self.scores[indices], self.landmarks[indices])

    def scaled(self, factor: float) -> "Detections":
        return Detections(self.boxes * factor, self.scores, self.landmarks * factor)


def joined(parts: list[Detections]) -> Detections:
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
    )


class Detector(Protocol):
    def detect(self, image: Image, *, quick: bool = False) -> Detections:
        """Returns faces, best first.

        `quick` skips what costs most and finds least: the smallest faces, faces that fill the
        picture, or a second search where nothing is found.
        """
