"""dlib's max-margin CNN detector, and the cascade of trees that finds its landmarks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from recognition.inference.alignment import fit_similarity
from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.results import Detections, Sight, View
from recognition.inference.images import shrinking
from recognition.inference.pack.specs import MmodSpec
from recognition.inference.sessions import Model

# Boxes (N, 4) in pixels of the small picture, and their scores.
Candidates = tuple[Floats, Floats]


class MmodDetector:
    """dlib's max-margin CNN detector: one window size, run over a pyramid of the picture.

    The network sees the picture with a border of the mean colour. The window of output cell i has
    its centre at pixel 8 i + 14 of that. Both figures follow from its layers (three convolutions
    5x5/2 without padding).
    """

    _BORDER, _STRIDE, _FIRST = 11, 8, 14
    _MEAN_BGR = (104.298, 117.001, 122.782)
    # The least side of a level for which the three convolutions have an output.
    _LEAST = 7
    # Only this many faces of the highest scores count: a picture made to have thousands of faces
    # must not cost minutes.
    _MOST_CANDIDATES, _MOST_FACES = 2000, 200
    # Windows that reach over the border are found down to about this share of the window.
    _SMALLEST_LEVEL = 0.6
    # Pixels of a level around the centre of a window that its score depends on.
    _CONTEXT = 96

    def __init__(self, spec: MmodSpec, model: Model, cascade: "LandmarkCascade") -> None:
        self._spec = spec
        self._model = model
        self._cascade = cascade

    def detect(self, view: View) -> Detections:
        """Looks for smaller faces, which costs more, only if it finds no other face."""
        boxes, scores = self._searched(view, self._scales(view))
        if not len(boxes):
            boxes, scores = self._searched(view, self._further(view))
        return self._marked(view, boxes, scores)

    def sights(self, view: View) -> Iterator[Sight]:
        """One after the largest faces, then as `detect`.

        The main face is known without all of the next windows: they are smaller, and matter only
        where they lie nearer to the middle, or fit the same face better.
        """
        scales = self._scales(view)[::-1]
        found: list[Candidates] = []
        sure = False
        while scales and not sure:
            found.append(self._at_scale(view, scales.pop(0)))
            sure = bool((found[-1][1] >= self._spec.upright_score).any())
        if scales:
            middle = self._at_scale(view, scales[0], self._middle(view, found[-1][0]))
            smaller = view.factor * self._spec.window / scales[0] * self._spec.pyramid_step
            yield self._sight(view, [*found, middle], smaller)
            found += [self._at_scale(view, scale) for scale in scales]
        if not any(len(boxes) for boxes, _ in found):
            found = [self._at_scale(view, scale) for scale in self._further(view)]
        yield self._sight(view, found, 0)

    def glance(self, view: View, face: float) -> Detections:
        # Half a step of the pyramid more, for the faces between two levels.
        least = face * self._spec.pyramid_step**0.5
        scale = self._scale(view, max(self._spec.min_face, least))
        return self._marked(view, *self._searched(view, self._down_from(view, scale)))

    def search(self, image: Image, side: int) -> Detections:
        """Those of about the size of the window, without landmarks (nan): see `marked`."""
        view = View(image, image, 1)
        found = self._best(view, *self._at_scale(view, side / max(image.shape[:2])))
        return Detections(*found, np.full((len(found[0]), 5, 2), np.nan))

    def marked(self, image: Image, found: Detections) -> Detections:
        found = found.take(range(min(len(found), self._MOST_FACES)))
        is_missing = np.isnan(found.landmarks).any(axis=(1, 2))
        landmarks = found.landmarks.copy()
        for index in np.flatnonzero(is_missing):
            landmarks[index] = self._cascade.predict(image, found.boxes[index])
        return Detections(found.boxes, found.scores, landmarks)

    def closely(self, image: Image, found: Detections) -> Detections:
        return self._with_landmarks(View(image, image, 1), found.boxes, found.scores)

    def _sight(self, view: View, found: list[Candidates], unseen: float) -> Sight:
        boxes, scores = self._best(view, *_joined(found))

        def closely(indices: Sequence[int]) -> Detections:
            return self._with_landmarks(view, boxes[indices], scores[indices])

        return Sight(boxes, unseen, closely)

    def _marked(self, view: View, boxes: Floats, scores: Floats) -> Detections:
        return self._with_landmarks(view, *self._best(view, boxes, scores))

    def _best(self, view: View, boxes: Floats, scores: Floats) -> Candidates:
        """Those that are faces, best first, in pixels of the picture."""
        best = np.argsort(-scores, kind="stable")[: self._MOST_CANDIDATES]
        boxes, scores = boxes[best] * view.factor, scores[best]
        keep = suppress_mmod(boxes, scores, self._spec.nms_overlap)[: self._MOST_FACES]
        return boxes[keep], scores[keep]

    def _with_landmarks(self, view: View, boxes: Floats, scores: Floats) -> Detections:
        # In the whole picture: a pixel of a reduced one is too coarse for the landmarks.
        landmarks = [self._cascade.predict(view.image, box) for box in boxes]
        return Detections(boxes, scores, np.array(landmarks).reshape(-1, 5, 2))

    # --- The pyramid ------------------------------------------------------------------------------

    def _scale(self, view: View, min_face: float) -> float:
        """The scale at which faces of that size are found, within the limits of the picture."""
        longest = max(view.small.shape[:2])
        scale: float = min(
            self._spec.window * view.factor / min_face, self._spec.max_side / longest
        )
        return scale

    def _scales(self, view: View) -> list[float]:
        return self._down_from(view, self._scale(view, self._spec.min_face))

    def _further(self, view: View) -> list[float]:
        """The scales for smaller faces than those of `_scales`, where the picture allows it."""
        searched = self._scale(view, self._spec.min_face)
        larger = self._scale(view, self._spec.min_face_retry)
        return self._down_from(view, larger) if larger > searched else []

    def _down_from(self, view: View, scale: float) -> list[float]:
        """The scales of a pyramid, this one first."""
        shorter, spec = min(view.small.shape[:2]), self._spec
        scales = [scale]
        while shorter * scales[-1] * spec.pyramid_step >= spec.window * self._SMALLEST_LEVEL:
            scales.append(scales[-1] * spec.pyramid_step)
        return scales

    def _searched(self, view: View, scales: list[float]) -> Candidates:
        return _joined([self._at_scale(view, scale) for scale in scales])

    def _at_scale(self, view: View, scale: float, within: Floats | None = None) -> Candidates:
        """The windows with a face; with their centres `within` corners (2, 2) of the picture."""
        height, width = view.small.shape[:2]
        size = (round(width * scale), round(height * scale))
        if min(size) < self._LEAST:
            return np.empty((0, 4)), np.empty(0)
        level: Image = cv2.resize(view.small, size, interpolation=shrinking(view.factor)).astype(
            np.uint8, copy=False
        )
        # The true factors differ from `scale` by the rounding of the size.
        factors = np.array([size[0] / width, size[1] / height])
        corner = np.zeros(2, int)
        if within is not None:
            low, high = within * factors + [[-self._CONTEXT], [self._CONTEXT]]
            # A multiple of the stride, so that the windows are the same as in the whole level.
            corner = (np.maximum(low, 0) // self._STRIDE).astype(int) * self._STRIDE
            level = level[corner[1] : int(high[1]) + 1, corner[0] : int(high[0]) + 1]
        heat = self._heat(level)
        cells = np.argwhere(heat > self._spec.score_threshold)
        centres = cells[:, ::-1] * self._STRIDE + self._FIRST - self._BORDER + corner
        half = np.array([self._spec.window / 2] * 2)
        boxes = np.hstack([centres - half, centres + half]) / np.tile(factors, 2)
        return boxes, heat[cells[:, 0], cells[:, 1]]

    def _heat(self, level: Image) -> Floats:
        """The score of each window."""
        border = self._BORDER
        padded = cv2.copyMakeBorder(
            level, border, border, border, border, cv2.BORDER_CONSTANT, value=self._MEAN_BGR
        ).astype(np.uint8, copy=False)
        rgb = padded[None, ..., ::-1].transpose(0, 3, 1, 2)
        heat: Floats = self._model.run(np.ascontiguousarray(rgb, np.float32))[0][0, 0]
        return heat

    def _middle(self, view: View, boxes: Floats) -> Floats:
        """Corners (2, 2) of what lies as near to the middle of the small picture as some box."""
        middle = np.array([view.small.shape[1], view.small.shape[0]]) / 2
        nearest = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - middle, axis=1).min()
        corners: Floats = np.array([middle - nearest, middle + nearest])
        return corners


def _joined(found: list[Candidates]) -> Candidates:
    if not found:
        return np.empty((0, 4)), np.empty(0)
    boxes, scores = zip(*found, strict=True)
    return np.concatenate(boxes), np.concatenate(scores)


def suppress_mmod(boxes: Floats, scores: Floats, overlap: float) -> list[int]:
    """Indices of the boxes to keep, best first.

    A box goes when it lies wholly inside a better one (or around it), or when their intersection is
    more than `overlap` of the smallest rectangle around both: dlib's test_box_overlap.
    """
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if not _overlaps_any(boxes[index], boxes[kept], overlap):
            kept.append(int(index))
    return kept


def _overlaps_any(box: Floats, others: Floats, overlap: float) -> bool:
    """Whether a box (4,) overlaps one of the others (N, 4)."""
    if not len(others):
        return False
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    inner = _areas(np.maximum(high - low, 0))
    low, high = np.minimum(box[:2], others[:, :2]), np.maximum(box[2:], others[:, 2:])
    outer = _areas(high - low)
    smaller = np.minimum(_areas(box[2:] - box[:2]), _areas(others[:, 2:] - others[:, :2]))
    return bool(((inner > overlap * outer) | (inner >= smaller)).any())


def _areas(sides: Floats) -> Floats:
    """(...) of (..., 2). np.prod takes three times as long for the few windows that there are."""
    areas: Floats = sides[..., 0] * sides[..., 1]
    return areas


class LandmarkCascade:
    """dlib's 5-point predictor: outer and inner corner of each eye, base of the nose.

    A cascade of regression trees (Kazemi and Sullivan, CVPR 2014). Arrays as in
    dlib.format.ShapePredictor, for C cascades of T trees with S splits.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self._initial = arrays["initial_shape"].astype(np.float64)
            # numpy would make indices of 64 bits of these each time that it looks them up.
            self._first = arrays["split_first"].astype(np.intp)
            self._second = arrays["split_second"].astype(np.intp)
            self._threshold, leaves = arrays["split_threshold"], arrays["leaves"]
            self._anchors, self._deltas = arrays["anchors"], arrays["deltas"].astype(np.float64)
        cascades, trees, splits = self._first.shape
        # Row by row, as `take` finds them quickly: those of a tree, then those of the next tree.
        self._leaves = leaves.reshape(cascades, trees * (splits + 1), -1)
        self._tree = np.arange(trees)
        self._depth = (splits + 1).bit_length() - 1

    def predict(self, image: Image, box: Floats) -> Floats:
        """Landmarks (5, 2) in pixels of the picture for one face box (x1, y1, x2, y2)."""
        left, top, right, bottom = np.floor(box + 0.5)
        origin, size = np.array([left, top]), np.array([right - left, bottom - top])
        shape = self._initial.copy()
        for stage in range(len(self._anchors)):
            turn = fit_similarity(self._initial, shape)[:, :2]
            points = self._deltas[stage] @ turn.T + shape[self._anchors[stage]]
            pixels = _greys_at(image, points * size + origin)
            shape += self._forest_sum(stage, pixels)
        landmarks: Floats = shape * size + origin
        return landmarks

    def _forest_sum(self, stage: int, pixels: npt.NDArray[np.float32]) -> Floats:
        """The sum over all trees of the leaf that the pixels lead to, all trees at once."""
        first, second = self._first[stage], self._second[stage]
        # All splits of all trees, which is faster than to pick those of the path at each depth.
        is_left = pixels.take(first) - pixels.take(second) > self._threshold[stage]
        splits = first.shape[1]
        node, root = np.zeros_like(self._tree), self._tree * splits
        for _ in range(self._depth):
            node = 2 * node + 2 - is_left.take(root + node)
        # A tree has a leaf more than splits.
        leaf = root + self._tree + node - splits
        total: Floats = self._leaves[stage].take(leaf, axis=0).sum(axis=0, dtype=np.float64)
        return total.reshape(-1, 2)


def _greys_at(image: Image, points: Floats) -> npt.NDArray[np.float32]:
    """floor((R + G + B) / 3) at the rounded points, 0 outside of the picture.

    dlib's forests were trained on this grey: other weights of the colours move the landmarks. The
    forests read 12,000 pixels of a face, so the rest of a picture is not made grey.
    """
    x, y = np.floor(points + 0.5).astype(np.int64).T
    inside = (x >= 0) & (y >= 0) & (x < image.shape[1]) & (y < image.shape[0])
    blue, green, red = image[np.where(inside, y, 0), np.where(inside, x, 0)].astype(np.uint16).T
    values: npt.NDArray[np.float32] = ((blue + green + red) // 3).astype(np.float32)
    values[~inside] = 0
    return values
