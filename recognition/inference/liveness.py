"""Passive anti-spoofing by MiniFASNet: scores how much a face looks alive, and decides nothing."""

import cv2
import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats, Image
from recognition.inference.pack.specs import LivenessSpec
from recognition.inference.sessions import CropModel, Model, Tensor


class LivenessEstimator:
    def __init__(self, spec: LivenessSpec, models: list[Model]) -> None:
        """`models` are the loaded spec.networks, in the same order."""
        self._spec = spec
        self._models = [CropModel(spec.input, model) for model in models]

    def estimate(self, image: Image, boxes: Floats) -> list[float]:
        """Scores from 0 (spoof) to 1 (real) for each of N > 0 faces with boxes (N, 4)."""
        size = self._spec.input.size
        cut = reflected_crop if self._spec.crop == "reflected" else context_crop
        chances = [
            softmax(model.run([cut(image, box, network.crop_scale, size) for box in boxes]))
            for network, model in zip(self._spec.networks, self._models, strict=True)
        ]
        real = np.mean(chances, axis=0)[:, self._spec.real_class]
        return [score_of(float(value), self._spec.threshold) for value in real]


def score_of(chance: float, threshold: float) -> float:
    """The chance of a living face as a score, which is 0.5 at the threshold: odds over odds."""
    alive, spoof = chance * (1 - threshold), (1 - chance) * threshold
    return alive / (alive + spoof)


def context_crop(image: Image, box: Floats, scale: float, size: int) -> Image:
    """(size, size, 3): the box, enlarged `scale` times and shifted into the picture.

    Where the picture is too small for that, the box is enlarged less and keeps its proportions. The
    networks were trained with this rule (CropImage of Silent-Face-Anti-Spoofing).
    """
    limits = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
    sides = np.maximum(box[2:] - box[:2], 1)
    scale = min(scale, *((limits - 1) / sides))
    half = sides * scale / 2
    middle = np.clip((box[:2] + box[2:]) / 2, half, limits - 1 - half)
    left, top = np.floor(middle - half).astype(int)
    right, bottom = np.floor(middle + half).astype(int)
    crop = image[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
    return cv2.resize(crop, (size, size)).astype(np.uint8, copy=False)


def reflected_crop(image: Image, box: Floats, scale: float, size: int) -> Image:
    """(size, size, 3): a square around the box's centre, `scale` times its longer side.

    What lies outside of the picture is the mirror image of what is inside of it.
    """
    limits = np.array([image.shape[1], image.shape[0]])
    side = max(float(np.max(box[2:] - box[:2])) * scale, 1)
    corner = (box[:2] + box[2:] - side) / 2
    # At least a pixel, even where a face lies outside of the picture.
    low = np.clip(np.round(corner), 0, limits - 1).astype(int)
    high = np.clip(np.round(corner + side), low + 1, limits).astype(int)
    zoom = size / side
    width, height = np.maximum(np.round((high - low) * zoom), 1).astype(int)
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LANCZOS4
    inside = cv2.resize(
        image[low[1] : high[1], low[0] : high[0]], (width, height), interpolation=way
    )
    left, top = np.round((low - corner) * zoom).astype(int)
    rows, columns = _mirrored(size, top, height), _mirrored(size, left, width)
    return inside[rows[:, None], columns].astype(np.uint8, copy=False)


def _mirrored(size: int, first: int, length: int) -> npt.NDArray[np.int_]:
    """(size,) indices of what lies from `first` on, and of its mirror images beside it."""
    places = np.arange(size) - first
    period = max(2 * (length - 1), 1)
    folded: npt.NDArray[np.int_] = np.minimum(places % period, -places % period)
    return folded


def softmax(logits: Tensor) -> Tensor:
    """The softmax along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    chances: Tensor = powers / powers.sum(axis=-1, keepdims=True)
    return chances
