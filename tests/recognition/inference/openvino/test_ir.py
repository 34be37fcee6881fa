"""The reader of OpenVINO's format: broken and hostile files end in an error that says where."""

import contextlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.inference.openvino import ir as reader
from recognition.inference.openvino.ir import IrError, read_network
from recognition.inference.openvino.networks import build_model
from tests.support.tiny_ir import TinyIr


def network() -> TinyIr:
    """Layers 0 Parameter, 1 Const, 2 Convert, 3 Multiply, 4 Result."""
    ir = TinyIr(1, 3, 4, 4)
    factors = ir.const(np.arange(1, 4, dtype=np.float16).reshape(1, 3, 1, 1))
    ir.result(ir.layer("Multiply", [ir.input, factors]))
    return ir


def refused(match: str, xml: bytes, values: bytes | None = None) -> None:
    with pytest.raises(IrError, match=match):
        read_network(xml, network().values if values is None else values)


def changed(old: str, new: str) -> bytes:
    text = network().xml().decode()
    assert old in text
    return text.replace(old, new).encode()


def test_it_works() -> None:
    ir = network()
    found = read_network(ir.xml(), ir.values)
    kinds = {layer.id: layer.kind for layer in found.layers}
    assert kinds == {0: "Parameter", 1: "Const", 2: "Convert", 3: "Multiply", 4: "Result"}
    assert found.constants[1].ravel().tolist() == [1, 2, 3]
    assert found.constants[1].dtype == np.float32


def test_layers_in_any_order_come_after_their_inputs() -> None:
    ir = network()
    ir.layers.reverse()
    order = [layer.id for layer in read_network(ir.xml(), ir.values).layers]
    assert order.index(4) > order.index(3) > max(order.index(0), order.index(2))
    assert order.index(2) > order.index(1)


# --- The xml --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "xml",
    [b"", b"no xml", b"<net", b"\xff\xfe<", b"<net version='11'><layers></net>", b"<a/>" * 2],
)
def test_what_is_no_xml(xml: bytes) -> None:
    refused("the xml is broken", xml)


def test_another_version() -> None:
    refused("not an IR of version 11: net 10", network().xml(version="10"))
    refused("not an IR of version 11: html None", b"<html/>")


LAUGHS = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "declared",
    [
        f'<!DOCTYPE net [<!ENTITY x0 "ha">{LAUGHS}]>',
        '<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE net SYSTEM "http://127.0.0.1:9/net.dtd">',
        "<!DOCTYPE net>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_a_document_type_is_refused_before_its_entities_are_read(
    declared: str, encoding: str
) -> None:
    start = f'<?xml version="1.0" encoding="{encoding}"?>'
    body = network().xml().decode().removeprefix('<?xml version="1.0"?>')
    refused("the xml has a document type", (start + declared + body).encode(encoding))


def test_an_encoding_that_nobody_knows() -> None:
    refused(
        "the xml is broken", changed('<?xml version="1.0"?>', '<?xml version="1.0" encoding="x"?>')
    )


def test_an_xml_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MOST_XML_BYTES", 1000)
    refused("more than 1000 bytes", network().xml())


def test_too_many_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MOST_LAYERS", 4)
    refused("5 layers, not 1 to 4", network().xml())


def test_no_layer() -> None:
    refused("0 layers", b"<net version='11'/>")


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('id="3" name="Multiply', 'id="0" name="Multiply', "two layers have the same id"),
        ('id="3" name="Multiply', 'id="-3" name="Multiply', "<layer> has no number as id"),
        ('id="3" name="Multiply', 'name="Multiply', "<layer> has no number as id"),
        ('id="3" name="Multiply', 'id="9999999999" name="Multiply', "<layer> has no number"),
        ('from-layer="2"', 'from-layer="7"', r"the edge from \(7, 1\)"),
        ('from-layer="2" from-port="1"', 'from-layer="2" from-port="5"', r"from \(2, 5\)"),
        ('to-layer="3" to-port="1"', 'to-layer="3" to-port="0"', "or is a second one"),
        ('to-layer="4" to-port="0"', 'to-layer="4" to-port="9"', "nothing is connected to port 0"),
        ('from-layer="2" from-port="1"', 'from-layer="3" from-port="2"', "in a circle"),
    ],
)
def test_connections_that_are_wrong(old: str, new: str, match: str) -> None:
    refused(match, changed(old, new))


# --- The values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('element_type="f16"', 'element_type="f64"', r"layer 1 \(Const .*unknown type 'f64'"),
        ('element_type="f16"', 'element_type="f32"', "6 bytes do not fit the shape"),
        ('shape="1, 3, 1, 1"', 'shape="1, 4, 1, 1"', "6 bytes do not fit the shape"),
        ('shape="1, 3, 1, 1"', f'shape="{", ".join(["1"] * 12)}, 3"', "do not fit the shape"),
        ('shape="1, 3, 1, 1"', 'shape="3, -1"', "shape must be whole numbers"),
        ('shape="1, 3, 1, 1"', "", "lacks shape"),
        ('offset="0"', 'offset="1"', "beyond the end of the bin file"),
        ('offset="0"', 'offset="99999999999"', "offset must be whole numbers"),
        ('offset="0"', 'offset="0, 0"', "offset must have 1 numbers"),
    ],
)
def test_values_that_are_wrong(old: str, new: str, match: str) -> None:
    refused(match, changed(old, new))


def test_values_that_end_too_early() -> None:
    refused("beyond the end of the bin file", network().xml(), network().values[:-1])


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_values_that_are_no_numbers(value: float) -> None:
    refused("not a finite number", network().xml(), np.array([1, value, 2], np.float16).tobytes())


def test_many_constants_of_the_same_bytes() -> None:
    """A small file could take all memory otherwise."""
    ir = TinyIr(1, 3, 4, 4)
    for _ in range(4):
        ir.const(np.zeros(1000, np.float32))
    xml = re.sub(rb'offset="\d+"', b'offset="0"', ir.xml())
    refused("larger than the file", xml, ir.values[:4000])


# --- Damage of all kinds --------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=4))
def test_damage_ends_in_one_kind_of_error(place: int, damage: bytes) -> None:
    ir = network()
    xml = bytearray(ir.xml())
    at = place % len(xml)
    xml[at : at + len(damage)] = damage
    with contextlib.suppress(IrError):
        build_model(read_network(bytes(xml), ir.values), name="tiny")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_an_xml_that_is_cut_off(share: float) -> None:
    xml = network().xml()
    refused("the xml is broken", xml[: int(len(xml) * share)])
