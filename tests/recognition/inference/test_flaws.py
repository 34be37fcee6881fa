"""Flaws that only an embedding shows, on a real face that is made worse."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from recognition.inference.arrays import Floats, Image
from recognition.inference.flaws import FIGURES, Flaws, figures, packed, unpacked
from recognition.inference.images import turned
from recognition.inference.pack.specs import FlawSpec
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.inference.pose import eye_centres
from recognition.inference.quality import ADVICE, LIMIT, OF_EMBEDDINGS, REASONS, combine
from recognition.measuring.quality.spoiling import barred, coarse, masked, moved, scaled
from tests.support.photos import astronaut, six_people
from tests.support.real_packs import needs_models, open_permissive

GATE = 0.6  # the default of MIN_FACE_QUALITY


@pytest.fixture(params=["dlib", pytest.param("permissive", marks=needs_models)])
def measured(request: pytest.FixtureRequest) -> FacePipeline:
    if request.param == "permissive":
        return open_permissive()
    pipeline: FacePipeline = request.getfixturevalue("pipeline")
    return pipeline


def main_face(pipeline: FacePipeline, image: Image, *, rotate: bool = True) -> DetectedFace:
    return pipeline.embed(pipeline.detect(image, rotate=rotate)[:1])[0]


def spoilt(pipeline: FacePipeline, name: str) -> Image:
    image = astronaut()
    (face,) = pipeline.detect(image)
    side = float(np.max(face.box[2:] - face.box[:2]))
    eyes = np.array(eye_centres(face.landmarks, pipeline.pack.detector.landmark_names))
    lot = np.random.default_rng(3)
    made = {
        "mouth": lambda: masked(image, eyes, lot),
        "eyes": lambda: barred(image, eyes, lot),
        "stillness": lambda: moved(image, round(0.25 * side), 45),
        "detail": lambda: coarse(image, 12 / side, cv2.INTER_CUBIC),
    }
    spoilt: Image = made[name]()
    return spoilt


def test_it_works(measured: FacePipeline) -> None:
    quality = main_face(measured, astronaut()).quality
    shown = set(OF_EMBEDDINGS) - (set() if measured.pack.recogniser.mirror else {"mirror"})
    assert shown <= set(quality.components)
    assert min(quality.components[name] for name in shown) > 0.7
    assert quality.score > 0.7 and not quality.is_misread


def test_detect_alone_does_not_know(measured: FacePipeline) -> None:
    (face,) = measured.detect(astronaut())
    assert not set(OF_EMBEDDINGS) & set(face.quality.components)


@pytest.mark.parametrize("name", ["mouth", "eyes", "stillness", "detail"])
def test_a_flaw_is_refused_and_says_what_to_do(measured: FacePipeline, name: str) -> None:
    quality = main_face(measured, spoilt(measured, name)).quality
    assert quality.components[name] < LIMIT
    assert quality.score < GATE
    assert REASONS[name] in quality.reasons
    assert ADVICE[REASONS[name]] in quality.advice


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_face_that_is_read_without_turning(measured: FacePipeline, degrees: int) -> None:
    """As the detector takes it for an upright one now and then."""
    found = measured.detect(turned(astronaut(), degrees), rotate=False)
    if not found:
        pytest.skip("the detector does not find it")
    (face,) = measured.embed(found[:1])
    assert face.quality.is_misread
    assert face.quality.score < GATE


def test_a_small_or_dark_face_that_is_recognised_passes(measured: FacePipeline) -> None:
    plain = main_face(measured, astronaut())
    side = float(np.max(plain.box[2:] - plain.box[:2]))
    small = main_face(measured, scaled(astronaut(), 62 / side))
    dark = main_face(measured, (astronaut() * 0.25).astype(np.uint8))
    assert plain.embedding is not None
    for face in (small, dark):
        assert face.embedding is not None
        assert face.quality.score > GATE, face.quality


def test_six_people_are_all_upright(measured: FacePipeline) -> None:
    faces = measured.embed(measured.detect(six_people()))
    assert [face.quality.is_misread for face in faces] == [False] * 6


def test_crop_and_mirror_image(pipeline: FacePipeline) -> None:
    face = main_face(pipeline, astronaut())
    assert face.agreement is not None and 0.98 < face.agreement < 1
    wrong = main_face(pipeline, turned(astronaut(), 90), rotate=False)
    assert wrong.agreement is not None and wrong.agreement < face.agreement


# --- lines ----------------------------------------------------------------------------------------


def line_along(place: int, dimensions: int) -> Floats:
    """A line that sees one figure alone."""
    line = np.zeros(dimensions + FIGURES + 1)
    line[place] = 1
    return line


def noise(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (128, 128, 3), np.uint8)


def test_a_component_falls_along_its_line() -> None:
    embeddings = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0.6, 0.8, 0, 0]])
    spec = FlawSpec("mouth", packed(line_along(0, 4)), (0.6, 0.0))  # an embedding counts 0.6
    flaws = Flaws([spec], 4).components([noise(1), noise(2), noise(3)], embeddings)
    assert [each["mouth"] for each in flaws] == pytest.approx([0, 1, 0.4], abs=1e-3)


def test_figures_do_not_depend_on_the_exposure() -> None:
    one, darker = noise(1) // 2 + 60, noise(1) // 4 + 30
    a, b = figures([one.astype(np.uint8), darker.astype(np.uint8)], np.zeros((2, 4)))
    assert np.corrcoef(a, b)[0, 1] > 0.98


def test_a_line_keeps_its_numbers() -> None:
    line = np.random.default_rng(1).normal(size=FIGURES + 5)
    assert unpacked(packed(line)) == pytest.approx(line, rel=1e-3)


def test_a_line_for_another_recogniser_is_refused() -> None:
    spec = FlawSpec("mouth", packed(line_along(0, 4)), (0.6, 0.0))
    with pytest.raises(ValueError, match="a line of"):
        Flaws([spec], 128)


def test_numbers_that_are_not_finite_are_refused() -> None:
    line = line_along(0, 4)
    line[3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        Flaws([FlawSpec("level", packed(line), (0.6, 0.0))], 4)


def test_a_range_that_rises_is_refused() -> None:
    with pytest.raises(ValueError, match="range of level"):
        Flaws([FlawSpec("level", packed(line_along(0, 4)), (0.0, 0.6))], 4)


def test_a_pack_without_lines_judges_no_flaw(pipeline: FacePipeline) -> None:
    embeddings = np.ones((1, 128)) / np.sqrt(128)
    assert Flaws([], 128).components([noise(1)], embeddings) == [{}]


def test_no_threshold_can_let_a_misread_face_pass(pipeline: FacePipeline) -> None:
    good = main_face(pipeline, astronaut())
    misread = replace(good, quality=good.quality.having({"level": LIMIT - 0.01}))
    assert misread.quality.is_misread
    assert good.quality.having({"mirror": 0}).is_misread
    assert not combine({"size": 1.0}).is_misread
