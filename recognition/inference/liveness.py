"""Passive anti-spoofing by MiniFASNet: scores how much a face looks alive, and decides nothing."""

import cv2
import numpy as np

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
        chances = [
            softmax(
                model.run([context_crop(image, box, network.crop_scale, size) for box in boxes])
            )
            for network, model in zip(self._spec.networks, self._models, strict=True)
        ]
        real = np.mean(chances, axis=0)[:, self._spec.real_class]
        return [float(value) for value in real]


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


def softmax(logits: Tensor) -> Tensor:
    """The softmax along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    chances: Tensor = powers / powers.sum(axis=-1, keepdims=True)
    return chances
