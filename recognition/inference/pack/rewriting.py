"""Rewrites networks so that onnxruntime computes them faster; the outputs agree to six digits.

onnxruntime folds constants and normalisations itself when it loads a network. What is rewritten
here is what its profiler showed beside that, in the networks of all packs.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
# The nodes that take the place of one, and the values of their new constants.
Replacement = tuple[list[onnx.NodeProto], dict[str, Array]]

# The least area of a window for which a convolution to one channel is turned round.
_LEAST_WINDOW = 25
# onnxruntime computes so many channels at once on processors with AVX-512, and half as many on
# others.
_BLOCK = 16
# A tensor of fewer channels would become padding for the most part.
_LEAST_CHANNELS = 12
# The channels of convolutions side by side that become one: to split more costs what it saves.
_MOST_JOINED = 2 * _BLOCK
# These compute each channel by itself.
_CHANNELWISE = {"Relu", "LeakyRelu", "Sigmoid", "Add", "Mul"}
_CHANNELWISE |= {"MaxPool", "AveragePool", "GlobalAveragePool"}


def rewritten(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model, changed in place and checked. Raises onnx.checker.ValidationError."""
    graph = model.graph
    # The nodes of an inner graph use tensors of the outer one without naming them as inputs.
    if not any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        _replace(graph, "PRelu", _without_prelu)
        _replace(graph, "Conv", _turned_round)
        _join(model)
        _Channels(graph).pad()
        used = {name for node in graph.node for name in node.input}
        kept = [each for each in graph.initializer if each.name in used]
        del graph.initializer[:], graph.value_info[:]
        graph.initializer.extend(kept)
    onnx.checker.check_model(model)
    return model


def _constants(graph: onnx.GraphProto) -> dict[str, Array]:
    """The initializers, without those that an input can replace."""
    inputs = {value.name for value in graph.input}
    return {
        each.name: numpy_helper.to_array(each)
        for each in graph.initializer
        if each.name not in inputs
    }


# --- Single nodes ---------------------------------------------------------------------------------


def _replace(
    graph: onnx.GraphProto, kind: str, by: Callable[[onnx.NodeProto, Array], Replacement | None]
) -> None:
    """Replace the nodes of this kind that have a constant second input and a replacement."""
    constants = _constants(graph)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        made = None
        if node.op_type == kind and node.input[1] in constants:
            made = by(node, constants[node.input[1]])
        new, values = made or ([node], {})
        nodes += new
        graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in values.items())
    del graph.node[:]
    graph.node.extend(nodes)


def _without_prelu(node: onnx.NodeProto, slopes: Array) -> Replacement:
    """LeakyRelu if all slopes are the same, else a x + max((1 - a) x, 0).

    onnxruntime joins a LeakyRelu with the convolution before it, and computes the sum in half of
    the time of PRelu.
    """
    (x, slope), (y,) = node.input, node.output
    if (slopes == slopes.flat[0]).all():
        return [helper.make_node("LeakyRelu", [x], [y], alpha=float(slopes.flat[0]))], {}
    rest = 1 - slopes
    if (rest >= 0).all():
        high = [("Mul", [x, f"{y}/rest"], f"{y}/part"), ("Relu", [f"{y}/part"], f"{y}/high")]
    else:
        high = [("Relu", [x], f"{y}/part"), ("Mul", [f"{y}/part", f"{y}/rest"], f"{y}/high")]
    steps = [*high, ("Mul", [x, slope], f"{y}/low"), ("Add", [f"{y}/low", f"{y}/high"], y)]
    nodes = [helper.make_node(kind, inputs, [output]) for kind, inputs, output in steps]
    return nodes, {f"{y}/rest": rest}


def _turned_round(node: onnx.NodeProto, weights: Array) -> Replacement | None:
    """A convolution with a large window and one output channel, as the transposed one.

    A convolution copies the picture for each pixel of the window. The transposed one multiplies
    first, and adds up what is left: one value for each pixel of the window.
    """
    known = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    ones = [*known.get("strides", []), *known.get("dilations", []), known.get("group", 1)]
    is_plain = set(ones) == {1} and known.get("auto_pad", b"NOTSET") == b"NOTSET"
    if not is_plain or weights.ndim != 4 or weights.shape[0] != 1:
        return None
    rows, columns = weights.shape[2:]
    pads = known.get("pads", [0] * 4)
    missing = [side - 1 - pad for side, pad in zip([rows, columns] * 2, pads, strict=True)]
    if rows * columns < _LEAST_WINDOW or min(missing) < 0:
        return None
    turned, name = weights[:, :, ::-1, ::-1].swapaxes(0, 1), f"{node.output[0]}/turned"
    made = helper.make_node(
        "ConvTranspose",
        [node.input[0], name, *node.input[2:]],
        node.output,
        kernel_shape=[rows, columns],
        pads=missing,
    )
    return [made], {name: np.ascontiguousarray(turned)}


# --- Convolutions side by side --------------------------------------------------------------------


def _join(model: onnx.ModelProto) -> None:
    """Convolutions of one tensor to a few channels each become one, whose output is split.

    onnxruntime computes a whole block of channels for each of them.
    """
    graph, constants = model.graph, _constants(model.graph)
    alike: dict[object, list[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.op_type == "Conv" and set(node.input[1:]) <= set(constants):
            attributes = sorted(each.SerializeToString() for each in node.attribute)
            window = constants[node.input[1]].shape[1:]
            key = (node.input[0], window, len(node.input), tuple(attributes))
            alike.setdefault(key, []).append(node)
    made: dict[str, list[onnx.NodeProto]] = {}
    for nodes in alike.values():
        sizes = [len(constants[node.input[1]]) for node in nodes]
        groups = [each.i for each in nodes[0].attribute if each.name == "group"]
        saves = _blocks(sum(sizes)) < sum(map(_blocks, sizes))
        if groups in ([], [1]) and saves and sum(sizes) <= _MOST_JOINED:
            made.update((node.output[0], []) for node in nodes)
            made[nodes[0].output[0]] = _joined(model, nodes, constants)
    nodes = [new for node in graph.node for new in made.get(node.output[0], [node])]
    del graph.node[:]
    graph.node.extend(nodes)


def _blocks(channels: int) -> int:
    return -(-channels // _BLOCK)


def _joined(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], constants: dict[str, Array]
) -> list[onnx.NodeProto]:
    """One convolution for these, and the split of its output."""
    name = f"{nodes[0].output[0]}/joined"
    values = zip(*([constants[each] for each in node.input[1:]] for node in nodes), strict=True)
    named = {f"{name}/{place}": np.concatenate(parts) for place, parts in enumerate(values)}
    convolution = helper.make_node("Conv", [nodes[0].input[0], *named], [name])
    convolution.attribute.extend(nodes[0].attribute)
    sizes = [len(constants[node.input[1]]) for node in nodes]
    outputs = [node.output[0] for node in nodes]
    if next(each.version for each in model.opset_import if not each.domain) < 13:
        split = helper.make_node("Split", [name], outputs, axis=1, split=sizes)
    else:
        named[f"{name}/sizes"] = np.array(sizes, np.int64)
        split = helper.make_node("Split", [name, f"{name}/sizes"], outputs, axis=1)
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in named.items())
    return [convolution, split]


# --- Channels -------------------------------------------------------------------------------------


class _Channels:
    """Pads the channels between convolutions to whole blocks.

    onnxruntime takes a tensor with another number of channels out of its fast layout, which copies
    it, and computes slowly there. What is in the added channels does not matter: the weights that
    the next convolution has for them are 0.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = _constants(graph)
        self._uses = Counter(name for node in graph.node for name in node.input)
        # Tensors with the same channels lead to the same one.
        self._same: dict[str, str] = {}
        self._fixed = {value.name for value in [*graph.input, *graph.output]}
        self._sizes: list[tuple[str, int]] = []
        # What grows with a tensor: an axis of a constant, or the number of groups.
        self._axes: list[tuple[str, int, str]] = []
        self._groups: list[tuple[onnx.AttributeProto, str]] = []

    def pad(self) -> None:
        for node in self._graph.node:
            if not self._see(node):
                self._fixed.update([*node.input, *node.output])
        grown = self._grown()
        for name, axis, tensor in self._axes:
            if size := grown.get(self._first(tensor)):
                value = self._constants[name]
                more = [(0, 0)] * value.ndim
                more[axis] = (0, size - value.shape[axis])
                self._constants[name] = np.pad(value, more)
        for groups, tensor in self._groups:
            groups.i = grown.get(self._first(tensor), groups.i)
        changed = {name for name, _, _ in self._axes}
        for each in self._graph.initializer:
            if each.name in changed:
                each.CopyFrom(numpy_helper.from_array(self._constants[each.name], each.name))

    def _grown(self) -> dict[str, int]:
        """The new numbers of channels, by the first of the tensors that have them."""
        fixed = {self._first(name) for name in self._fixed}
        sizes: dict[str, set[int]] = {}
        for tensor, size in self._sizes:
            sizes.setdefault(self._first(tensor), set()).add(size)
        return {
            first: -(-max(found) // _BLOCK) * _BLOCK
            for first, found in sizes.items()
            if first not in fixed and len(found) == 1 and max(found) >= _LEAST_CHANNELS
        }

    def _see(self, node: onnx.NodeProto) -> bool:
        """Whether the channels of the node's tensors may grow, if no other node is against it."""
        constants = [name for name in node.input if name in self._constants]
        if len(node.output) != 1 or any(self._uses[name] > 1 for name in constants):
            return False
        if node.op_type in _CHANNELWISE:
            return self._see_channelwise(node, constants)
        if list(node.input[1:]) != constants:
            return False
        groups = next((each for each in node.attribute if each.name == "group"), None)
        if node.op_type == "Conv":
            return self._see_convolution(node, groups)
        return node.op_type == "ConvTranspose" and self._see_transposed(node, groups)

    def _see_channelwise(self, node: onnx.NodeProto, constants: list[str]) -> bool:
        output = node.output[0]
        for name in constants:
            value = self._constants[name]
            if value.size > 1:
                if value.ndim < 3 or value.shape[-3] != value.size:
                    return False
                self._axes.append((name, value.ndim - 3, output))
                self._sizes.append((output, value.size))
        for name in set(node.input) - set(constants):
            self._join(name, output)
        return True

    def _see_convolution(self, node: onnx.NodeProto, groups: onnx.AttributeProto | None) -> bool:
        (x, weights, *bias), (y,) = node.input, node.output
        outputs, inputs = self._constants[weights].shape[:2]
        if groups is None or groups.i == 1:
            self._sizes.append((x, inputs))
            self._axes.append((weights, 1, x))
        elif groups.i == outputs and inputs == 1:
            self._join(x, y)
            self._groups.append((groups, y))
        else:
            return False
        self._sizes.append((y, outputs))
        self._axes += [(name, 0, y) for name in [weights, *bias]]
        return True

    def _see_transposed(self, node: onnx.NodeProto, groups: onnx.AttributeProto | None) -> bool:
        x, weights = node.input[:2]
        if groups is not None and groups.i != 1:
            return False
        self._sizes.append((x, self._constants[weights].shape[0]))
        self._axes.append((weights, 0, x))
        self._fixed.add(node.output[0])
        return True

    def _join(self, one: str, other: str) -> None:
        self._same[self._first(one)] = self._first(other)

    def _first(self, tensor: str) -> str:
        while (other := self._same.get(tensor, tensor)) != tensor:
            tensor = other
        return tensor
