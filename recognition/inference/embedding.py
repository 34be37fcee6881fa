"""Aligned crops to unit vectors; no distances."""

from __future__ import annotations

import numpy as np

from recognition.inference.arrays import Floats, Image
from recognition.inference.packs import RecogniserSpec
from recognition.inference.sessions import Model, to_tensor

# Faces embedded in one run: more gain nothing on a CPU and cost memory.
_BATCH = 8


class Embedder:
    def __init__(self, spec: RecogniserSpec, model: Model) -> None:
        self._spec = spec
        self._model = model

    def embed(self, crops: list[Image]) -> Floats:
        """(N, dimensions) unit vectors, float32; with `mirror`, of the crop and its mirror image.

        Raises ValueError when the model's output is not what the pack declares.
        """
        if not crops:
            return np.empty((0, self._spec.dimensions), np.float32)
        parts = [self._run(crops[at : at + _BATCH]) for at in range(0, len(crops), _BATCH)]
        vectors = np.concatenate(parts)
        if vectors.shape != (len(crops), self._spec.dimensions) or not np.isfinite(vectors).all():
            raise ValueError(f"the recogniser gave {vectors.shape}, not finite unit vectors")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not norms.all():
            raise ValueError("the recogniser gave a vector of length 0")
        unit: Floats = vectors / norms
        return unit

    def _run(self, crops: list[Image]) -> Floats:
        spec = self._spec
        batch = to_tensor(crops, rgb=spec.rgb, mean=spec.mean, scale=spec.scale)
        if not spec.mirror:
            return self._model.run(batch)[0]
        both = self._model.run(np.concatenate([batch, batch[..., ::-1]]))[0]
        total: Floats = both[: len(crops)] + both[len(crops) :]
        return total
