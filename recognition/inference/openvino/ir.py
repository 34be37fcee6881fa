"""Reader for OpenVINO's intermediate representation: an xml with the layers, a bin with the values.

Written after OpenVINO's public description of the format (version 11; the operations are those of
the sets opset1 and opset8). The files come from elsewhere, so everything has a bound, and what is
not understood is an error, never skipped.
"""

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import NoReturn

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32] | npt.NDArray[np.int64]
Port = tuple[int, int]  # the ids of a layer and of one of its ports

_VERSION = "11"
# The largest network that we know has 690 layers in 350 kB.
_MOST_XML_BYTES, _MOST_LAYERS = 16 << 20, 10_000
_MOST_DIMENSIONS = 8
_TYPES = {"f16": "<f2", "f32": "<f4", "i64": "<i8"}


class IrError(ValueError):
    """The files are not an IR that can be read; the message says where."""


@dataclass(frozen=True)
class IrLayer:
    """One operation; `inputs` are the outputs of other layers, in the order of its own ports."""

    id: int
    name: str
    kind: str
    data: dict[str, str]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def where(self) -> str:
        return f"layer {self.id} ({self.kind} {self.name!r})"

    def text(self, key: str, default: str | None = None) -> str:
        value = self.data.get(key, default)
        if value is None:
            raise IrError(f"{self.where} lacks {key}")
        return value

    def numbers(self, key: str, count: int | None = None) -> list[int]:
        """Whole numbers that are not negative, separated by commas."""
        texts = [text.strip() for text in self.text(key).split(",")]
        if texts == [""]:
            texts = []  # the shape of a scalar
        if not all(text.isascii() and text.isdigit() and len(text) < 10 for text in texts):
            raise IrError(f"{self.where}: {key} must be whole numbers")
        if count is not None and len(texts) != count:
            raise IrError(f"{self.where}: {key} must have {count} numbers")
        return [int(text) for text in texts]


@dataclass(frozen=True)
class Network:
    """Layers in an order in which each comes after its inputs, and the values of the constants."""

    layers: tuple[IrLayer, ...]
    constants: dict[int, Array]  # by the layer's id


class _Builder(ElementTree.TreeBuilder):
    """Refuses a document type before its entities are read, which a hostile xml could expand."""

    def doctype(self, name: str, public: str | None, system: str | None) -> NoReturn:
        raise IrError("the xml has a document type")


def read_network(xml: bytes, values: bytes) -> Network:
    """Raises IrError."""
    root = _parse(xml)
    layers = [_layer(element) for element in root.findall("layers/layer")]
    if not 1 <= len(layers) <= _MOST_LAYERS:
        raise IrError(f"{len(layers)} layers, not 1 to {_MOST_LAYERS}")
    if len({layer.id for layer in layers}) < len(layers):
        raise IrError("two layers have the same id")
    connected = _in_order(_connect(layers, root))
    return Network(connected, _constants(connected, values))


def _parse(xml: bytes) -> ElementTree.Element:
    if len(xml) > _MOST_XML_BYTES:
        raise IrError(f"the xml has more than {_MOST_XML_BYTES} bytes")
    try:
        root = ElementTree.fromstring(xml, ElementTree.XMLParser(target=_Builder()))
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        if isinstance(error, IrError):
            raise
        raise IrError(f"the xml is broken: {error}") from error
    if root.tag != "net" or root.get("version") != _VERSION:
        raise IrError(f"not an IR of version {_VERSION}: {root.tag} {root.get('version')}")
    return root


def _layer(element: ElementTree.Element) -> IrLayer:
    """A layer whose `inputs` are its own ports, until it is connected."""
    number, data = _number(element, "id"), element.find("data")
    inputs, outputs = (
        tuple((number, _number(port, "id")) for port in element.findall(f"{side}/port"))
        for side in ("input", "output")
    )
    name, kind = element.get("name", ""), element.get("type", "")
    return IrLayer(number, name, kind, {} if data is None else dict(data.attrib), inputs, outputs)


def _connect(layers: list[IrLayer], root: ElementTree.Element) -> list[IrLayer]:
    """The layers with the ports that feed them as `inputs`."""
    known = {port for layer in layers for port in layer.outputs}
    sources: dict[Port, Port] = {}
    for edge in root.findall("edges/edge"):
        source = (_number(edge, "from-layer"), _number(edge, "from-port"))
        target = (_number(edge, "to-layer"), _number(edge, "to-port"))
        if source not in known or target in sources:
            raise IrError(f"the edge from {source} to {target} has no source, or is a second one")
        sources[target] = source
    connected = []
    for layer in layers:
        if missing := [port for port in layer.inputs if port not in sources]:
            raise IrError(f"{layer.where}: nothing is connected to port {missing[0][1]}")
        connected.append(replace(layer, inputs=tuple(sources[port] for port in layer.inputs)))
    return connected


def _in_order(layers: list[IrLayer]) -> tuple[IrLayer, ...]:
    """The layers, each after those that feed it. Raises IrError for a circle."""
    by_id = {layer.id: layer for layer in layers}
    feeding = {layer.id: [number for number, _ in layer.inputs] for layer in layers}
    try:
        order = [*TopologicalSorter(feeding).static_order()]
    except CycleError as error:
        raise IrError("the layers are connected in a circle") from error
    return tuple(by_id[number] for number in order)


def _constants(layers: tuple[IrLayer, ...], values: bytes) -> dict[int, Array]:
    """Half floats become floats, as the network computes with them."""
    found: dict[int, Array] = {}
    # Constants may share bytes, but no file of ours has many that do.
    left = 2 * len(values)
    for layer in layers:
        if layer.kind == "Const":
            found[layer.id] = _constant(layer, values)
            (size,) = layer.numbers("size", 1)
            if (left := left - size) < 0:
                raise IrError("the constants are larger than the file that holds them")
    return found


def _constant(layer: IrLayer, values: bytes) -> Array:
    shape, kind = layer.numbers("shape"), layer.text("element_type")
    (offset,), (size,) = layer.numbers("offset", 1), layer.numbers("size", 1)
    if kind not in _TYPES:
        raise IrError(f"{layer.where}: values of the unknown type {kind!r}")
    if len(shape) > _MOST_DIMENSIONS or math.prod(shape) * np.dtype(_TYPES[kind]).itemsize != size:
        raise IrError(f"{layer.where}: {size} bytes do not fit the shape {shape}")
    if offset + size > len(values):
        raise IrError(f"{layer.where}: its values lie beyond the end of the bin file")
    raw = np.frombuffer(values, _TYPES[kind], math.prod(shape), offset).reshape(shape)
    if kind == "i64":
        return raw.astype(np.int64)
    floats = raw.astype(np.float32)
    if not np.isfinite(floats).all():
        raise IrError(f"{layer.where}: a value is not a finite number")
    return floats


def _number(element: ElementTree.Element, key: str) -> int:
    text = element.get(key, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise IrError(f"<{element.tag}> has no number as {key}")
    return int(text)
