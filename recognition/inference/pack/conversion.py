"""Converts the files of other libraries to those that a pack is loaded from."""

import dataclasses
import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from recognition.inference.dlib import format, networks
from recognition.inference.openvino import ir
from recognition.inference.openvino.networks import build_model
from recognition.inference.pack.declaration import PackError
from recognition.inference.pack.eight_bits import RangeError, in_eight_bits
from recognition.inference.pack.files import (
    ConvertedFile,
    EightBitFile,
    FixedSizeSource,
    IrSource,
    OnnxSource,
    PackageSource,
    Source,
)
from recognition.inference.pack.rewriting import rewritten


def convert(weights: ConvertedFile, parts: Sequence[Path], file: IO[bytes], *, name: str) -> None:
    """Write the converted file. `parts` are the fetched files of its source. Raises PackError."""
    try:
        data = [part.read_bytes() for part in parts]
    except OSError as error:
        raise PackError(f"{name} cannot be made: {error}") from error
    source = weights.source
    try:
        if isinstance(source, PackageSource) and source.convert == "dlib_landmarks":
            np.savez(file, **dataclasses.asdict(format.read_shape_predictor(package_data(source))))
            return
        model = rewritten(_network(source, data, name))
        if isinstance(weights, EightBitFile) and weights.eight_bits:
            model = in_eight_bits(model, weights.eight_bits)
    except (ir.IrError, DecodeError, onnx.checker.ValidationError, RangeError) as error:
        raise PackError(f"{name} cannot be made: {error}") from error
    file.write(model.SerializeToString(deterministic=True))


def _network(source: Source, data: list[bytes], name: str) -> onnx.ModelProto:
    """The network as it was published, in ONNX."""
    match source:
        case PackageSource():
            return networks.build_model(format.read_network(package_data(source)), name=name)
        case IrSource():
            return build_model(ir.read_network(*data), name=name)
        case FixedSizeSource():
            return with_free_size(*data)
        case OnnxSource():
            return onnx.load_from_string(data[0])


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


def package_data(source: PackageSource) -> bytes:
    """The file of an installed package. Raises PackError."""
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
