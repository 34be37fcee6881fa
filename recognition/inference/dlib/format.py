"""Reader for dlib's serialization format: networks and shape predictors.

dlib writes integers and floats in a compact portable form (a control byte, then little-endian
bytes), so that nothing can be memory-mapped: the files are parsed once and the result is cached as
ONNX and arrays (see dlib/networks.py). Only the layer types that the two face networks use are
known; anything else is an error, never skipped.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

# dlib/float_details.h: exponents from 32000 on are infinities and what is no number.
_NOT_FINITE = 32000
_NEGATIVE = 0x80


class DlibFormatError(ValueError):
    """The bytes are not a dlib file of the expected kind; the message says where."""


@dataclass(frozen=True)
class Layer:
    """One computational layer; `values` are its numbers, `params` its learned tensors."""

    kind: str
    values: dict[str, int | float] = field(default_factory=dict)
    params: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class ShapePredictor:
    """A cascade of regression forests (Kazemi and Sullivan, CVPR 2014).

    C cascades, T trees each, S splits and S + 1 leaves a tree, P feature pixels, L landmarks.
    """

    initial_shape: Array  # (L, 2), in the unit square of the face box
    split_first: npt.NDArray[np.int32]  # (C, T, S) index of the first feature pixel
    split_second: npt.NDArray[np.int32]  # (C, T, S)
    split_threshold: Array  # (C, T, S)
    leaves: Array  # (C, T, S + 1, L, 2)
    anchors: npt.NDArray[np.int32]  # (C, P) the landmark each feature pixel hangs on
    deltas: Array  # (C, P, 2) offset from it


class Reader:
    """A cursor over the bytes of one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def integer(self) -> int:
        (control,) = self._take(1)
        size = control & 0x0F
        if size > 8 or control & 0x70:
            raise DlibFormatError(f"not an integer at byte {self._at - 1}")
        value = int.from_bytes(self._take(size), "little")
        return -value if control & _NEGATIVE else value

    def real(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        if exponent >= _NOT_FINITE:
            raise DlibFormatError(f"not a number before byte {self._at}")
        return math.ldexp(mantissa, exponent)

    def boolean(self) -> bool:
        value = self._take(1)
        if value not in (b"0", b"1"):
            raise DlibFormatError(f"not a boolean at byte {self._at - 1}")
        return value == b"1"

    def string(self) -> str:
        return self._take(self.integer()).decode("latin-1")

    def integers(self, count: int) -> list[int]:
        return [self.integer() for _ in range(count)]

    def reals(self, count: int) -> list[float]:
        return [self.real() for _ in range(count)]

    def tensor(self) -> Array:
        """A tensor of shape (samples, channels, rows, columns)."""
        self._version(2, "tensor")
        shape = self.integers(4)
        raw = self._take(4 * math.prod(shape))
        return np.frombuffer(raw, dtype="<f4").reshape(shape).astype(np.float32)

    def alias(self) -> tuple[int, ...]:
        """The shape of a view into a tensor."""
        self._version(1, "alias tensor")
        return tuple(self.integers(4))

    def matrix(self) -> Array:
        rows, columns = -self.integer(), -self.integer()
        return np.array(self.reals(rows * columns), dtype=np.float32).reshape(rows, columns)

    def finish(self) -> None:
        """Raise DlibFormatError if bytes are left: then the format was not understood."""
        if self._at != len(self._data):
            raise DlibFormatError(f"{len(self._data) - self._at} bytes left over")

    def _version(self, expected: int, what: str) -> None:
        found = self.integer()
        if found != expected:
            raise DlibFormatError(f"{what} of version {found}, expected {expected}")

    def _take(self, count: int) -> bytes:
        if count < 0 or self._at + count > len(self._data):
            raise DlibFormatError("the file ends too early")
        self._at += count
        return self._data[self._at - count : self._at]


def read_network(data: bytes) -> list[Layer]:
    """The layers of a network, input first; tags and the loss carry nothing and are left out.

    Per-layer versions come outermost first (2 layer, 1 tag, 3 innermost with its input layer), the
    layers' contents innermost first.
    """
    reader = Reader(data)
    if reader.integer() != 1:
        raise DlibFormatError("not a dlib network")
    _read_loss(reader)
    versions: list[int] = []
    while not versions or versions[-1] != 3:
        versions.append(reader.integer())
        if versions[-1] not in (1, 2, 3):
            raise DlibFormatError(f"layer of version {versions[-1]}")
    layers = [_read_layer(reader)]  # the input layer has no state after it
    for version in reversed(versions):
        if version == 1:
            layers.append(Layer("tag"))
            continue
        layers.append(_read_layer(reader))
        for _ in range(3):
            reader.boolean()  # set up, gradient stale, outputs disabled
        for _ in range(3):
            reader.tensor()  # input gradient, cached output, parameter gradients
        if version == 3:
            reader.integer()  # sample expansion factor, 1 at inference
    reader.finish()
    return layers


def _read_loss(reader: Reader) -> None:
    kind = reader.string()
    if kind == "loss_metric_2":
        reader.reals(2)  # margin, distance threshold
    elif kind == "loss_mmod_":
        # Max-margin object detection; pack.yaml has the options that matter.
        if reader.integer() != 1:
            raise DlibFormatError("unknown version of the detector's options")
        reader.integers(2)  # window
        reader.reals(3)  # loss of a false alarm and of a miss, overlap that counts as a match
        reader.reals(4)  # overlap and cover: suppressed, ignored
    else:
        raise DlibFormatError(f"unknown loss {kind!r}")


def _con(reader: Reader) -> Layer:
    params = reader.tensor().ravel()
    names = ("filters", "rows", "columns", "stride_y", "stride_x", "padding_y", "padding_x")
    values: dict[str, int | float] = dict(zip(names, reader.integers(7), strict=True))
    filters, biases = reader.alias(), reader.alias()
    reader.reals(4)  # learning-rate and weight-decay multipliers
    weights, bias = _split(params, filters, biases)
    return Layer("con", values, {"weights": weights, "bias": bias.ravel()})


def _affine(reader: Reader) -> Layer:
    params = reader.tensor().ravel()
    gamma, beta = _split(params, reader.alias(), reader.alias())
    reader.integer()  # mode: per channel or per value; the shapes show which
    return Layer("affine", params={"gamma": gamma.ravel(), "beta": beta.ravel()})


def _batch_norm(reader: Reader) -> Layer:
    """Batch normalisation with running statistics, as the affine map that it is."""
    params = reader.tensor().ravel()
    gamma, beta = _split(params, reader.alias(), reader.alias())
    reader.tensor(), reader.tensor()  # statistics of the last batch
    mean, variance = reader.tensor().ravel(), reader.tensor().ravel()
    reader.integers(2)  # number of updates, window
    reader.reals(4)
    scale = gamma.ravel() / np.sqrt(variance + reader.real())
    return Layer("affine", params={"gamma": scale, "beta": beta.ravel() - mean * scale})


def _pool(kind: str, reader: Reader) -> Layer:
    names = ("rows", "columns", "stride_y", "stride_x", "padding_y", "padding_x")
    return Layer(kind, dict(zip(names, reader.integers(6), strict=True)))


def _fully_connected(reader: Reader) -> Layer:
    outputs, inputs = reader.integers(2)
    params = reader.tensor().ravel()
    weights, biases = reader.alias(), reader.alias()
    reader.integer()  # bias mode
    reader.reals(4)
    matrix, bias = _split(params, weights, biases)
    if matrix.size != inputs * outputs:
        raise DlibFormatError("fully connected layer of the wrong size")
    return Layer("fc", params={"weights": matrix.reshape(inputs, outputs), "bias": bias.ravel()})


def _input(reader: Reader, sized: bool) -> Layer:
    red, green, blue = reader.reals(3)
    values: dict[str, int | float] = {"red": red, "green": green, "blue": blue}
    if sized:
        values |= dict(zip(("rows", "columns"), reader.integers(2), strict=True))
    return Layer("input", values)


def _read_layer(reader: Reader) -> Layer:
    kind = reader.string()
    match kind:
        case "con_4":
            return _con(reader)
        case "affine_":
            return _affine(reader)
        case "bn_con2":
            return _batch_norm(reader)
        case "max_pool_2" | "avg_pool_2":
            return _pool(kind.removesuffix("_2"), reader)
        case "fc_2":
            return _fully_connected(reader)
        case "relu_" | "add_prev_":
            return Layer(kind.removesuffix("_"))
        case "input_rgb_image_sized" | "input_rgb_image_pyramid":
            return _input(reader, sized=kind.endswith("sized"))
    raise DlibFormatError(f"unknown layer {kind!r}")


def _split(params: Array, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[Array, Array]:
    cut = math.prod(first)
    if params.size not in (cut, cut + math.prod(second)):
        raise DlibFormatError("parameters do not fit their shapes")
    return params[:cut].reshape(first), params[cut:]


def read_shape_predictor(data: bytes) -> ShapePredictor:
    reader = Reader(data)
    if reader.integer() != 1:
        raise DlibFormatError("not a dlib shape predictor")
    initial = reader.matrix().reshape(-1, 2)
    forests = [
        [_read_tree(reader, len(initial)) for _ in range(reader.integer())]
        for _ in range(reader.integer())
    ]
    anchors = [reader.integers(reader.integer()) for _ in range(reader.integer())]
    deltas = [[reader.reals(2) for _ in range(reader.integer())] for _ in range(reader.integer())]
    reader.finish()
    splits = np.array([[tree[0] for tree in forest] for forest in forests])
    return ShapePredictor(
        initial_shape=initial,
        split_first=splits[..., 0].astype(np.int32),
        split_second=splits[..., 1].astype(np.int32),
        split_threshold=splits[..., 2].astype(np.float32),
        leaves=np.array([[tree[1] for tree in forest] for forest in forests], dtype=np.float32),
        anchors=np.array(anchors, dtype=np.int32),
        deltas=np.array(deltas, dtype=np.float32),
    )


def _read_tree(reader: Reader, landmarks: int) -> tuple[list[list[float]], list[Array]]:
    splits = [[*reader.integers(2), reader.real()] for _ in range(reader.integer())]
    leaves = [reader.matrix().reshape(landmarks, 2) for _ in range(reader.integer())]
    return splits, leaves
