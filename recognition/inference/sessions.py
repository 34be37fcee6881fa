"""onnxruntime sessions; knows nothing of faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from recognition.inference.arrays import Image

# In order of preference; the others that a build may offer need setting up of their own.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")

Tensor = npt.NDArray[np.float32]


class Model:
    """One ONNX model. `run` may be called from several threads at once."""

    def __init__(self, path: Path, *, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads of concurrent requests take the cores from each other: measured on two
        # busy cores, 29.5 ms a run with spinning and 7.5 ms without.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        available = onnxruntime.get_available_providers()
        self._session = onnxruntime.InferenceSession(
            path, options, providers=[p for p in _PROVIDERS if p in available]
        )
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: Tensor) -> list[Tensor]:
        """All outputs for a batch (N, C, H, W)."""
        outputs: list[Tensor] = self._session.run(None, {self._input: batch})
        return outputs


def to_tensor(images: list[Image], *, rgb: bool, mean: float, scale: float) -> Tensor:
    """BGR pictures of one size as a batch (N, 3, H, W) of (value - mean) / scale."""
    batch = np.stack(images)
    if rgb:
        batch = batch[..., ::-1]
    tensor = np.ascontiguousarray(batch.transpose(0, 3, 1, 2), dtype=np.float32)
    if mean:
        tensor -= np.float32(mean)
    if scale != 1:
        tensor /= np.float32(scale)
    return tensor
