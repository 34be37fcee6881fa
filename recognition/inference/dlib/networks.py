"""Converts dlib's two face networks to ONNX models.

Normalisation layers and the input scaling are folded into the convolutions (exactly, since the
first convolution has no padding), so that the models take plain RGB values from 0 to 255.
"""

import math
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from recognition.inference.arrays import Floats
from recognition.inference.dlib.format import DlibFormatError, Layer

# dlib/dnn/input.h: pixels are (value - mean) / 256.
_INPUT_SCALE = 256.0
_OPSET, _IR_VERSION = 17, 8

Shape = tuple[int, int, int]  # channels, rows, columns


class _Graph:
    """Turns layers into nodes, keeping track of the residual branches by their tags.

    `x` is the name of the current tensor, `shape` its size where it is fixed. A plain block is
    `tag, ..., add_prev`; one that goes down is `tag, ..., tag, skip, avg_pool, add_prev`, where the
    skip (a tag without contents too) goes back to the first tag.
    """

    def __init__(self, shape: Shape | None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.x = "input"
        self.shape = shape
        self.tags: list[tuple[str, Shape | None]] = []

    def add(self, op: str, inputs: list[str], **attributes: Any) -> None:
        self.x = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [self.x], **attributes))

    def weight(self, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def pad(self, name: str, shape: Shape, to: Shape) -> str:
        """`name` padded with zeros in channels and in space, as add_prev adds unequal tensors."""
        if shape == to:
            return name
        more = [b - a for a, b in zip(shape, to, strict=True)]
        pads = self.weight(np.array([0, 0, 0, 0, 0, *more], dtype=np.int64))
        self.add("Pad", [name, pads])
        return self.x

    def add_layers(self, layers: list[Layer]) -> None:
        for layer in layers:
            getattr(self, f"_{layer.kind}")(layer)

    def _tag(self, layer: Layer) -> None:
        if len(self.tags) == 2:
            self.x, self.shape = self.tags.pop(0)
        else:
            self.tags.append((self.x, self.shape))

    def _add_prev(self, layer: Layer) -> None:
        (name, shape), mine = self.tags.pop(), self.shape
        if shape is None or mine is None:
            raise DlibFormatError("a residual block in a network of free input size")
        a, b, c = (max(sizes) for sizes in zip(mine, shape, strict=True))
        left, right = self.pad(self.x, mine, (a, b, c)), self.pad(name, shape, (a, b, c))
        self.add("Add", [left, right])
        self.shape = (a, b, c)

    def _con(self, layer: Layer) -> None:
        weights = layer.params["weights"]
        y, x = int(layer.values["padding_y"]), int(layer.values["padding_x"])
        self.add(
            "Conv",
            [self.x, self.weight(weights), self.weight(layer.params["bias"])],
            kernel_shape=list(weights.shape[2:]),
            strides=[int(layer.values["stride_y"]), int(layer.values["stride_x"])],
            pads=[y, x, y, x],
        )
        self._shrink(layer, *weights.shape[2:], channels=weights.shape[0])

    def _relu(self, layer: Layer) -> None:
        self.add("Relu", [self.x])

    def _max_pool(self, layer: Layer) -> None:
        self._pool("MaxPool", layer)

    def _avg_pool(self, layer: Layer) -> None:
        if layer.values["rows"]:
            self._pool("AveragePool", layer)
        else:
            self.add("GlobalAveragePool", [self.x])

    def _pool(self, op: str, layer: Layer) -> None:
        rows, columns = int(layer.values["rows"]), int(layer.values["columns"])
        strides = [int(layer.values["stride_y"]), int(layer.values["stride_x"])]
        self.add(op, [self.x], kernel_shape=[rows, columns], strides=strides)
        self._shrink(layer, rows, columns)

    def _fc(self, layer: Layer) -> None:
        self.add("Flatten", [self.x])
        self.add("MatMul", [self.x, self.weight(layer.params["weights"])])

    def _shrink(
        self, layer: Layer, rows: int, columns: int, *, channels: int | None = None
    ) -> None:
        if self.shape is None:
            return
        c, h, w = self.shape
        h = 1 + math.floor((h + 2 * layer.values["padding_y"] - rows) / layer.values["stride_y"])
        w = 1 + math.floor((w + 2 * layer.values["padding_x"] - columns) / layer.values["stride_x"])
        self.shape = (channels or c, h, w)


def build_model(layers: list[Layer], *, name: str) -> onnx.ModelProto:
    """A network of dlib layers (see format.read_network) as a checked ONNX model.

    Input `input`: float32 (batch, 3, rows, columns), RGB 0-255; rows and columns are free for a
    network without a fixed input size. Output `output`.
    """
    head, body = layers[0], _fold(layers)
    fixed = "rows" in head.values
    shape = (3, int(head.values["rows"]), int(head.values["columns"])) if fixed else None
    graph = _Graph(shape)
    graph.add_layers(body)
    size: list[int | str] = list(shape[1:]) if shape else ["rows", "columns"]
    last = body[-1].params["weights"].shape
    result: list[int | str] = [last[1]] if body[-1].kind == "fc" else [last[0], "down", "across"]
    graph.nodes[-1].output[0] = "output"
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [_value("input", [3, *size])],
            [_value("output", result)],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="facesvc",
    )
    onnx.checker.check_model(model)
    return model


def _value(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *shape])


def _fold(layers: list[Layer]) -> list[Layer]:
    """The layers after the input; each affine layer and the input scaling is folded into a con."""
    head, *rest = layers
    if head.kind != "input" or not rest or rest[0].kind != "con":
        raise DlibFormatError("expected an input layer and a convolution")
    mean = np.array([head.values[c] for c in ("red", "green", "blue")], dtype=np.float64)
    folded = [_fold_input(rest[0], mean)]
    for layer in rest[1:]:
        if layer.kind == "affine":
            folded[-1] = _fold_affine(folded[-1], layer)
        else:
            folded.append(layer)
    return folded


def _fold_input(con: Layer, mean: Floats) -> Layer:
    if con.values["padding_y"] or con.values["padding_x"]:
        raise DlibFormatError("the input scaling cannot be folded into a padded convolution")
    weights = con.params["weights"].astype(np.float64) / _INPUT_SCALE
    bias = con.params["bias"] - np.einsum("ocij,c->o", weights, mean)
    return _with_params(con, weights, bias)


def _fold_affine(con: Layer, affine: Layer) -> Layer:
    if con.kind != "con":
        raise DlibFormatError(f"an affine layer after {con.kind}")
    gamma = affine.params["gamma"].astype(np.float64)
    weights = con.params["weights"] * gamma[:, None, None, None]
    return _with_params(con, weights, con.params["bias"] * gamma + affine.params["beta"])


def _with_params(con: Layer, weights: Floats, bias: Floats) -> Layer:
    params = {"weights": weights.astype(np.float32), "bias": bias.astype(np.float32)}
    return Layer(con.kind, con.values, params)
