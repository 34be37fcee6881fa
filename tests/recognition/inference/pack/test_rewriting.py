"""Networks that are rewritten compute the same, by operations that onnxruntime is fast at."""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from django.conf import settings
from onnx import helper, numpy_helper

from recognition.inference.arrays import Floats
from recognition.inference.pack import conversion
from recognition.inference.pack.declaration import ModelPack, load_pack
from recognition.inference.pack.files import ConvertedFile, EightBitFile
from recognition.inference.pack.rewriting import rewritten
from recognition.inference.pack.weights import weight_path
from recognition.packs import downloads, engine
from tests.support import real_packs

FLOATS = onnx.TensorProto.FLOAT
CHANCE = np.random.default_rng(5)
# The network of a test: from the name of the picture to nodes, constants and the result's name.
Body = Callable[["Network"], str]


class Network:
    """A network with one picture of three channels as its input."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Floats] = {}

    def node(self, op: str, *inputs: str | Floats, **attributes: Any) -> str:
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [output], **attributes))
        return output

    def constant(self, value: Floats) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = value.astype(np.float32)
        return name

    def conv(self, x: str, channels: tuple[int, int], window: int = 3, **attributes: Any) -> str:
        """A convolution from so many channels to so many, at the same size."""
        inputs, outputs = channels
        weights = CHANCE.normal(size=(outputs, inputs, window, window)) / window
        if "auto_pad" not in attributes:
            attributes = {"pads": [window // 2] * 4, **attributes}
        return self.node("Conv", x, weights, CHANCE.normal(size=outputs), **attributes)

    def model(self, result: str, inputs: tuple[str, ...] = ()) -> onnx.ModelProto:
        """`inputs` are constants that callers can replace."""
        values = [helper.make_tensor_value_info("x", FLOATS, [None, 3, None, None])]
        values += [
            helper.make_tensor_value_info(name, FLOATS, self.constants[name].shape)
            for name in inputs
        ]
        graph = helper.make_graph(
            self.nodes,
            "network",
            values,
            [helper.make_tensor_value_info(result, FLOATS, [None] * 4)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def channels(model: onnx.ModelProto) -> list[list[int]]:
    """The outputs and the inputs of the weights of each convolution."""
    shapes = {each.name: list(each.dims[:2]) for each in model.graph.initializer}
    return [shapes[node.input[1]] for node in model.graph.node if node.op_type.startswith("Conv")]


def outputs(model: bytes, batch: Floats) -> list[Floats]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: list[Floats] = session.run(None, {session.get_inputs()[0].name: batch})
    return found


def checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model rewritten, which gives what it gave."""
    data, batch = model.SerializeToString(), CHANCE.normal(size=(2, 3, 9, 11)).astype(np.float32)
    (wanted,) = outputs(data, batch)
    new = rewritten(model)
    (found,) = outputs(new.SerializeToString(), batch)
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-4)
    return new


def test_it_works() -> None:
    """Two convolutions of 13 channels, one of which looks at each channel by itself."""
    network = Network()
    x = network.node("PRelu", network.conv("x", (3, 13)), CHANCE.uniform(0, 1, (13, 1, 1)))
    x = network.conv(x, (1, 13), group=13)
    new = checked(network.model(network.conv(x, (13, 2))))
    assert kinds(new) == ["Conv", "Mul", "Relu", "Mul", "Add", "Conv", "Conv"]
    assert channels(new) == [[16, 3], [16, 1], [2, 16]]
    assert rewritten(onnx.ModelProto.FromString(new.SerializeToString())) == new


# --- PRelu ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slopes", "wanted"),
    [
        ([0.25, 0.5, 1.0], ["Mul", "Relu", "Mul", "Add"]),
        ([0.25, -0.5, 1.5], ["Relu", "Mul", "Mul", "Add"]),
        ([0.25], ["LeakyRelu"]),
        ([-0.5], ["LeakyRelu"]),
        ([1.5, 1.5, 1.5], ["LeakyRelu"]),
    ],
)
def test_prelu(slopes: list[float], wanted: list[str]) -> None:
    """After a convolution, with which onnxruntime joins what it can."""
    network = Network()
    x = network.conv("x", (3, 3))
    new = checked(network.model(network.node("PRelu", x, np.reshape(slopes, (-1, 1, 1)))))
    assert kinds(new) == ["Conv", *wanted]


def test_slopes_that_are_an_input_stay() -> None:
    network = Network()
    x = network.node("PRelu", "x", np.full((3, 1, 1), 0.5))
    x = network.node("PRelu", x, np.full((3, 1, 1), 0.5))
    new = rewritten(network.model(x, ("constant_0",)))
    assert kinds(new) == ["PRelu", "LeakyRelu"]


# --- Convolutions to one channel ------------------------------------------------------------------


@pytest.mark.parametrize("pads", [[2, 2, 2, 2], [0, 0, 0, 0], [0, 1, 2, 4]])
def test_a_large_window_and_one_channel(pads: list[int]) -> None:
    network = Network()
    x = network.conv(network.conv("x", (3, 20)), (20, 1), 5, pads=pads)
    new = checked(network.model(x))
    assert kinds(new) == ["Conv", "ConvTranspose"]
    assert channels(new) == [[32, 3], [32, 1]]


@pytest.mark.parametrize(
    ("window", "attributes"),
    [
        (3, {}),
        (5, {"strides": [2, 2]}),
        (5, {"dilations": [2, 2]}),
        (5, {"pads": [5, 5, 5, 5]}),
        (5, {"auto_pad": "SAME_UPPER"}),
    ],
)
def test_other_convolutions_to_one_channel(window: int, attributes: dict[str, Any]) -> None:
    network = Network()
    x = network.conv("x", (3, 1), window, **attributes)
    assert kinds(checked(network.model(x))) == ["Conv"]


# --- Convolutions side by side --------------------------------------------------------------------


def side_by_side(*sizes: int, opset: int = 17, **attributes: Any) -> onnx.ModelProto:
    """One convolution of the picture for each number of channels, joined at the end."""
    network = Network()
    heads = [network.conv("x", (3, size), **attributes) for size in sizes]
    model = network.model(network.node("Concat", *heads, axis=1))
    model.opset_import[0].version = opset
    return model


@pytest.mark.parametrize("opset", [11, 17])
def test_convolutions_to_few_channels(opset: int) -> None:
    """As the last ones of a detector, for scores, boxes and landmarks."""
    new = checked(side_by_side(2, 8, 20, opset=opset))
    assert kinds(new) == ["Conv", "Split", "Concat"]
    assert channels(new) == [[30, 3]]
    assert checked(onnx.ModelProto.FromString(new.SerializeToString())) == new


@pytest.mark.parametrize("sizes", [(16, 16), (20, 20), (8,)])
def test_nothing_to_join(sizes: tuple[int, ...]) -> None:
    assert kinds(checked(side_by_side(*sizes))) == [*["Conv"] * len(sizes), "Concat"]


def test_convolutions_that_are_not_alike() -> None:
    network = Network()
    one = network.conv("x", (3, 4))
    other = network.conv("x", (3, 4), 5)
    deeper = network.conv(one, (4, 4))
    model = network.model(network.node("Concat", one, other, deeper, axis=1))
    assert kinds(checked(model)) == ["Conv"] * 3 + ["Concat"]


# --- Channels -------------------------------------------------------------------------------------


def test_channels_of_a_sum_and_a_product() -> None:
    """As in a block with a gate: all tensors have the same channels, and grow together."""
    network = Network()
    x = network.node("Relu", network.conv("x", (3, 20)))
    y = network.conv(network.node("GlobalAveragePool", x), (20, 20), 1)
    y = network.node("Mul", x, network.node("Sigmoid", y))
    y = network.node("Add", network.node("Mul", y, CHANCE.normal(size=(1, 20, 1, 1))), x)
    y = network.node("Mul", network.node("MaxPool", y, kernel_shape=[2, 2]), np.array(0.5))
    new = checked(network.model(network.conv(y, (20, 4))))
    assert channels(new) == [[32, 3], [32, 32], [4, 32]]


def outside(network: Network) -> str:
    return network.conv("x", (3, 20))


def joined(network: Network) -> str:
    one, other = network.conv("x", (3, 20)), network.conv("x", (3, 20))
    return network.conv(network.node("Concat", one, other, axis=1), (40, 4))


def few(network: Network) -> str:
    return network.conv(network.conv("x", (3, 11)), (11, 4))


def of_two_groups(network: Network) -> str:
    return network.conv(network.conv("x", (3, 20)), (10, 20), group=2)


def along_the_rows(network: Network) -> str:
    x = network.node("Mul", network.conv("x", (3, 20)), CHANCE.normal(size=11))
    return network.conv(x, (20, 4))


def gated_by_one(network: Network) -> str:
    x = network.conv("x", (3, 20))
    return network.conv(network.node("Mul", x, network.conv(x, (20, 1))), (20, 4))


def of_shared_weights(network: Network) -> str:
    x = network.conv(network.conv("x", (3, 20)), (20, 20))
    return network.conv(network.node("Conv", x, network.nodes[-1].input[1]), (20, 4))


@pytest.mark.parametrize(
    "body",
    [outside, joined, few, of_two_groups, along_the_rows, gated_by_one, of_shared_weights],
    ids=lambda body: body.__name__,
)
def test_channels_that_stay(body: Body) -> None:
    network = Network()
    model = network.model(body(network))
    before = channels(model)
    assert channels(checked(model)) == before


def test_an_inner_graph_stays() -> None:
    """It can use every tensor of the outer one by name."""
    network = Network()
    x = network.conv("x", (3, 20))
    result = helper.make_tensor_value_info("inner", FLOATS, [None] * 4)
    inner = [helper.make_node("Relu", [x], ["inner"])]
    branch = helper.make_graph(inner, "branch", [], [result])
    truth = network.node("Cast", network.constant(np.array(1.0)), to=onnx.TensorProto.BOOL)
    y = network.node("If", truth, then_branch=branch, else_branch=branch)
    model = network.model(network.node("Add", network.conv(x, (20, 4)), network.conv(y, (20, 4))))
    before = model.SerializeToString()
    assert checked(model).SerializeToString() == before


# --- The networks of the packs --------------------------------------------------------------------


def dlib() -> ModelPack:
    return engine.pack("dlib")


def permissive() -> ModelPack:
    pack = real_packs.permissive_pack()
    downloads.pull(pack, settings.MODELS_DIR, str(real_packs.MODELS / "permissive"))
    return pack


def of_tests(name: str) -> ModelPack:
    pack = load_pack(real_packs.FOLDER / name)
    downloads.pull(pack, settings.MODELS_DIR, str(real_packs.MODELS))
    return pack


def made(pack: ModelPack, weights: ConvertedFile) -> bytes:
    parts = [weight_path(pack, part, settings.MODELS_DIR) for part in weights.parts]
    file = BytesIO()
    conversion.convert(weights, parts, file, name=Path(weights.file).stem)
    return file.getvalue()


def batch_for(network: bytes) -> Floats:
    shape = onnx.load_from_string(network).graph.input[0].type.tensor_type.shape.dim
    # Where it is free, a size that each network takes.
    _, *sides = [each.dim_value or 160 for each in shape]
    if shape[1].dim_value not in (1, 3):
        sides = [160, 160, 3]
    return CHANCE.uniform(0, 255, (1, *sides)).astype(np.float32)


@pytest.mark.parametrize(
    "pack",
    [
        dlib,
        pytest.param(permissive, marks=real_packs.needs_models),
        *(
            pytest.param(partial(of_tests, name), marks=real_packs.needs_models, id=name)
            for name in real_packs.NAMES
        ),
    ],
)
def test_the_networks_of_a_pack(
    pack: Callable[[], ModelPack], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = pack()
    files = [each for each in opened.weight_files() if isinstance(each, ConvertedFile)]
    # Those with integers give less exactly what they gave: test_eight_bits.py.
    floats = [each for each in files if not isinstance(each, EightBitFile)]
    networks = [each for each in floats if each.file.endswith(".onnx")]
    assert networks
    new = [made(opened, each) for each in networks]
    monkeypatch.setattr(conversion, "rewritten", lambda model: model)
    for weights, network in zip(networks, new, strict=True):
        was = made(opened, weights)
        batch = batch_for(was)
        for wanted, found in zip(outputs(was, batch), outputs(network, batch), strict=True):
            lengths = np.linalg.norm(wanted) * np.linalg.norm(found)
            assert np.vdot(wanted, found) >= 0.99999 * lengths, weights.file
