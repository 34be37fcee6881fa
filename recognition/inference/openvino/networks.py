"""Converts a network of OpenVINO's intermediate representation to an ONNX model.

Only the layers that the networks of our packs need are known; another one is an error. All
dimensions of the input but the batch are fixed, as in the IR.
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from recognition.inference.openvino.ir import Array, IrError, IrLayer, Network, Port

_OPSET, _IR_VERSION = 17, 8
# A Result of a network that came from PyTorch or ONNX is named after the tensor, with this.
_SINK = "/sink_port_0"


def build_model(network: Network, *, name: str) -> onnx.ModelProto:
    """A checked ONNX model: input `input`, float32 (batch, channels, rows, columns).

    Its outputs have the names of the IR's. Raises IrError.
    """
    emitter = _Emitter(network.constants)
    for layer in network.layers:
        emitter.add(layer)
    if len(emitter.inputs) != 1 or not emitter.outputs:
        raise IrError(f"{len(emitter.inputs)} inputs and {len(emitter.outputs)} outputs")
    graph = helper.make_graph(emitter.nodes, name, emitter.inputs, emitter.outputs, emitter.weights)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="facesvc",
    )
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise IrError(f"the layers do not fit together: {error}") from error
    if any(not _has_pixels(value) for value in [*model.graph.value_info, *model.graph.output]):
        raise IrError("the layers do not fit together: one has no output")
    return model


def _has_pixels(value: onnx.ValueInfoProto) -> bool:
    sizes = value.type.tensor_type.shape.dim
    return all(size.dim_value > 0 for size in sizes if size.HasField("dim_value"))


class _Emitter:
    """Turns layers into nodes. A tensor is known by the port that it comes from."""

    def __init__(self, constants: dict[int, Array]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self._by_id = constants
        self._constants: dict[Port, Array] = {}
        self._names: dict[Port, str] = {}

    def add(self, layer: IrLayer) -> None:
        takes = next((n for n, kinds in enumerate(_KINDS) if layer.kind in kinds), None)
        if takes is None:
            raise IrError(f"{layer.where}: this kind of layer is not known")
        if len(layer.inputs) != takes:
            raise IrError(f"{layer.where} has {len(layer.inputs)} inputs")
        if layer.kind in _ELEMENTWISE:
            self._elementwise(_ELEMENTWISE[layer.kind], layer)
        else:
            getattr(self, f"_{layer.kind.lower()}")(layer)

    # --- What is no computation -------------------------------------------------------------------

    def _parameter(self, layer: IrLayer) -> None:
        shape = layer.numbers("shape", 4)
        if layer.text("element_type") != "f32" or not all(shape):
            raise IrError(f"{layer.where}: an input of floats with a fixed size is needed")
        self.inputs.append(_value("input", ["batch", *shape[1:]]))
        self._names[_only_output(layer)] = "input"

    def _const(self, layer: IrLayer) -> None:
        self._constants[_only_output(layer)] = self._by_id[layer.id]

    def _convert(self, layer: IrLayer) -> None:
        """Only of constants, which are floats already."""
        if layer.text("destination_type") != "f32":
            raise IrError(f"{layer.where}: only a conversion to f32 is known")
        self._constants[_only_output(layer)] = self._constant(layer, 0)

    def _result(self, layer: IrLayer) -> None:
        name = layer.name.removesuffix(_SINK)
        self._node("Identity", layer, [self._tensor(layer.inputs[0])], output=name)
        self.outputs.append(_value(name, None))

    # --- Computations -----------------------------------------------------------------------------

    def _elementwise(self, op: str, layer: IrLayer) -> None:
        if layer.text("auto_broadcast", "numpy") != "numpy":
            raise IrError(f"{layer.where}: only numpy's rule for shapes is known")
        self._node(op, layer, [self._tensor(port) for port in layer.inputs])

    def _prelu(self, layer: IrLayer) -> None:
        slope = self._constant(layer, 1)
        if slope.ndim == 1:  # one for each channel
            slope = slope.reshape(-1, 1, 1)
        self._node("PRelu", layer, [self._tensor(layer.inputs[0]), self._weight(slope)])

    def _softmax(self, layer: IrLayer) -> None:
        (axis,) = layer.numbers("axis", 1)
        self._node("Softmax", layer, [self._tensor(layer.inputs[0])], axis=axis)

    def _matmul(self, layer: IrLayer) -> None:
        weights = self._constant(layer, 1)
        if layer.text("transpose_a", "false") != "false" or weights.ndim != 2:
            raise IrError(f"{layer.where}: only a product with a constant matrix is known")
        if layer.text("transpose_b", "false") == "true":
            weights = weights.T
        self._node("MatMul", layer, [self._tensor(layer.inputs[0]), self._weight(weights)])

    def _reshape(self, layer: IrLayer) -> None:
        shape = self._constant(layer, 1)
        # Another first size would be that of a batch of 1.
        if shape.dtype != np.int64 or shape.ndim != 1 or len(shape) < 2 or shape[0] not in (0, -1):
            raise IrError(f"{layer.where}: a shape that keeps the batch is needed")
        if 0 in shape and layer.text("special_zero", "false") != "true":
            raise IrError(f"{layer.where}: a size of 0")
        self._node("Reshape", layer, [self._tensor(layer.inputs[0]), self._weight(shape)])

    def _convolution(self, layer: IrLayer) -> None:
        self._conv(layer, self._constant(layer, 1), groups=1)

    def _groupconvolution(self, layer: IrLayer) -> None:
        weights = self._constant(layer, 1)  # (groups, outputs, inputs, rows, columns)
        if weights.ndim != 5:
            raise IrError(f"{layer.where}: weights of the shape {weights.shape}")
        merged = weights.reshape(-1, *weights.shape[2:])
        self._conv(layer, merged, groups=weights.shape[0])

    def _conv(self, layer: IrLayer, weights: Array, *, groups: int) -> None:
        if weights.ndim != 4:
            raise IrError(f"{layer.where}: weights of the shape {weights.shape}")
        self._node(
            "Conv",
            layer,
            [self._tensor(layer.inputs[0]), self._weight(weights)],
            kernel_shape=list(weights.shape[2:]),
            dilations=layer.numbers("dilations", 2),
            group=groups,
            **_window(layer),
        )

    def _maxpool(self, layer: IrLayer) -> None:
        dilations = layer.numbers("dilations", 2) if "dilations" in layer.data else [1, 1]
        self._node(
            "MaxPool", layer, [self._tensor(layer.inputs[0])], dilations=dilations, **_pool(layer)
        )

    def _avgpool(self, layer: IrLayer) -> None:
        self._node(
            "AveragePool",
            layer,
            [self._tensor(layer.inputs[0])],
            count_include_pad=int(layer.text("exclude-pad") == "false"),
            **_pool(layer),
        )

    # --- Names and tensors ------------------------------------------------------------------------

    def _node(
        self, op: str, layer: IrLayer, inputs: list[str], output: str | None = None, **more: Any
    ) -> None:
        """A node whose output is the first of the layer; nobody may use a second one."""
        name = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **more))
        if layer.outputs:
            self._names[layer.outputs[0]] = name

    def _tensor(self, port: Port) -> str:
        """The name of what comes from a port, which may be a constant."""
        if port in self._names:
            return self._names[port]
        if port in self._constants:
            return self._weight(self._constants[port])
        raise IrError(f"port {port[1]} of layer {port[0]} gives nothing that is known")

    def _constant(self, layer: IrLayer, place: int) -> Array:
        value = self._constants.get(layer.inputs[place])
        if value is None:
            raise IrError(f"{layer.where}: input {place} must be a constant")
        return value

    def _weight(self, value: Array) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


# Kinds of layers that are one operation of ONNX on whole tensors.
_ELEMENTWISE = {
    "Add": "Add",
    "Multiply": "Mul",
    "Subtract": "Sub",
    "Sigmoid": "Sigmoid",
    "ReLU": "Relu",
}
# The kinds of layers that have no input, one and two.
_KINDS = (
    {"Parameter", "Const"},
    {"Convert", "Result", "Sigmoid", "ReLU", "SoftMax", "MaxPool", "AvgPool"},
    {"Add", "Multiply", "Subtract", "PReLU", "MatMul", "Reshape"}
    | {"Convolution", "GroupConvolution"},
)


def _only_output(layer: IrLayer) -> Port:
    if len(layer.outputs) != 1:
        raise IrError(f"{layer.where} has {len(layer.outputs)} outputs")
    return layer.outputs[0]


def _window(layer: IrLayer) -> dict[str, Any]:
    """Strides and padding, which must be given in numbers."""
    if layer.text("auto_pad", "explicit") != "explicit":
        raise IrError(f"{layer.where}: the padding must be given in numbers")
    pads = [*layer.numbers("pads_begin", 2), *layer.numbers("pads_end", 2)]
    return {"strides": layer.numbers("strides", 2), "pads": pads}


def _pool(layer: IrLayer) -> dict[str, Any]:
    rounding = layer.text("rounding_type", "floor")
    if rounding not in ("floor", "ceil"):
        raise IrError(f"{layer.where}: the unknown rounding {rounding!r}")
    return {
        "kernel_shape": layer.numbers("kernel", 2),
        "ceil_mode": int(rounding == "ceil"),
        **_window(layer),
    }


def _value(name: str, shape: list[int | str] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
