"""Networks of convolutions that compute with 8-bit integers.

A tensor of the network becomes integers from 0 to 255 by its range, which was measured on photos
once (recognition/measuring/ranges.py) and belongs to the pack. So every machine makes the same
network. The weights of each output channel have a range of their own.

onnxruntime's quantiser writes the network, with operators of the ONNX standard alone: a linear
quantisation before each of the chosen operations and its inverse after it. onnxruntime joins these
when it loads the network.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import version_converter

from recognition.inference.pack.files import EightBits

# From this version on, weights can have a range for each channel.
_OPSET = 13
# Convolutions to fewer channels stay as they are: they see large pictures and compute little, and
# integers make them slower.
_LEAST_CHANNELS = 24
# These keep the integers that they are given.
_KEEPING = {"Relu", "Add", "MaxPool", "AveragePool", "Resize"}
_WEIGHING = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


class RangeError(ValueError):
    """The ranges are not those of the network."""


def in_eight_bits(model: onnx.ModelProto, measured: EightBits) -> onnx.ModelProto:
    """The same model with integers of 8 bits; the ranges are those of `tensors`.

    Raises RangeError.
    """
    # Imported here: it takes longer than the conversion, and most conversions do without.
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = _prepared(model)
    nodes = _chosen(model, measured.last_in_floats)
    if sorted(name for name, _, _ in measured.ranges) != sorted(_tensors(model, nodes)):
        raise RangeError("the ranges of eight_bits are those of another network")
    limits = {name: (np.float32(low), np.float32(high)) for name, low, high in measured.ranges}
    # A range from 0 on cuts off the same as a Relu does, which then goes.
    cut = {node.input[0]: node.output[0] for node in nodes if node.op_type == "Relu"}
    limits |= {name: limits[output] for name, output in cut.items()}
    quantiser = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, limits),
        nodes_to_quantize=[node.name for node in nodes],
        nodes_to_exclude=[],
        op_types_to_quantize=sorted({node.op_type for node in nodes}),
        extra_options={},
    )
    quantiser.quantize_model()
    quantiser.model.topological_sort()
    made: onnx.ModelProto = quantiser.model.model
    onnx.checker.check_model(made)
    return made


def tensors(model: onnx.ModelProto, last_in_floats: int) -> list[str]:
    """The names of the tensors that would be integers, each once."""
    model = _prepared(model)
    return _tensors(model, _chosen(model, last_in_floats))


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with an opset that allows for it, and a name for each node."""
    old = next(each.version for each in model.opset_import if not each.domain)
    if old < _OPSET:
        model = version_converter.convert_version(model, _OPSET)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for number, node in enumerate(copy.graph.node):
        node.name = f"node_{number}"
    return copy


def _chosen(model: onnx.ModelProto, last_in_floats: int) -> list[onnx.NodeProto]:
    """Convolutions to many channels, but for the last ones, and what passes their outputs on.

    The last one stays, because scores and coordinates would become steps.
    """
    graph = model.graph
    sizes = {each.name: each.dims[0] for each in graph.initializer if each.dims}
    left = _left(graph.node)
    chosen: list[onnx.NodeProto] = []
    integers: set[str] = set()
    for node in graph.node:
        if node.op_type == "Conv":
            many = sizes.get(node.input[1], 0) >= _LEAST_CHANNELS
            fits = many and left[node.output[0]] >= last_in_floats
        else:
            fits = node.op_type in _KEEPING and not integers.isdisjoint(node.input)
        if fits:
            chosen.append(node)
            integers.update(node.output)
    return chosen


def _left(nodes: Iterable[onnx.NodeProto]) -> dict[str, int]:
    """How many weights are between each tensor and an output of the network, at most."""
    found: dict[str, int] = defaultdict(int)
    for node in reversed(list(nodes)):
        behind = max(found[name] for name in node.output) + (node.op_type in _WEIGHING)
        for name in node.input:
            found[name] = max(found[name], behind)
    return found


def _tensors(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> list[str]:
    nodes = list(nodes)
    constants = {each.name for each in model.graph.initializer}
    # What a Relu takes is never an integer.
    cut = {node.input[0] for node in nodes if node.op_type == "Relu"}
    names = [
        name
        for node in nodes
        for name in [*(node.input[:1] if node.op_type != "Add" else node.input), *node.output]
        if name not in constants | cut
    ]
    return list(dict.fromkeys(names))
