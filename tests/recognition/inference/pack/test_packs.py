"""pack.yaml: declared, never guessed; what is wrong is named with its place."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from recognition.inference.pack.declaration import ModelPack, PackError, load_pack, pack_file
from recognition.packs.scores import ScoreScale

PROJECT = Path(__file__).parents[4]
DLIB = PROJECT / "ml_models" / "dlib"
Change = Callable[[dict[str, Any]], object]


def load_changed(folder: Path, change: Change, name: str = "dlib") -> ModelPack:
    raw = yaml.safe_load((DLIB / "pack.yaml").read_text())
    change(raw)
    shutil.copytree(DLIB, folder / name)
    (folder / name / "pack.yaml").write_text(yaml.safe_dump(raw))
    return load_pack(folder / name)


def put(path: str, value: object) -> Change:
    def change(raw: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for name in parents:
            raw = raw[name]
        raw[last] = value

    return change


def drop(path: str) -> Change:
    def change(raw: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for name in parents:
            raw = raw[name]
        del raw[last]

    return change


def swap_rows(raw: dict[str, Any]) -> None:
    table = raw["calibration"]["table"]
    table[3], table[4] = table[4], table[3]


def test_it_works() -> None:
    pack = load_pack(DLIB)
    assert (pack.name, pack.embedding_version, pack.model_version) == (
        *("dlib", "dlib_v1", "dlib_v1.0.0"),
    )
    assert pack.template.shape == (5, 2)
    assert [weights.file for weights in pack.weight_files()] == [
        *("detector.onnx", "embedder.onnx", "landmarks.npz", "detector_8bit.onnx"),
    ]


def test_nothing_changed_loads_the_same(tmp_path: Path) -> None:
    assert load_changed(tmp_path, lambda raw: None) == load_pack(DLIB)


def test_a_pack_without_calibration(tmp_path: Path) -> None:
    assert load_changed(tmp_path, drop("calibration")).calibration is None


def test_a_whole_number_is_a_number(tmp_path: Path) -> None:
    assert load_changed(tmp_path, put("detector.min_face", 60)).detector.min_face == 60.0


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (put("colour", "red"), "pack has unknown keys: colour"),
        (put("detector.min_fase", 80), "pack.detector has unknown keys: min_fase"),
        (put("recogniser.weights.source.url", "x"), "pack.recogniser.weights.source has unknown"),
        (drop("licence"), "pack lacks licence"),
        (drop("recogniser.template"), "pack.recogniser lacks template"),
        (drop("detector.weights.source.sha256"), "pack.detector.weights.source lacks sha256"),
        (put("name", 7), "pack.name must be str"),
        (put("recogniser.input.rgb", "yes"), "pack.recogniser.input.rgb must be bool"),
        (put("recogniser.input.rgb", 1), "pack.recogniser.input.rgb must be bool"),
        (put("recogniser.input.size", 150.0), "pack.recogniser.input.size must be int"),
        (put("recogniser.input.size", True), "pack.recogniser.input.size must be int"),
        (put("recogniser.input.scale", ["1"] * 3), r"pack.recogniser.input.scale\[0\] must be"),
        (put("quality_ranges.mirror", [float("nan"), 1.0]), r"mirror\[0\] must be a finite"),
        (put("calibration.zero_cosine", float("inf")), "zero_cosine must be a finite number"),
        (put("recogniser", None), "pack.recogniser must be a mapping"),
        (put("recogniser.template", "points"), "pack.recogniser.template must be a list"),
        (put("recogniser.template", [[1.0]] * 5), r"pack.recogniser.template\[0\] must have 2"),
        (put("detector.decoder", "yolo"), "pack.detector.decoder must be one of mmod"),
        (put("detector.pyramid_step", 1), "detector.pyramid_step must be between 0 and 1"),
        (put("detector.score_range", [0.0]), "pack.detector.score_range must have 2 values"),
        (put("detector.landmark_names", ["a"] * 4), "landmark_names must have 5 values"),
        (put("detector.landmark_names", ["nose_tip"] * 5), "landmark_names must differ"),
        (put("recogniser.template", [[1.0, 2.0]] * 4), "template must have 5 values"),
        (put("recogniser.dimensions", 513), "recogniser.dimensions must be 1 to 512"),
        (
            put("calibration.several_photos.nearest_exponent", 1.1),
            "several_photos must have values from 0 to 1",
        ),
        (put("calibration.mean_embedding", [0.1]), "calibration.mean_embedding has the wrong"),
        (put("calibration.table", []), "calibration.table must have falling fmr"),
        (swap_rows, "calibration.table must have falling fmr and rising cosine"),
        (put("name", "other"), "the name 'other' is not that of its folder"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Change, place: str) -> None:
    with pytest.raises(PackError, match=place) as caught:
        load_changed(tmp_path, change)
    assert "pack.yaml" in str(caught.value)


def test_cosines_that_repeat(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        table = raw["calibration"]["table"]
        table[4]["cosine"] = table[3]["cosine"]

    with pytest.raises(PackError, match="table"):
        load_changed(tmp_path, change)


@pytest.mark.parametrize("text", ["", "- a\n- b", "just a text", "a: [", "a: !!python/object:os x"])
def test_a_file_that_is_no_pack(tmp_path: Path, text: str) -> None:
    (tmp_path / "pack.yaml").write_text(text)
    with pytest.raises(PackError, match=r"pack\.yaml"):
        load_pack(tmp_path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_bytes(b"\xff\xfe\x00name: x")
    with pytest.raises(PackError, match=r"pack\.yaml"):
        load_pack(tmp_path)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="No such file"):
        load_pack(tmp_path / "none")


def test_packs_are_found_in_order(tmp_path: Path) -> None:
    load_changed(tmp_path, put("description", "mine"))
    assert load_pack(pack_file("dlib", [tmp_path, DLIB.parent]).parent).description == "mine"
    assert load_pack(pack_file("dlib", [DLIB.parent, tmp_path]).parent).description != "mine"


@pytest.mark.parametrize("name", ["", "none", "../dlib/../none", "."])
def test_a_pack_that_is_not_there(name: str) -> None:
    with pytest.raises(PackError, match="no pack"):
        pack_file(name, [DLIB.parent])


# --- packs with other networks --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scrfd-arcface", "retinaface-retail", "yunet-mobilefacenet"])
def test_the_packs_for_tests(name: str) -> None:
    pack = load_pack(PROJECT / "tests" / "packs" / name)
    assert pack.quality and pack.attributes and pack.liveness and pack.calibration
    assert pack.attributes.estimates == ("gender",)
    # That with landmarks from SCRFD has its detector twice.
    assert len(pack.weight_files()) == (7 if name == "scrfd-arcface" else 6)
    assert pack.detector.decoder == name.partition("-")[0]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (drop("detector.decoder"), "pack.detector.decoder must be one of mmod, scrfd, retinaface"),
        (put("detector.window", 80), "pack.detector has unknown keys: window"),
        (put("detector.outputs.scores", ["446"]), "outputs.scores must have one value for each"),
        (put("detector.input.size", 321), "must be multiples of the strides"),
        (put("detector.small_size", 100), "must be multiples of the strides"),
        (put("detector.sure_size", 0), "sure_size must be 1 at least"),
        (put("detector.sure_size", 107), "and a sixth of input.size at most"),
        (put("detector.close_size", 0), "close_size at least 1"),
        (put("detector.input.layout", "hwc"), "layout must be one of nchw, nhwc"),
        (put("attributes.estimates", ["beauty"]), r"estimates\[0\] must be one of age, gender"),
        (put("attributes.decoder", "deepface"), "attributes.decoder must be one of"),
        (put("detector.weights.file", "../a.onnx"), "must be a file name without folders"),
        (put("recogniser.weights", "a.onnx"), "pack.recogniser.weights must be a mapping"),
        (drop("recogniser.weights.source.onnx.sha256"), "mobilefacenet_512.onnx: sha256 must be"),
    ],
)
def test_what_is_wrong_with_other_networks(tmp_path: Path, change: Change, place: str) -> None:
    raw = yaml.safe_load((PROJECT / "tests/packs/scrfd-arcface/pack.yaml").read_text())
    change(raw)
    (tmp_path / "scrfd-arcface").mkdir()
    (tmp_path / "scrfd-arcface" / "pack.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(PackError, match=place):
        load_pack(tmp_path / "scrfd-arcface")


# --- packs that nobody measured -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fmr", "cosine"),
    [
        ("buffalo_l", 1e-6, 0.407787),  # published
        ("antelopev2", 1e-6, 0.407787),  # its stand-in
        ("buffalo_sc", 1e-4, 0.275475),  # measured with the same kind of network
        ("opencv", 2e-3, 0.363),  # published; between two points of the table
    ],
)
def test_a_provisional_calibration(name: str, fmr: float, cosine: float) -> None:
    calibration = load_pack(PROJECT / "ml_models" / name).calibration
    assert calibration and calibration.provisional and not calibration.mean_embedding
    scale = ScoreScale(calibration)
    assert scale.cosine_of_fmr(fmr) == pytest.approx(cosine, abs=1e-4)
    assert scale.is_provisional and scale.is_extrapolated(scale.cosine_of_fmr(0.1))


@pytest.mark.parametrize("name", ["dlib", "permissive"])
def test_a_measured_calibration(name: str) -> None:
    calibration = load_pack(PROJECT / "ml_models" / name).calibration
    assert calibration and not ScoreScale(calibration).is_provisional


def test_what_is_measured_has_a_mean(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="mean_embedding has the wrong length"):
        load_changed(tmp_path, put("calibration.mean_embedding", []))


# --- the pack that is whole, and free for every use -----------------------------------------------

PERMISSIVE = PROJECT / "ml_models" / "permissive"
XML = "attributes.weights.source.xml"


def test_permissive() -> None:
    pack = load_pack(PERMISSIVE)
    assert pack.head_pose and pack.eyes and pack.liveness and not pack.terms
    assert [weights.file for weights in pack.weight_files()] == [
        *("detector.onnx", "recogniser.onnx", "head_pose.onnx", "open-closed-eye.onnx"),
        "antispoofing.onnx",
    ]
    assert [weights.file for weights in pack.optional_files()] == ["age_gender.onnx"]


def test_the_page_of_licences_names_each_file_of_permissive() -> None:
    pack = load_pack(PERMISSIVE)
    page = (PROJECT / "docs" / "licences.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for weights in [*pack.weight_files(), *pack.optional_files()]:
        for part in weights.parts:
            (row,) = (row for row in rows if f"`{Path(part.file).stem}." in row)
            assert Path(part.file).suffix in row
            assert f"| {part.licence} |" in row
            assert part.urls


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (put(f"{XML}.sha384", "0" * 64), "sha256 must be 64 hexadecimal digits, or sha384 96"),
        (put(f"{XML}.sha256", "0" * 96), "sha256 must be 64 hexadecimal digits, or sha384 96"),
        (drop(f"{XML}.sha384"), "age-gender-recognition-retail-0013.xml: sha256 must be"),
        (put(f"{XML}.file", "../a.xml"), "'../a.xml' must be a file name without folders"),
        (drop("recogniser.weights.source.bin"), "recogniser.weights.source lacks bin"),
        (drop("recogniser.weights.source.bin.bytes"), "recogniser.weights.source.bin lacks bytes"),
        (put("detector.weights.source.fixed_size", "a.onnx"), "fixed_size must be a mapping"),
        (put("liveness.crop", "round"), "liveness.crop must be one of shifted, reflected"),
        (put("liveness.threshold", 1), "liveness.threshold must be between 0 and 1"),
        (put("attributes.optional", "yes"), "attributes.optional must be bool"),
        (drop("head_pose.outputs.pitch"), "head_pose.outputs lacks pitch"),
        (drop("eyes.open_class"), "eyes lacks open_class"),
    ],
)
def test_what_is_wrong_with_permissive(tmp_path: Path, change: Change, place: str) -> None:
    raw = yaml.safe_load((PERMISSIVE / "pack.yaml").read_text())
    change(raw)
    (tmp_path / "permissive").mkdir()
    (tmp_path / "permissive" / "pack.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(PackError, match=place):
        load_pack(tmp_path / "permissive")
