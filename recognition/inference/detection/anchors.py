"""The detectors with one output cell for each patch: SCRFD, RetinaFace, YuNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import cv2
import numpy as np

from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.decoders import suppress
from recognition.inference.detection.results import Detections, joined
from recognition.inference.sessions import Model, to_input
from recognition.inference.specs import AnchorSpec

Spec = TypeVar("Spec", bound=AnchorSpec)
# Outputs, spec, height and width of the input -> faces above the threshold, not suppressed.
Decode = Callable[[list[Floats], Spec, int, int], Detections]

# The largest stride of these networks: they merge levels, so the sides must be multiples of it.
_MULTIPLE = 32


class AnchorDetector(Generic[Spec]):
    """Fits the picture into the network's input, once or at two sizes, and merges what is found."""

    def __init__(self, spec: Spec, model: Model, decode: Decode[Spec]) -> None:
        self._spec = spec
        self._model = model
        self._decode = decode

    def detect(self, image: Image, *, quick: bool = False) -> Detections:
        sizes = [size for size in (self._spec.small_size, self._spec.input.size) if size]
        found = [self._search(image, size) for size in sizes]
        return suppress(joined(found), self._spec.nms_iou)

    def _search(self, image: Image, size: int) -> Detections:
        """The faces of the picture fitted into a square of this size, in the picture's pixels."""
        spec = self._spec
        rows, columns = image.shape[:2]
        scale = size / max(rows, columns)
        width, height = max(1, int(columns * scale)), max(1, int(rows * scale))
        canvas = self._canvas(height, width)
        canvas[:height, :width] = cv2.resize(image, (width, height))
        outputs = list(self._model.run(to_input([canvas], spec.input)))
        found = self._decode(outputs, spec, *canvas.shape[:2])
        # The true factors of the two sides differ by the rounding.
        return found.scaled(columns / width, rows / height)

    def _canvas(self, height: int, width: int) -> Image:
        """A black picture with room for one of this size."""
        if self._spec.fixed_size:
            height = width = self._spec.input.size
        height, width = (-(-side // _MULTIPLE) * _MULTIPLE for side in (height, width))
        return np.zeros((height, width, 3), np.uint8)
