"""From aligned crops to unit vectors; computes no distances."""

import numpy as np

from recognition.inference.arrays import Floats, Image
from recognition.inference.pack.specs import RecogniserSpec
from recognition.inference.sessions import CropModel, Model


class Embedder:
    def __init__(self, spec: RecogniserSpec, model: Model) -> None:
        self._spec = spec
        self._model = CropModel(spec.input, model)

    def embed(self, crops: list[Image]) -> Floats:
        """(N, dimensions) unit vectors, float32; with `mirror`, the sum for the crop and its mirror
        image.

        Raises ValueError when the model's output is not what the pack declares.
        """
        if not crops:
            return np.empty((0, self._spec.dimensions), np.float32)
        vectors = self._flat(crops)
        if self._spec.mirror:
            vectors = vectors + self._flat([crop[:, ::-1] for crop in crops])
        if vectors.shape != (len(crops), self._spec.dimensions) or not np.isfinite(vectors).all():
            raise ValueError(f"the recogniser gave {vectors.shape}, not finite unit vectors")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not norms.all():
            raise ValueError("the recogniser gave a vector of length 0")
        unit: Floats = vectors / norms
        return unit

    def _flat(self, crops: list[Image]) -> Floats:
        """(N, D); some networks give (N, D, 1, 1)."""
        return self._model.run(crops).reshape(len(crops), -1)
