"""Wraps onnxruntime sessions; knows nothing of faces."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
import onnxruntime

from recognition.inference.arrays import Image
from recognition.inference.pack.specs import InputSpec
from recognition.inference.providers import Provider, open_session

Tensor = npt.NDArray[np.float32]

_arena_lock = Lock()


class Model:
    """One ONNX model. `run` may be called from several threads at once."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        outputs: Sequence[str] = (),
        provider: Provider = Provider.CPU,
    ) -> None:
        """`outputs` names what `run` returns, in this order; by default all outputs.

        Raises ValueError when the model has no such output, and ProviderError.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads of concurrent requests compete for the cores: on two busy cores a run
        # took 29.5 ms with spinning and 7.5 ms without.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # All models take their intermediate tensors from one arena, without a plan for each of the
        # many shapes of input. It is as fast, and takes an eighth less memory.
        with _arena_lock:
            _make_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        self._session = open_session(path, options, provider, threads)
        self._input = self._session.get_inputs()[0].name
        self._outputs = list(outputs) or None
        known = {output.name for output in self._session.get_outputs()}
        if missing := sorted(set(outputs) - known):
            raise ValueError(f"{path.name} has no outputs named {', '.join(missing)}")

    def run(self, batch: Tensor) -> list[Tensor]:
        """The outputs for a batch in the input layout of the model."""
        outputs: list[Tensor] = self._session.run(self._outputs, {self._input: batch})
        return outputs


@lru_cache
def _make_arena() -> None:
    """Makes the arena once in a process: onnxruntime raises RuntimeError for a second one."""
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, None)


class CropModel:
    """A model that takes squares of one size."""

    def __init__(self, spec: InputSpec, model: Model) -> None:
        self._spec = spec
        self._model = model

    def run(self, crops: list[Image]) -> Tensor:
        """The first output, (N, ...), for any number N > 0 of BGR crops of the declared size."""
        return self.run_all(crops)[0]

    def run_all(self, crops: list[Image]) -> list[Tensor]:
        """As `run`, all outputs."""
        step = self._spec.batch
        parts = [crops[at : at + step] for at in range(0, len(crops), step)]
        outputs = [self._model.run(to_input(part, self._spec)) for part in parts]
        return [np.concatenate(each) for each in zip(*outputs, strict=True)]


def to_input(images: list[Image], spec: InputSpec) -> Tensor:
    """Turns BGR pictures of one size into the batch that a network takes."""
    batch = np.stack(images)[..., ::-1] if spec.rgb else np.stack(images)
    if spec.layout == "nchw":
        batch, channels = batch.transpose(0, 3, 1, 2), (3, 1, 1)
    else:
        channels = (1, 1, 3)
    tensor = np.ascontiguousarray(batch, dtype=np.float32)
    if any(spec.mean):
        tensor -= np.array(spec.mean, np.float32).reshape(channels)
    if any(value != 1 for value in spec.scale):
        tensor /= np.array(spec.scale, np.float32).reshape(channels)
    return tensor
