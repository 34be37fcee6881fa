"""Who computes the networks: the processor, or another provider of onnxruntime.

Each provider needs a build of onnxruntime of its own. The packages of the builds write into one
folder, so an environment can hold one of them only.
"""

from enum import StrEnum
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import onnxruntime

from recognition.inference import processor
from recognition.inference.pack.declaration import PackError
from recognition.inference.pack.files import ConvertedFile, WeightFile


class Provider(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"
    OPENVINO = "openvino"

    @property
    def package(self) -> str:
        """The package that has it."""
        return _PACKAGES[self]

    @property
    def is_here(self) -> bool:
        """Whether the onnxruntime of this environment has it. It may still fail to start."""
        return _NAMES[self] in onnxruntime.get_available_providers()

    def require(self) -> None:
        """Raises ProviderError if the onnxruntime of this environment has it not."""
        if not self.is_here:
            there = ", ".join(installed()) or "no package of onnxruntime"
            raise ProviderError(f"{self} needs {self.package}, and {there} is installed")

    def network(self, weights: WeightFile) -> WeightFile:
        """The file whose network it computes fastest.

        Those of 8-bit integers were measured on processors, with onnxruntime's own operations.
        """
        if not isinstance(weights, ConvertedFile) or not self._has_integers:
            return weights
        return weights.in_eight_bits or weights

    def arithmetic(self, weights: WeightFile, refuses_integers: bool = False) -> str:
        """Where it computes, and with what where there is a choice, for people."""
        if self is not Provider.CPU:
            return f", on {self}"
        if not isinstance(weights, ConvertedFile) or weights.eight_bits is None:
            return ""
        if refuses_integers:
            return "; the detector computes with floats: the log says why"
        if self._has_integers:
            return "; the detector computes with 8-bit integers"
        return "; the detector computes with floats, because the processor has no VNNI"

    @property
    def _has_integers(self) -> bool:
        return self is Provider.CPU and processor.multiplies_integers()


_NAMES = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.OPENVINO: "OpenVINOExecutionProvider",
}
_PACKAGES = {
    Provider.CPU: "onnxruntime",
    Provider.CUDA: "onnxruntime-gpu",
    Provider.OPENVINO: "onnxruntime-openvino",
}


class ProviderError(PackError):
    """Networks cannot be computed where they are to be."""


def installed() -> dict[str, str]:
    """The packages of onnxruntime in this environment, with their versions. There should be one."""
    found = {}
    for package in _PACKAGES.values():
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def open_session(
    path: Path, options: onnxruntime.SessionOptions, provider: Provider, threads: int
) -> onnxruntime.InferenceSession:
    """A network that the provider computes. Raises ProviderError.

    Left to itself, onnxruntime warns and computes everything with the processor when the provider
    cannot start, or fails later. Only operations that the provider has not may go to the processor.
    """
    provider.require()
    if provider is Provider.CUDA:
        _load_libraries()
    chosen = [(_NAMES[provider], _options(provider, threads))]
    if provider is not Provider.CPU:
        chosen.append((_NAMES[Provider.CPU], {}))
    try:
        session = onnxruntime.InferenceSession(path, options, chosen, enable_fallback=0)
    except Exception as error:
        if provider is Provider.CPU:
            raise
        raise ProviderError(f"{provider} cannot compute {path.name}: {error}") from error
    if _NAMES[provider] not in session.get_providers():
        raise ProviderError(f"{provider} does not start: the log of onnxruntime says why")
    return session


def _options(provider: Provider, threads: int) -> dict[str, str]:
    match provider:
        case Provider.CPU:
            return {}
        case Provider.CUDA:
            return {
                # Memory grows by what is needed, since several processes share the device.
                "arena_extend_strategy": "kSameAsRequested",
                # onnxruntime chooses the algorithm of each convolution again whenever the shape of
                # the input changes, as with pictures of all shapes and groups of faces. Any other
                # search takes half a second each time: see docs/deployment.md.
                "cudnn_conv_algo_search": "DEFAULT",
                # Its 10 bits would change the templates, which others compute with 23.
                "use_tf32": "0",
            }
        case Provider.OPENVINO:
            # For the same reason, where the processor has numbers of 16 bits.
            return {"device_type": "CPU", "precision": "FP32", "num_of_threads": str(threads)}


@lru_cache
def _load_libraries() -> None:
    """Those of CUDA and cuDNN, where they are Python packages: the loader does not look there."""
    onnxruntime.preload_dlls()
