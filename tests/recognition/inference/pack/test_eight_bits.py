"""Networks that compute with 8-bit integers give nearly what they gave."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pytest_django import Settings

from recognition.inference import processor
from recognition.inference.arrays import Floats, Image
from recognition.inference.pack import weights
from recognition.inference.pack.declaration import ModelPack, PackError, load_pack
from recognition.inference.pack.eight_bits import RangeError, in_eight_bits, tensors
from recognition.inference.pack.files import ConvertedFile, EightBits, TensorRange
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.measuring import ranges
from recognition.packs import downloads, engine
from tests.recognition.inference.pack.test_rewriting import Network, kinds, outputs
from tests.support import drawn_face, real_packs

needs_instructions = pytest.mark.skipif(
    not processor.multiplies_integers(),
    reason="this processor has no instructions for 8-bit integers: the sums overflow",
)
PICTURES = np.random.default_rng(3).normal(size=(4, 3, 24, 24)).astype(np.float32)


def detector(opset: int = 17) -> onnx.ModelProto:
    """A small one, with a residual block, two sizes and a head."""
    network = Network()
    stem = network.node("Relu", network.conv("x", (3, 16)))
    x = network.node("Relu", network.conv(stem, (16, 32)))
    x = network.node("Relu", network.node("Add", x, network.conv(x, (32, 32))))
    x = network.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    model = network.model(network.conv(network.conv(x, (32, 32)), (32, 4)))
    model.opset_import[0].version = opset
    return model


def seen(model: onnx.ModelProto, batch: Floats = PICTURES, last: int = 1) -> list[TensorRange]:
    """The ranges of its tensors for these pictures."""
    watched = onnx.ModelProto.FromString(model.SerializeToString())
    names = tensors(model, last)
    watched.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, names))
    values = outputs(watched.SerializeToString(), batch)[1:]
    return [
        (name, float(value.min()), float(value.max()))
        for name, value in zip(names, values, strict=True)
    ]


def measured(model: onnx.ModelProto, last: int = 1) -> EightBits:
    return EightBits("pictures", len(PICTURES), tuple(seen(model, last=last)), last)


def types(model: onnx.ModelProto) -> list[int]:
    """The types of the weights of its convolutions."""
    stored = {each.name: each.data_type for each in model.graph.initializer}
    of = {node.output[0]: node for node in model.graph.node}
    return [
        stored[of[node.input[1]].input[0] if node.input[1] in of else node.input[1]]
        for node in model.graph.node
        if node.op_type == "Conv"
    ]


@needs_instructions
@pytest.mark.parametrize("opset", [11, 17])
def test_it_works(opset: int) -> None:
    model = detector(opset)
    (wanted,) = outputs(model.SerializeToString(), PICTURES)
    (found,) = outputs(in_eight_bits(model, measured(model)).SerializeToString(), PICTURES)
    lengths = np.linalg.norm(wanted) * np.linalg.norm(found)
    assert not np.array_equal(wanted, found)
    assert np.vdot(wanted, found) >= 0.999 * lengths


def test_the_first_and_the_last_convolution_stay() -> None:
    model = detector()
    new = in_eight_bits(model, measured(model))
    floats, integers = onnx.TensorProto.FLOAT, onnx.TensorProto.INT8
    assert types(new) == [floats, integers, integers, integers, floats]
    # One of them is that of the first convolution, which sees the picture.
    assert kinds(new).count("Relu") == 1
    new = in_eight_bits(model, measured(model, last=2))
    assert types(new) == [floats, integers, integers, floats, floats]


def test_each_channel_has_a_scale_of_its_own() -> None:
    model = detector()
    scales = [
        each
        for each in in_eight_bits(model, measured(model)).graph.initializer
        if each.name.endswith("_scale") and each.dims == [32] and "weight" not in each.name
    ]
    assert len(scales) >= 3


def test_every_machine_makes_the_same() -> None:
    model = detector()
    made = {in_eight_bits(model, measured(model)).SerializeToString() for _ in range(2)}
    assert len(made) == 1


def test_the_model_stays_as_it_is() -> None:
    model = detector()
    before = model.SerializeToString()
    in_eight_bits(model, measured(model))
    assert model.SerializeToString() == before


@pytest.mark.parametrize("change", [lambda all_: all_[1:], lambda all_: [*all_, ("other", 0, 1)]])
def test_ranges_of_another_network(
    change: Callable[[list[TensorRange]], list[TensorRange]],
) -> None:
    model = detector()
    with pytest.raises(RangeError, match="another network"):
        in_eight_bits(model, EightBits("x", 1, tuple(change(seen(model)))))


# --- The detectors of the packs -------------------------------------------------------------------


def dlib() -> ModelPack:
    """The pack that ships, and not that of the tests, with its files."""
    pack = load_pack(Path(settings.BASE_DIR) / "ml_models" / "dlib")
    downloads.pull(pack, settings.MODELS_DIR)
    return pack


def scrfd() -> ModelPack:
    return real_packs.open_real("scrfd-arcface").pack


BOTH = pytest.mark.parametrize("opened", [dlib, pytest.param(scrfd, marks=real_packs.needs_models)])


def picture() -> Image:
    """Three faces of different sizes."""
    image = np.full((480, 640, 3), 120, np.uint8)
    for x, y, side in ((10, 20, 300), (320, 30, 200), (360, 260, 180)):
        face = cv2.resize(drawn_face.drawing(), (side, side), interpolation=cv2.INTER_AREA)
        image[y : y + side, x : x + side] = face
    return image


def found_by(pack: ModelPack, monkeypatch: pytest.MonkeyPatch, answer: bool) -> list[DetectedFace]:
    monkeypatch.setattr(processor, "multiplies_integers", lambda: answer)
    pipeline = FacePipeline(pack, settings.MODELS_DIR)
    return pipeline.embed(pipeline.detect(picture()))


def share(one: DetectedFace, other: DetectedFace) -> float:
    low, high = np.maximum(one.box[:2], other.box[:2]), np.minimum(one.box[2:], other.box[2:])
    common = float(np.prod(np.maximum(high - low, 0)))
    return common / (one.area + other.area - common)


@needs_instructions
@BOTH
def test_the_same_faces(opened: Callable[[], ModelPack], monkeypatch: pytest.MonkeyPatch) -> None:
    pack = opened()
    wanted = found_by(pack, monkeypatch, answer=False)
    found = found_by(pack, monkeypatch, answer=True)
    assert len(found) == len(wanted) == 3
    for one, other in zip(wanted, found, strict=True):
        assert share(one, other) >= 0.95
        assert abs(one.detection_score - other.detection_score) < 0.05
        assert np.abs(one.landmarks - other.landmarks).max() < 0.02 * np.sqrt(one.area)
        assert one.embedding is not None and other.embedding is not None
        assert one.embedding @ other.embedding >= 0.99
    differences = [
        abs(one.detection_score - other.detection_score)
        for one, other in zip(wanted, found, strict=True)
    ]
    assert max(differences) > 0, "both computed with the same network"


@BOTH
def test_a_network_that_onnxruntime_refuses(
    opened: Callable[[], ModelPack],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """The detector computes with floats, and the log and `doctor` say so."""
    pack = opened()
    wanted = found_by(pack, monkeypatch, answer=False)
    shutil.copytree(Path(settings.MODELS_DIR) / pack.name, tmp_path / pack.name)
    file = pack.detector.weights.in_eight_bits  # the folder may have one of earlier ranges, too
    integers = weights.weight_path(pack, file, tmp_path)
    integers.write_bytes(integers.read_bytes()[:-100])
    monkeypatch.setattr(processor, "multiplies_integers", lambda: True)
    pipeline = FacePipeline(pack, tmp_path)
    found = pipeline.embed(pipeline.detect(picture()))
    for one, other in zip(wanted, found, strict=True):
        assert np.array_equal(one.box, other.box)
    assert "detector_8bit.onnx is not taken" in caplog.text
    assert "with floats: the log says why" in pipeline.arithmetic()


@BOTH
def test_its_file_is_made_twice_the_same(opened: Callable[[], ModelPack]) -> None:
    """As `models verify` says."""
    verdicts = weights.verify(opened(), settings.MODELS_DIR)
    assert verdicts["detector_8bit.onnx"] == weights.GOOD


def test_other_ranges_are_another_file() -> None:
    pack = engine.pack("dlib")
    file = pack.detector.weights
    assert isinstance(file, ConvertedFile) and file.eight_bits
    name, low, high = file.eight_bits.ranges[0]
    changed = replace(file.eight_bits, ranges=((name, low, high + 1), *file.eight_bits.ranges[1:]))
    other = replace(file, eight_bits=changed)
    assert other.mark == file.mark
    assert file.in_eight_bits and other.in_eight_bits
    marks = {file.in_eight_bits.mark, other.in_eight_bits.mark}
    other = replace(file, eight_bits=replace(file.eight_bits, last_in_floats=2))
    assert other.in_eight_bits
    marks.add(other.in_eight_bits.mark)
    assert len(marks) == 3


def test_ranges_that_do_not_fit(tmp_path: Path) -> None:
    pack = engine.pack("dlib")
    file = replace(pack.detector.weights, eight_bits=EightBits("x", 1, (("none", 0.0, 1.0),)))
    changed = replace(pack, detector=replace(pack.detector, weights=file))
    with pytest.raises(PackError, match=r"detector_8bit.*another network"):
        downloads.pull(changed, tmp_path)


# --- measure_ranges -------------------------------------------------------------------------------


def test_measured_ranges(tmp_path: Path) -> None:
    """They hold what the network computes for the picture."""
    pack = ranges.in_floats(engine.pack("dlib"))
    found = ranges.measure(pack, [picture()], settings.MODELS_DIR, data="drawn", last=1)
    assert found.photos == 1
    path = weights.weight_path(pack, pack.detector.weights, settings.MODELS_DIR)
    assert [name for name, _, _ in found.ranges] == tensors(onnx.load(path), 1)
    batch = picture()[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    for (name, low, high), (_, least, most) in zip(
        found.ranges, seen(onnx.load(path), np.ascontiguousarray(batch)), strict=True
    ):
        # The detector does not see exactly this picture: it has black around it.
        assert high - low > 0.8 * (most - least), name


def test_a_detector_as_it_was_published() -> None:
    with pytest.raises(PackError, match="declare it as a `source`"):
        ranges.in_floats(load_pack(Path(settings.BASE_DIR) / "ml_models" / "buffalo_sc"))


@pytest.fixture
def copied(tmp_path: Path, settings: Settings) -> Path:
    """The pack.yaml of a copy of the default pack."""
    original = Path(settings.BASE_DIR) / "ml_models" / "dlib"
    shutil.copytree(original, tmp_path / "packs" / "dlib")
    settings.PACK_FOLDERS = [tmp_path / "packs"]
    return tmp_path / "packs" / "dlib" / "pack.yaml"


def test_the_command(copied: Path, tmp_path: Path) -> None:
    """It changes one line of pack.yaml, whether that was there or not."""
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "drawn.png"), picture())
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    before = copied.read_text()
    others = [line for line in before.splitlines() if "eight_bits" not in line]
    copied.write_text("\n".join(others) + "\n")
    for _ in range(2):
        errors = StringIO()
        call_command("measure_ranges", tmp_path / "photos", pack="dlib", data="x", stderr=errors)
        assert "broken.png is left out" in errors.getvalue()
        after = copied.read_text().splitlines()
        assert [line for line in after if "eight_bits" not in line] == others
        assert len(after) == len(others) + 1
        weights_of = load_pack(copied.parent).detector.weights
        assert isinstance(weights_of, ConvertedFile) and weights_of.eight_bits
        assert (weights_of.eight_bits.data, weights_of.eight_bits.photos) == ("x", 1)


def test_the_command_leaves_as_many_floats(copied: Path, tmp_path: Path) -> None:
    before = len(ranges_of_dlib())
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "drawn.png"), picture())
    copied.write_text(copied.read_text().replace('"last_in_floats": 1', '"last_in_floats": 2'))
    call_command("measure_ranges", tmp_path / "photos", pack="dlib")
    assert '"last_in_floats": 2' in copied.read_text()
    assert len(ranges_of_dlib()) < before


def ranges_of_dlib() -> tuple[TensorRange, ...]:
    file = engine.pack("dlib").detector.weights
    assert isinstance(file, ConvertedFile) and file.eight_bits
    return file.eight_bits.ranges


def test_a_folder_without_photos(copied: Path, tmp_path: Path) -> None:
    before = copied.read_text()
    with pytest.raises(CommandError, match="has no photos"):
        call_command("measure_ranges", tmp_path / "none", pack="dlib")
    assert copied.read_text() == before
