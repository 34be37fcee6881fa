"""The detectors with one output cell for each patch: SCRFD, RetinaFace, YuNet."""

from collections.abc import Iterator, Sequence
from functools import partial

import cv2
import numpy as np

from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.decoders import DECODERS, suppress
from recognition.inference.detection.results import Detections, Sight, View, joined
from recognition.inference.images import shrinking
from recognition.inference.pack.specs import AnchorSpec
from recognition.inference.sessions import Model, to_input

# Only this many faces of the highest scores count: a picture made to have a face in every cell must
# not cost seconds.
_MOST_CANDIDATES = 5000
# Pixels of black beside a picture that is no square: the networks look beyond the edge. With them
# the boxes of 72 faces have an IoU of 0.97 and more with those in InsightFace squares, and without
# any of 0.86. A square of 640 would cost a quarter more than 640 x 512.
_BESIDE = 32
# The side of what a closer look at a face sees, in sides of its box.
_SURROUNDINGS = 1.5
# A closer look shows the same face if the boxes have so much in common.
_SAME_FACE = 0.4


class AnchorDetector:
    """Fits the picture into the network's input, once or at two sizes, and merges what is found.

    No picture is enlarged for it, unless the network knows one size only, or the pack says so.
    """

    def __init__(self, spec: AnchorSpec, model: Model) -> None:
        self._spec = spec
        self._model = model

    def detect(self, view: View) -> Detections:
        sides = (self._spec.small_size, self._spec.input.size)
        return self._found(view, [side for side in sides if side], beside=_BESIDE)

    def sights(self, view: View) -> Iterator[Sight]:
        """Small, at half of the size, and then as `detect`."""
        spec, longest = self._spec, max(view.small.shape[:2])
        for side in self._coarse_sides():
            if spec.fixed_size or side >= longest:
                break
            found = self._found(view, [side])
            unseen = spec.sure_size * view.factor * longest / side
            yield Sight(found.boxes, unseen, partial(self._closely, view, found))
            if not len(found):  # a face would be too small for the next one
                break
        found = self.detect(view)
        yield Sight(found.boxes, 0, found.take)

    def glance(self, view: View, face: float) -> Detections:
        spec, longest = self._spec, max(view.image.shape[:2])
        # Larger than the least, so that a face that is upright has the best score.
        needed = round(1.6 * spec.sure_size * longest / face)
        return self._found(view, [int(np.clip(needed, *self._coarse_sides()))])

    def search(self, image: Image, side: int) -> Detections:
        return self._found(View(image, image, 1), [side])

    def marked(self, image: Image, found: Detections) -> Detections:
        return found

    def closely(self, image: Image, found: Detections) -> Detections:
        return self._closely(View(image, image, 1), found, range(len(found)))

    def _coarse_sides(self) -> tuple[int, int]:
        """The first misses no face of an eighth of the picture's longer side."""
        spec = self._spec
        return min(8 * spec.sure_size, spec.input.size // 2), spec.input.size // 2

    def _found(self, view: View, sides: Sequence[int], *, beside: int = 0) -> Detections:
        way, image = shrinking(view.factor), view.small
        # Each once, largest last.
        fitting = sorted({self._fitting(image, side) for side in sides})
        parts = [self._search(image, side, way, beside) for side in fitting]
        return self._suppressed(joined(parts)).scaled(view.factor)

    def _fitting(self, image: Image, side: int) -> int:
        """The side at which a picture is searched that was to be searched at this one."""
        if self._spec.fixed_size or self._spec.enlarge:
            return side
        longest: int = max(*image.shape[:2], self._spec.small_size or 0)
        return min(side, longest)

    def _suppressed(self, found: Detections) -> Detections:
        surest = np.argsort(-found.scores, kind="stable")[:_MOST_CANDIDATES]
        return suppress(found.take(surest), self._spec.nms_iou)

    def _search(self, image: Image, side: int, way: int, beside: int = 0) -> Detections:
        """The faces of the picture fitted into this side, in the picture's pixels."""
        spec = self._spec
        rows, columns = image.shape[:2]
        longest = max(rows, columns)
        height, width = max(1, rows * side // longest), max(1, columns * side // longest)
        shape = self._shape(height, width, beside)
        canvas = np.zeros((*shape, 3), np.uint8)
        canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=way)
        outputs = self._model.run(to_input([canvas], spec.input))
        # One factor for both sides, as in InsightFace; rounding makes the sides differ by 0.3%.
        return DECODERS[type(spec)](outputs, spec, shape).scaled(rows / height)

    def _shape(self, height: int, width: int, beside: int) -> tuple[int, int]:
        """That of the input which a picture lies in, top left, with black beside it."""
        if self._spec.fixed_size:
            return self._spec.input.size, self._spec.input.size
        step, longest = max(self._spec.strides), max(height, width)
        rows, columns = (-(-min(side + beside, longest) // step) * step for side in (height, width))
        return rows, columns

    def _closely(self, view: View, found: Detections, indices: Sequence[int]) -> Detections:
        return joined([found.take([]), *(self._close(view, found.boxes[i]) for i in indices)])

    def _close(self, view: View, box: Floats) -> Detections:
        """The face in this box, as it is seen with little around it; none if it is not."""
        half = float(np.max(box[2:] - box[:2])) * _SURROUNDINGS / 2
        # In the smaller picture, if it has enough pixels.
        factor = view.factor if 2 * half / view.factor >= self._spec.close_size else 1
        image = view.image if factor == 1 else view.small
        middle, limits = (box[:2] + box[2:]) / 2, np.array([image.shape[1], image.shape[0]])
        low = np.clip(np.floor((middle - half) / factor), 0, limits - 1).astype(int)
        high = np.clip(np.ceil((middle + half) / factor), low + 1, limits).astype(int)
        part = image[low[1] : high[1], low[0] : high[0]]
        seen = self._suppressed(self._search(part, self._spec.close_size, shrinking(factor)))
        faces = seen.shifted(low).scaled(factor)
        shares = [_share(box, other) for other in faces.boxes]
        best = int(np.argmax([0.0, *shares])) - 1
        return faces.take([best] if best >= 0 and shares[best] >= _SAME_FACE else [])


def _share(box: Floats, other: Floats) -> float:
    """The intersection over the union of two boxes (4,)."""
    sides = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    common = float(np.prod(sides))
    whole = float(np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2])) - common
    return common / whole if whole > 0 else 0.0
