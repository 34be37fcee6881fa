"""Converts the files of other libraries to those that a pack is loaded from."""

import dataclasses
import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from recognition.inference.dlib import format, networks
from recognition.inference.openvino import ir
from recognition.inference.openvino.networks import build_model
from recognition.inference.pack.declaration import PackError
from recognition.inference.pack.files import (
    FixedSizeSource,
    IrSource,
    OnnxSource,
    PackageSource,
    Source,
)
from recognition.inference.pack.rewriting import rewritten


def convert(source: Source, parts: Sequence[Path], file: IO[bytes], *, name: str) -> None:
    """Write the converted file. `parts` are the fetched files of the source. Raises PackError."""
    try:
        data = [part.read_bytes() for part in parts]
    except OSError as error:
        raise PackError(f"{name} cannot be made: {error}") from error
    try:
        match source:
            case PackageSource():
                CONVERTERS[source.convert](_read(source), file, name)
            case IrSource():
                _write(build_model(ir.read_network(*data), name=name), file)
            case FixedSizeSource():
                _write(with_free_size(*data), file)
            case OnnxSource():
                _write(onnx.load_from_string(data[0]), file)
    except (ir.IrError, DecodeError, onnx.checker.ValidationError) as error:
        raise PackError(f"{name} cannot be made: {error}") from error


def with_free_size(data: bytes) -> onnx.ModelProto:
    """The same network for pictures of any size, exported for one size.

    Right for networks that are convolutions to the end, as detectors are.
    """
    model = onnx.load_from_string(data)
    (taken,) = model.graph.input
    for place, axis in ((2, "rows"), (3, "columns")):
        taken.type.tensor_type.shape.dim[place].dim_param = axis
    # The sizes of all tensors between were written down for the one size.
    del model.graph.value_info[:]
    for given in model.graph.output:
        for place, size in enumerate(given.type.tensor_type.shape.dim):
            size.dim_param = f"{given.name}_{place}"
    onnx.checker.check_model(model)
    return model


def _read(source: PackageSource) -> bytes:
    # The package is located but not imported: its __init__ needs pkg_resources, which no longer
    # exists.
    spec = importlib.util.find_spec(source.package)
    if spec is None or not spec.submodule_search_locations:
        raise PackError(f"the Python package {source.package} is not installed")
    try:
        data = (Path(spec.submodule_search_locations[0]) / source.path).read_bytes()
    except OSError as error:
        raise PackError(f"{source.package}/{source.path}: {error.strerror}") from error
    if len(data) != source.bytes or hashlib.sha256(data).hexdigest() != source.sha256:
        raise PackError(f"{source.package}/{source.path} is not the file that the pack names")
    return data


def _convert_dlib_network(data: bytes, file: IO[bytes], name: str) -> None:
    _write(networks.build_model(format.read_network(data), name=name), file)


def _convert_dlib_landmarks(data: bytes, file: IO[bytes], name: str) -> None:
    np.savez(file, **dataclasses.asdict(format.read_shape_predictor(data)))


def _write(model: onnx.ModelProto, file: IO[bytes]) -> None:
    file.write(rewritten(model).SerializeToString(deterministic=True))


CONVERTERS: dict[str, Callable[[bytes, IO[bytes], str], None]] = {
    "dlib_network": _convert_dlib_network,
    "dlib_landmarks": _convert_dlib_landmarks,
}
