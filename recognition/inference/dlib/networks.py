"""Converts dlib's two face networks to ONNX models.

Normalisation layers and the input scaling are folded into the convolutions (exactly, since the
first convolution has no padding), so that the models take plain RGB values from 0 to 255.
"""

import math
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from recognition.inference.dlib.format import Array, DlibFormatError, Layer

# dlib/dnn/input.h: pixels are (value - mean) / 256.
_INPUT_SCALE = 256.0
_OPSET, _IR_VERSION = 17, 8

Shape = tuple[int, int, int]  # channels, rows, columns


class _Graph:
    """Collects nodes; `x` is the name of the current tensor, `shape` its size where it is fixed."""

    def __init__(self, shape: Shape | None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.x = "input"
        self.shape = shape

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


def build_model(layers: list[Layer], *, name: str) -> onnx.ModelProto:
    """A network of dlib layers (see format.read_network) as a checked ONNX model.

    Input `input`: float32 (batch, 3, rows, columns), RGB 0-255; rows and columns are free for a
    network without a fixed input size. Output `output`.
    """
    head, body = layers[0], _fold(layers)
    fixed = "rows" in head.values
    shape = (3, int(head.values["rows"]), int(head.values["columns"])) if fixed else None
    graph = _Graph(shape)
    _Emitter(graph).run(body)
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


def _fold_input(con: Layer, mean: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Layer:
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


def _with_params(
    con: Layer,
    weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    bias: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> Layer:
    params: dict[str, Array] = {
        "weights": weights.astype(np.float32),
        "bias": bias.astype(np.float32),
    }
    return Layer(con.kind, con.values, params)


class _Emitter:
    """Turns layers into nodes, keeping track of the residual branches by their tags.

    A plain block is `tag, ..., add_prev`; one that goes down is `tag, ..., tag, skip, avg_pool,
    add_prev`, where the skip (a tag without contents too) goes back to the first tag.
    """

    def __init__(self, graph: _Graph) -> None:
        self.graph = graph
        self.tags: list[tuple[str, Shape | None]] = []

    def run(self, layers: list[Layer]) -> None:
        for layer in layers:
            getattr(self, f"_{layer.kind}")(layer)

    def _tag(self, layer: Layer) -> None:
        graph = self.graph
        if len(self.tags) == 2:
            graph.x, graph.shape = self.tags.pop(0)
        else:
            self.tags.append((graph.x, graph.shape))

    def _add_prev(self, layer: Layer) -> None:
        graph = self.graph
        (name, shape), mine = self.tags.pop(), graph.shape
        if shape is None or mine is None:
            raise DlibFormatError("a residual block in a network of free input size")
        a, b, c = (max(sizes) for sizes in zip(mine, shape, strict=True))
        left, right = graph.pad(graph.x, mine, (a, b, c)), graph.pad(name, shape, (a, b, c))
        graph.add("Add", [left, right])
        graph.shape = (a, b, c)

    def _con(self, layer: Layer) -> None:
        graph, weights = self.graph, layer.params["weights"]
        y, x = int(layer.values["padding_y"]), int(layer.values["padding_x"])
        graph.add(
            "Conv",
            [graph.x, graph.weight(weights), graph.weight(layer.params["bias"])],
            kernel_shape=list(weights.shape[2:]),
            strides=[int(layer.values["stride_y"]), int(layer.values["stride_x"])],
            pads=[y, x, y, x],
        )
        self._shrink(layer, *weights.shape[2:], channels=weights.shape[0])

    def _relu(self, layer: Layer) -> None:
        self.graph.add("Relu", [self.graph.x])

    def _max_pool(self, layer: Layer) -> None:
        self._pool("MaxPool", layer)

    def _avg_pool(self, layer: Layer) -> None:
        if layer.values["rows"]:
            self._pool("AveragePool", layer)
        else:
            self.graph.add("GlobalAveragePool", [self.graph.x])

    def _pool(self, op: str, layer: Layer) -> None:
        rows, columns = int(layer.values["rows"]), int(layer.values["columns"])
        strides = [int(layer.values["stride_y"]), int(layer.values["stride_x"])]
        self.graph.add(op, [self.graph.x], kernel_shape=[rows, columns], strides=strides)
        self._shrink(layer, rows, columns)

    def _fc(self, layer: Layer) -> None:
        graph = self.graph
        graph.add("Flatten", [graph.x])
        graph.add("MatMul", [graph.x, graph.weight(layer.params["weights"])])

    def _shrink(
        self, layer: Layer, rows: int, columns: int, *, channels: int | None = None
    ) -> None:
        if self.graph.shape is None:
            return
        c, h, w = self.graph.shape
        h = 1 + math.floor((h + 2 * layer.values["padding_y"] - rows) / layer.values["stride_y"])
        w = 1 + math.floor((w + 2 * layer.values["padding_x"] - columns) / layer.values["stride_x"])
        self.graph.shape = (channels or c, h, w)
