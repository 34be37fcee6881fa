"""The detectors with one output cell for each patch: SCRFD, RetinaFace, YuNet."""

import cv2
import numpy as np

from recognition.inference.arrays import Image
from recognition.inference.detection.decoders import DECODERS, suppress
from recognition.inference.detection.results import Detections, joined
from recognition.inference.images import reduced, shrinking
from recognition.inference.pack.specs import AnchorSpec
from recognition.inference.sessions import Model, to_input

# Only this many faces of the highest scores count: a picture made to have a face in every cell must
# not cost seconds.
_MOST_CANDIDATES = 5000


class AnchorDetector:
    """Fits the picture into the network's input, once or at two sizes, and merges what is found."""

    def __init__(self, spec: AnchorSpec, model: Model) -> None:
        self._spec = spec
        self._model = model

    def detect(self, image: Image, *, quick: bool = False) -> Detections:
        spec = self._spec
        sizes = [spec.small_size, spec.input.size]
        if quick:
            # In a network with one input size each search costs the same.
            sizes = sizes[1:] if spec.fixed_size else [spec.small_size, spec.input.size // 2]
        found = joined([self._search(image, size) for size in sizes if size])
        surest = np.argsort(-found.scores, kind="stable")[:_MOST_CANDIDATES]
        return suppress(found.take(surest), spec.nms_iou)

    def _search(self, image: Image, size: int) -> Detections:
        """The faces of the picture fitted into a square of this size, in the picture's pixels."""
        spec = self._spec
        # Noise does not hide large faces, and they were measured with linear interpolation.
        image, factor = (image, 1) if size == spec.small_size else reduced(image, size)
        rows, columns = image.shape[:2]
        longest = max(rows, columns)
        height, width = max(1, rows * size // longest), max(1, columns * size // longest)
        # A square, though 3:2 photos need a third less: the networks look beyond the picture's
        # edge, and less black there moves boxes away from InsightFace's (IoU down to 0.92).
        side = spec.input.size if spec.fixed_size else size
        canvas = np.zeros((side, side, 3), np.uint8)
        canvas[:height, :width] = cv2.resize(
            image, (width, height), interpolation=shrinking(factor)
        )
        outputs = self._model.run(to_input([canvas], spec.input))
        # One factor for both sides, as in InsightFace; rounding makes the sides differ by 0.3%.
        return DECODERS[type(spec)](outputs, spec, side).scaled(factor * rows / height)
