"""Files that are made from fetched ones: of OpenVINO's format, and of networks of a fixed size."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from recognition.inference.pack import weights
from recognition.inference.pack.conversion import with_free_size
from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.inference.pack.files import (
    ConvertedFile,
    DownloadedFile,
    FixedSizeSource,
    IrSource,
    OnnxSource,
    Source,
)
from recognition.packs import downloads
from tests.support.real_packs import permissive_pack
from tests.support.servers.pulling import HASTY, pack_of
from tests.support.tiny_ir import TinyIr


def declared(name: str, data: bytes) -> DownloadedFile:
    return DownloadedFile(name, "test", len(data), sha384=hashlib.sha384(data).hexdigest())


def pack_with(source: Source) -> ModelPack:
    return pack_of(ConvertedFile("made.onnx", "test", source))


def tiny() -> TinyIr:
    ir = TinyIr(1, 3, 4, 4)
    ir.result(ir.layer("ReLU", [ir.input]))
    ir.const(np.zeros(3, np.float32))
    return ir


def ir_source(folder: Path, xml: bytes, values: bytes) -> IrSource:
    (folder / "tiny.xml").write_bytes(xml)
    (folder / "tiny.bin").write_bytes(values)
    return IrSource(declared("tiny.xml", xml), declared("tiny.bin", values))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def made(pack: ModelPack, cache: Path) -> onnxruntime.InferenceSession:
    path = weights.weight_path(pack, pack.detector.weights, cache)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_it_works(source: Path, tmp_path: Path) -> None:
    pack = pack_with(ir_source(source, tiny().xml(), tiny().values))
    downloads.pull(pack, tmp_path, str(source))
    batch = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    (found,) = made(pack, tmp_path).run(None, {"input": batch})
    assert (found == np.maximum(batch, 0)).all()
    assert weights.verify(pack, tmp_path) == {
        "tiny.xml": "good",
        "tiny.bin": "good",
        "made.onnx": "good",
    }


def test_a_source_that_changed_makes_another_file(source: Path, tmp_path: Path) -> None:
    pack = pack_with(ir_source(source, tiny().xml(), tiny().values))
    other = pack_with(ir_source(source, tiny().xml(), tiny().values + b"\0"))
    paths = [weights.weight_path(each, each.detector.weights, tmp_path) for each in (pack, other)]
    assert paths[0] != paths[1]


def test_verify_converts_again(source: Path, tmp_path: Path) -> None:
    pack = pack_with(ir_source(source, tiny().xml(), tiny().values))
    downloads.pull(pack, tmp_path, str(source))
    path = weights.weight_path(pack, pack.detector.weights, tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert weights.verify(pack, tmp_path)["made.onnx"] == "not the file that the pack names"


def test_verify_names_what_is_missing(source: Path, tmp_path: Path) -> None:
    """A missing part is named, and so is the file that was made of it: it cannot be compared."""
    wanted = ir_source(source, tiny().xml(), tiny().values)
    pack = pack_with(wanted)
    downloads.pull(pack, tmp_path, str(source))
    weights.weight_path(pack, wanted.bin, tmp_path).unlink()
    assert not weights.is_prepared(pack, tmp_path)
    verdicts = weights.verify(pack, tmp_path)
    assert verdicts["tiny.bin"] == "missing"
    assert verdicts["made.onnx"].startswith("not to be compared: made-")
    downloads.pull(pack, tmp_path, str(source))
    assert set(weights.verify(pack, tmp_path).values()) == {"good"}


@pytest.mark.parametrize("damage", [b"<!DOCTYPE net>", b"<broken>"])
def test_an_ir_that_cannot_be_converted(source: Path, tmp_path: Path, damage: bytes) -> None:
    pack = pack_with(ir_source(source, damage + tiny().xml(), tiny().values))
    with pytest.raises(PackError, match=r"made-.* cannot be made: the xml"):
        downloads.pull(pack, tmp_path, str(source))
    assert not weights.weight_path(pack, pack.detector.weights, tmp_path).exists()


def test_a_file_of_another_sha384(source: Path, tmp_path: Path) -> None:
    pack = pack_with(ir_source(source, tiny().xml(), tiny().values))
    (source / "tiny.xml").write_bytes(tiny().xml().replace(b"ReLU", b"relu"))
    with pytest.raises(PackError, match="is not the file that the pack names"):
        downloads.pull(pack, tmp_path, str(source))


# --- Of a fixed size ------------------------------------------------------------------------------


def fixed_network() -> onnx.ModelProto:
    """Sums squares of 2 x 2 of pictures of 8 x 8; the cells are a list, as detectors give them."""
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, [3], [1, -1, 1])
    ones = helper.make_tensor("ones", onnx.TensorProto.FLOAT, [1, 1, 2, 2], [1.0] * 4)
    nodes = [
        helper.make_node("Conv", ["picture", "ones"], ["sums"], strides=[2, 2]),
        helper.make_node("Reshape", ["sums", "shape"], ["cells"]),
    ]
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "fixed",
        [helper.make_tensor_value_info("picture", floats, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("cells", floats, [1, 16, 1])],
        [shape, ones],
        value_info=[helper.make_tensor_value_info("sums", floats, [1, 1, 4, 4])],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_a_network_of_a_fixed_size_takes_others(source: Path, tmp_path: Path) -> None:
    data = fixed_network().SerializeToString()
    (source / "fixed.onnx").write_bytes(data)
    pack = pack_with(FixedSizeSource(declared("fixed.onnx", data)))
    downloads.pull(pack, tmp_path, str(source))
    session = made(pack, tmp_path)
    for side in (8, 4):
        picture = np.ones((1, 1, side, side), np.float32)
        (found,) = session.run(None, {"picture": picture})
        assert found.shape == (1, side * side // 4, 1) and (found == 4).all()
    assert set(weights.verify(pack, tmp_path).values()) == {"good"}


def test_the_same_network_for_its_own_size() -> None:
    free = with_free_size(fixed_network().SerializeToString())
    assert free.graph.node == fixed_network().graph.node
    assert free.graph.initializer == fixed_network().graph.initializer


def test_what_is_no_network(source: Path, tmp_path: Path) -> None:
    (source / "fixed.onnx").write_bytes(b"\xff" * 100)
    pack = pack_with(FixedSizeSource(declared("fixed.onnx", b"\xff" * 100)))
    with pytest.raises(PackError, match=r"made-.* cannot be made"):
        downloads.pull(pack, tmp_path, str(source))


def prelu_network() -> bytes:
    """PRelu over three channels, which is rewritten."""
    floats, slopes = onnx.TensorProto.FLOAT, np.array([0.25, -0.5, 1.5], np.float32)
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["picture", "slopes"], ["end"])],
        "prelu",
        [helper.make_tensor_value_info("picture", floats, [None, 3, 4, 4])],
        [helper.make_tensor_value_info("end", floats, [None, 3, 4, 4])],
        [onnx.numpy_helper.from_array(slopes.reshape(-1, 1, 1), "slopes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def test_a_network_is_rewritten(source: Path, tmp_path: Path) -> None:
    data = prelu_network()
    (source / "slow.onnx").write_bytes(data)
    pack = pack_with(OnnxSource(declared("slow.onnx", data)))
    downloads.pull(pack, tmp_path, str(source))
    picture = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    (was,) = onnxruntime.InferenceSession(data).run(None, {"picture": picture})
    (found,) = made(pack, tmp_path).run(None, {"picture": picture})
    assert np.allclose(found, was, rtol=1e-5, atol=1e-6)
    path = weights.weight_path(pack, pack.detector.weights, tmp_path)
    assert "PRelu" not in {node.op_type for node in onnx.load(path).graph.node}
    assert set(weights.verify(pack, tmp_path).values()) == {"good"}


# --- Files without which a pack serves ------------------------------------------------------------


def with_optional(source: Path) -> ModelPack:
    """Its detector and recogniser are one file here, and its age and gender is optional."""
    needed, wanted = b"needed", ir_source(source, tiny().xml(), tiny().values)
    (source / "needed.onnx").write_bytes(needed)
    attributes = permissive_pack().attributes
    assert attributes is not None
    return replace(
        pack_of(declared("needed.onnx", needed)),
        attributes=replace(attributes, weights=ConvertedFile("ages.onnx", "test", wanted)),
    )


def test_an_optional_file_is_not_pulled_with_the_others(source: Path, tmp_path: Path) -> None:
    pack = with_optional(source)
    downloads.pull(pack, tmp_path, str(source), HASTY)
    assert weights.is_prepared(pack, tmp_path)
    assert weights.verify(pack, tmp_path) == {"needed.onnx": "good"}
    assert weights.without(pack, tmp_path) == "it estimates no age or gender: ages.onnx is not here"


def test_an_optional_file_is_pulled_when_asked_for(source: Path, tmp_path: Path) -> None:
    pack = with_optional(source)
    downloads.pull(pack, tmp_path, str(source), HASTY)
    downloads.pull(pack, tmp_path, str(source), optional=True)
    assert weights.without(pack, tmp_path) == ""
    assert list(weights.verify(pack, tmp_path)) == [
        "needed.onnx",
        "tiny.xml",
        "tiny.bin",
        "ages.onnx",
    ]


def test_an_optional_file_that_cannot_be_had(source: Path, tmp_path: Path) -> None:
    pack = with_optional(source)
    downloads.pull(pack, tmp_path, str(source), HASTY)
    (source / "tiny.bin").unlink()
    with pytest.raises(PackError, match=r"tiny.bin could not be fetched"):
        downloads.pull(pack, tmp_path, str(source), optional=True)
    assert weights.is_prepared(pack, tmp_path)
