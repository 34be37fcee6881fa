"""From outputs of detection networks to boxes, scores and landmarks; pure functions.

All coordinates are pixels of the network's input, which has `shape`: rows and columns. Cell (row,
column) of an output with stride s stands for the pixels around (s * column, s * row) of the input;
outputs list the cells row by row.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats
from recognition.inference.detection.results import NOTHING, Detections, joined
from recognition.inference.pack.specs import AnchorSpec, RetinaFaceSpec, ScrfdSpec, YunetSpec

Shape = tuple[int, int]


def decode_scrfd(outputs: Sequence[Floats], spec: ScrfdSpec, shape: Shape) -> Detections:
    """Outputs: scores (K, 1) for each stride, then boxes (K, 4) for each, then landmarks (K, 10).

    Boxes are distances from the cell to the four sides, landmarks offsets from it, both in strides:
    distance2bbox and distance2kps of the authors' code.
    """
    scores, boxes, points = _by_kind(outputs, len(spec.strides), kinds=3)
    found = [NOTHING]
    for level, stride in enumerate(spec.strides):
        best = scores[level].reshape(-1)
        keep = np.flatnonzero(best >= spec.score_threshold)
        if not len(keep):  # as on most levels
            continue
        cells = _cells(keep // spec.anchors, shape, stride) * stride
        reach = boxes[level].reshape(-1, 4)[keep] * stride
        offsets = points[level].reshape(-1, 5, 2)[keep] * stride
        corners = np.hstack([cells - reach[:, :2], cells + reach[:, 2:]])
        found.append(Detections(corners, best[keep], cells[:, None] + offsets))
    return joined(found)


def decode_yunet(outputs: Sequence[Floats], spec: YunetSpec, shape: Shape) -> Detections:
    """Outputs: classes (1, K, 1) for each stride, then likewise objects, boxes, landmarks.

    Centres and landmarks are offsets from the cell in strides, sizes the logarithm of strides: as
    in FaceDetectorYN of OpenCV. The score is the geometric mean of class and object, as there.
    """
    classes, objects, boxes, points = _by_kind(outputs, len(spec.strides), kinds=4)
    found = [NOTHING]
    for level, stride in enumerate(spec.strides):
        sure = np.clip(classes[level], 0, 1) * np.clip(objects[level], 0, 1)
        best = np.sqrt(sure).reshape(-1)
        keep = np.flatnonzero(best >= spec.score_threshold)
        if not len(keep):  # as on most levels
            continue
        cells = _cells(keep, shape, stride)
        box = boxes[level].reshape(-1, 4)[keep]
        centres, half = cells + box[:, :2], np.exp(box[:, 2:]) / 2
        corners = np.hstack([centres - half, centres + half]) * stride
        offsets = points[level].reshape(-1, 5, 2)[keep]
        found.append(Detections(corners, best[keep], (cells[:, None] + offsets) * stride))
    return joined(found)


def decode_retinaface(outputs: Sequence[Floats], spec: RetinaFaceSpec, shape: Shape) -> Detections:
    """Outputs: scores (1, K, 2) after softmax, boxes (1, K, 4), landmarks (1, K, 10).

    All are relative to prior boxes: centres and landmarks in their sides, sizes as a logarithm,
    both times a variance. The second score is that of a face (decode and decode_landm of the
    authors' code).
    """
    scores, boxes, points = outputs
    best = scores.reshape(-1, 2)[:, 1]
    keep = np.flatnonzero(best >= spec.score_threshold)
    priors = prior_boxes(spec, shape)[keep]
    centre, size = priors[:, :2], priors[:, 2:]
    by_centre, by_size = spec.variances
    box = boxes.reshape(-1, 4)[keep]
    centres = centre + box[:, :2] * by_centre * size
    half = size * np.exp(box[:, 2:] * by_size) / 2
    offsets = points.reshape(-1, 5, 2)[keep] * by_centre * size[:, None]
    corners = np.hstack([centres - half, centres + half])
    return Detections(corners, best[keep], centre[:, None] + offsets)


# Takes outputs, spec, shape of the input; returns faces above the threshold, before suppression.
DECODERS: dict[type[AnchorSpec], Callable[[Sequence[Floats], Any, Shape], Detections]] = {
    ScrfdSpec: decode_scrfd,
    YunetSpec: decode_yunet,
    RetinaFaceSpec: decode_retinaface,
}


def prior_boxes(spec: RetinaFaceSpec, shape: Shape) -> Floats:
    """(K, 4) centre x, y, width, height: squares on the middles of the cells, all sizes of each."""
    levels = []
    for stride, sizes in zip(spec.strides, spec.anchor_sizes, strict=True):
        count = (shape[0] // stride) * (shape[1] // stride)
        cells = _cells(np.arange(count), shape, stride)
        centres = np.repeat((cells + 0.5) * stride, len(sizes), axis=0)
        sides = np.tile(np.array(sizes, np.float32), len(centres) // len(sizes))
        levels.append(np.column_stack([centres, sides, sides]))
    return np.concatenate(levels)


def suppress(found: Detections, iou: float) -> Detections:
    """The faces, best first, without those that overlap a better one by more than `iou`.

    `iou` is the intersection over the union of two boxes.
    """
    boxes = np.hstack([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(
        boxes.tolist(), found.scores.tolist(), score_threshold=0, nms_threshold=iou
    )
    return found.take([int(index) for index in kept])


def _cells(numbers: npt.NDArray[np.intp], shape: Shape, stride: int) -> Floats:
    """(K, 2) column and row of cells, which are counted row by row."""
    rows, columns = np.divmod(numbers, shape[1] // stride)
    return np.column_stack([columns, rows]).astype(np.float32)


def _by_kind(outputs: Sequence[Floats], levels: int, *, kinds: int) -> list[Sequence[Floats]]:
    return [outputs[kind * levels : (kind + 1) * levels] for kind in range(kinds)]
