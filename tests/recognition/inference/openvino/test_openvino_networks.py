"""Networks of OpenVINO as ONNX: each kind of layer, against numpy and against OpenVINO itself."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from recognition.inference.openvino.ir import IrError, read_network
from recognition.inference.openvino.networks import build_model
from tests.support.real_packs import MODELS, needs_models
from tests.support.tiny_ir import Numbers, Port, TinyIr

PERMISSIVE = MODELS / "permissive"
EXPLICIT = {"pads_begin": "1, 0", "pads_end": "0, 1", "auto_pad": "explicit"}
WINDOW = {"strides": "2, 1", **EXPLICIT}
POOL = {"kernel": "2, 2", "strides": "2, 2", **EXPLICIT}
Outputs = dict[str, Numbers]


def numbers(*shape: int, seed: int = 0) -> Numbers:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def halves(*shape: int) -> Numbers:
    return numbers(*shape, seed=1).astype(np.float16)


def convert(xml: bytes, values: bytes) -> onnxruntime.InferenceSession:
    model = build_model(read_network(xml, values), name="tiny")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run(session: onnxruntime.InferenceSession, batch: Numbers) -> Outputs:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"input": batch}), strict=True))


def one_layer(make: Callable[[TinyIr], Port], *shape: int) -> TinyIr:
    ir = TinyIr(1, *shape)
    ir.result(make(ir))
    return ir


def converted(make: Callable[[TinyIr], Port], batch: Numbers) -> Numbers:
    ir = one_layer(make, *batch.shape[1:])
    return run(convert(ir.xml(), ir.values), batch)["out"]


# --- Each layer -----------------------------------------------------------------------------------


def add(ir: TinyIr) -> Port:
    return ir.layer("Add", [ir.input, ir.const(halves(1, 4, 1, 1))], auto_broadcast="numpy")


def multiply(ir: TinyIr) -> Port:
    return ir.layer("Multiply", [ir.input, ir.const(halves(1, 4, 1, 1))], auto_broadcast="numpy")


def subtract(ir: TinyIr) -> Port:
    return ir.layer("Subtract", [ir.const(halves(1, 4, 1, 1)), ir.input], auto_broadcast="numpy")


def prelu(ir: TinyIr) -> Port:
    return ir.layer("PReLU", [ir.input, ir.const(halves(4))])


def prelu_of_one_slope(ir: TinyIr) -> Port:
    return ir.layer("PReLU", [ir.input, ir.const(halves(1))])


def relu(ir: TinyIr) -> Port:
    return ir.layer("ReLU", [ir.input])


def sigmoid(ir: TinyIr) -> Port:
    return ir.layer("Sigmoid", [ir.input])


def softmax(ir: TinyIr) -> Port:
    return ir.layer("SoftMax", [ir.input], axis=1)


def convolution(ir: TinyIr) -> Port:
    weights = ir.const(halves(3, 4, 2, 3))
    return ir.layer("Convolution", [ir.input, weights], dilations="1, 2", **WINDOW)


def group_convolution(ir: TinyIr) -> Port:
    """Two groups, each of two channels to three."""
    weights = ir.const(halves(2, 3, 2, 2, 2))
    return ir.layer("GroupConvolution", [ir.input, weights], dilations="1, 1", **WINDOW)


def max_pool(ir: TinyIr) -> Port:
    return ir.layer("MaxPool", [ir.input], rounding_type="floor", **POOL)


def max_pool_rounded_up(ir: TinyIr) -> Port:
    return ir.layer(
        "MaxPool",
        [ir.input],
        version="opset8",
        dilations="1, 1",
        rounding_type="ceil",
        index_element_type="i64",
        axis=0,
        kernel="3, 3",
        strides="2, 2",
        pads_begin="0, 0",
        pads_end="0, 0",
        auto_pad="explicit",
    )


def average_pool(ir: TinyIr) -> Port:
    return ir.layer("AvgPool", [ir.input], exclude__pad="true", rounding_type="floor", **POOL)


def average_pool_with_padding(ir: TinyIr) -> Port:
    return ir.layer("AvgPool", [ir.input], exclude__pad="false", rounding_type="floor", **POOL)


def reshape(ir: TinyIr) -> Port:
    shape = ir.const(np.array([0, -1], np.int64))
    return ir.layer("Reshape", [ir.input, shape], special_zero="true")


def matrix_product(ir: TinyIr) -> Port:
    weights = ir.const(halves(5, 4 * 7 * 6))
    return ir.layer("MatMul", [reshape(ir), weights], transpose_a="false", transpose_b="true")


LAYERS = [
    add,
    multiply,
    subtract,
    prelu,
    prelu_of_one_slope,
    relu,
    sigmoid,
    softmax,
    convolution,
    group_convolution,
    max_pool,
    max_pool_rounded_up,
    average_pool,
    average_pool_with_padding,
    reshape,
    matrix_product,
]
x = numbers(2, 4, 7, 6)
channels = halves(1, 4, 1, 1).astype(np.float32)


def test_it_works() -> None:
    """Two layers, and a batch though the file is for one picture."""
    ir = TinyIr(1, 4, 7, 6)
    ir.result(ir.layer("Sigmoid", [multiply(ir)]), "658/sink_port_0")
    session = convert(ir.xml(), ir.values)
    assert session.get_inputs()[0].shape == ["batch", 4, 7, 6]
    outputs = run(session, x)
    assert list(outputs) == ["658"]
    assert outputs["658"] == pytest.approx(1 / (1 + np.exp(-x * channels)), abs=1e-6)


def padded(value: float) -> Numbers:
    """`x` with a row above and a column on the right, as in EXPLICIT."""
    return np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 1)), constant_values=value)


def windows(value: float) -> Numbers:
    """(2, 4, 4, 3, 4): the 2 x 2 pixels that POOL looks at."""
    filled = padded(value)[:, :, :8, :6]
    return filled.reshape(2, 4, 4, 2, 3, 2).transpose(0, 1, 2, 4, 3, 5).reshape(2, 4, 4, 3, 4)


def expected_convolution() -> Numbers:
    weights, filled = halves(3, 4, 2, 3).astype(np.float32), padded(0)
    sums = np.zeros((2, 3, 4, 3), np.float32)
    for row, column in np.ndindex(4, 3):
        patch = filled[:, :, 2 * row : 2 * row + 2, column : column + 5 : 2]
        sums[:, :, row, column] = np.einsum("nihw,oihw->no", patch, weights)
    return sums


def expected_group_convolution() -> Numbers:
    weights, filled = halves(2, 3, 2, 2, 2).astype(np.float32), padded(0)
    sums = np.zeros((2, 6, 4, 6), np.float32)
    for group, row, column in np.ndindex(2, 4, 6):
        patch = filled[:, 2 * group : 2 * group + 2, 2 * row : 2 * row + 2, column : column + 2]
        sums[:, 3 * group : 3 * group + 3, row, column] = np.einsum(
            "nihw,oihw->no", patch, weights[group]
        )
    return sums


def expected_max_pool_rounded_up() -> Numbers:
    filled = np.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=-np.inf)
    rows = [filled[:, :, 2 * row : 2 * row + 3] for row in range(3)]
    return np.stack(
        [np.stack([r[..., 2 * c : 2 * c + 3].max((2, 3)) for c in range(3)], -1) for r in rows], -2
    )


def softened() -> Numbers:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


EXPECTED: dict[Callable[[TinyIr], Port], Callable[[], Numbers]] = {
    add: lambda: x + channels,
    multiply: lambda: x * channels,
    subtract: lambda: channels - x,
    prelu: lambda: np.where(x > 0, x, x * channels),
    prelu_of_one_slope: lambda: np.where(x > 0, x, x * halves(1).astype(np.float32)),
    relu: lambda: np.maximum(x, 0),
    sigmoid: lambda: 1 / (1 + np.exp(-x)),
    softmax: softened,
    convolution: expected_convolution,
    group_convolution: expected_group_convolution,
    max_pool: lambda: windows(-np.inf).max(axis=-1),
    max_pool_rounded_up: expected_max_pool_rounded_up,
    average_pool: lambda: np.nanmean(windows(np.nan), axis=-1),
    average_pool_with_padding: lambda: windows(0).mean(axis=-1),
    reshape: lambda: x.reshape(2, -1),
    matrix_product: lambda: x.reshape(2, -1) @ halves(5, 168).astype(np.float32).T,
}


@pytest.mark.parametrize("make", LAYERS)
def test_a_layer(make: Callable[[TinyIr], Port]) -> None:
    expected = EXPECTED[make]()
    found = converted(make, x)
    assert found.shape == expected.shape
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("make", LAYERS)
def test_a_layer_as_openvino_computes_it(make: Callable[[TinyIr], Port], tmp_path: Path) -> None:
    ir = one_layer(make, *x.shape[1:])
    (tmp_path / "tiny.xml").write_bytes(ir.xml())
    (tmp_path / "tiny.bin").write_bytes(ir.values)
    (found,) = by_openvino(tmp_path / "tiny.xml", x).values()
    assert converted(make, x) == pytest.approx(found, abs=1e-5)


# --- Whole networks -------------------------------------------------------------------------------


def by_openvino(path: Path, batch: Numbers) -> Outputs:
    """The outputs by all their names, a picture at a time, as the files are for one."""
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(path), "CPU", options)
    results = [compiled(picture[None]) for picture in batch]
    return {
        ",".join(sorted(output.get_names())): np.concatenate([each[output] for each in results])
        for output in compiled.outputs
    }


def files(name: str) -> tuple[bytes, bytes]:
    return (PERMISSIVE / f"{name}.xml").read_bytes(), (PERMISSIVE / f"{name}.bin").read_bytes()


@needs_models
@pytest.mark.parametrize(
    ("name", "side", "names"),
    [
        ("face-reidentification-retail-0095", 128, ["658"]),
        ("landmarks-regression-retail-0009", 48, ["95"]),
        ("head-pose-estimation-adas-0001", 60, ["fc_p", "fc_r", "fc_y"]),
    ],
)
def test_a_network_as_openvino_computes_it(name: str, side: int, names: list[str]) -> None:
    pictures = np.random.default_rng(2).uniform(0, 255, (2, 3, side, side)).astype(np.float32)
    found = run(convert(*files(name)), pictures)
    assert sorted(found) == names
    for aliases, values in by_openvino(PERMISSIVE / f"{name}.xml", pictures).items():
        (ours,) = (found[alias] for alias in aliases.split(",") if alias in found)
        assert ours == pytest.approx(values, abs=2e-5)


@needs_models
def test_the_recogniser_as_another_converter_made_it() -> None:
    pictures = np.random.default_rng(2).uniform(0, 255, (2, 3, 128, 128)).astype(np.float32)
    (ours,) = run(convert(*files("face-reidentification-retail-0095")), pictures).values()
    other = onnxruntime.InferenceSession(
        MODELS / "face_reidentification_retail_0095_256.onnx", providers=["CPUExecutionProvider"]
    )
    (theirs,) = other.run(None, {other.get_inputs()[0].name: pictures})
    a, b = ours.reshape(2, -1), theirs.reshape(2, -1)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines == pytest.approx([1, 1], abs=1e-5)


# --- What is refused ------------------------------------------------------------------------------


def fails(match: str, make: Callable[[TinyIr], Port]) -> None:
    ir = one_layer(make, 4, 7, 6)
    with pytest.raises(IrError, match=match):
        build_model(read_network(ir.xml(), ir.values), name="tiny")


def test_an_unknown_layer() -> None:
    fails(r"layer 1 \(Tanh 'Tanh_1'\): this kind of layer", lambda ir: ir.layer("Tanh", [ir.input]))


@pytest.mark.parametrize("kind", ["elementwise", "node", "PRELU", "__init__", ""])
def test_a_layer_named_as_something_else_of_ours(kind: str) -> None:
    fails("this kind of layer is not known", lambda ir: ir.layer(kind, [ir.input]))


def test_too_many_inputs() -> None:
    fails("has 2 inputs", lambda ir: ir.layer("ReLU", [ir.input, ir.input]))


def test_weights_that_are_no_constant() -> None:
    fails(
        "input 1 must be a constant",
        lambda ir: ir.layer("Convolution", [ir.input, ir.input], dilations="1, 1", **WINDOW),
    )


@pytest.mark.parametrize(
    ("kind", "changes", "match"),
    [
        ("MaxPool", {"auto_pad": "same_upper"}, "the padding must be given in numbers"),
        ("MaxPool", {"rounding_type": "up"}, "the unknown rounding 'up'"),
        ("MaxPool", {"kernel": "2"}, "kernel must have 2 numbers"),
        ("MaxPool", {"kernel": "2, -2"}, "kernel must be whole numbers"),
        ("MaxPool", {"strides": "9999999999, 1"}, "strides must be whole numbers"),
        ("MaxPool", {"kernel": "90, 90"}, "do not fit together"),
        ("AvgPool", {}, "lacks exclude-pad"),
    ],
)
def test_a_window_that_is_wrong(kind: str, changes: dict[str, str], match: str) -> None:
    data = {**POOL, "rounding_type": "floor", **changes}
    fails(match, lambda ir: ir.layer(kind, [ir.input], **data))


def test_another_rule_for_shapes() -> None:
    fails(
        "only numpy's rule",
        lambda ir: ir.layer("Add", [ir.input, ir.const(halves(4))], auto_broadcast="pdpd"),
    )


def test_shapes_that_do_not_fit() -> None:
    fails(
        "do not fit together",
        lambda ir: ir.layer("Add", [ir.input, ir.const(halves(1, 3, 1, 1))]),
    )


@pytest.mark.parametrize("shape", [[1, -1], [168], [-1]])
def test_a_shape_for_one_picture(shape: list[int]) -> None:
    """[-1] makes one list of all pictures of a batch."""
    wanted = np.array(shape, np.int64)
    fails(
        "keeps the batch",
        lambda ir: ir.layer("Reshape", [ir.input, ir.const(wanted)], special_zero="true"),
    )


def test_a_product_with_no_constant() -> None:
    fails(
        "input 1 must be a constant",
        lambda ir: ir.layer("MatMul", [ir.input, ir.input]),
    )


def test_a_network_without_an_output() -> None:
    ir = TinyIr(1, 4, 7, 6)
    with pytest.raises(IrError, match="1 inputs and 0 outputs"):
        build_model(read_network(ir.xml(), ir.values), name="tiny")


def test_an_input_of_free_size() -> None:
    ir = TinyIr(1, 3, 0, 8)
    ir.result(relu(ir))
    with pytest.raises(IrError, match="with a fixed size"):
        build_model(read_network(ir.xml(), ir.values), name="tiny")
