"""Quality of a real face that gets worse and worse, and of made-up ones."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.inference.arrays import Floats, Image
from recognition.inference.pipeline import FacePipeline
from recognition.inference.pose import Pose
from recognition.inference.quality import OF_EMBEDDINGS, REASONS, Quality, assess, combine
from tests.support.photos import astronaut, resized, six_people

# The astronaut's head, with room around it.
HEAD = np.ascontiguousarray(astronaut()[20:276, 92:348])


def of_best(pipeline: FacePipeline, image: Image) -> Quality | None:
    faces = pipeline.detect(image)
    return faces[0].quality if faces else None


def qualities(pipeline: FacePipeline, pictures: Sequence[Image]) -> list[Quality]:
    """Until the face is found no more."""
    found = []
    for picture in pictures:
        quality = of_best(pipeline, picture)
        if quality is None:
            break
        found.append(quality)
    return found


def check_fall(
    found: list[Quality], component: str, *, least: int, to: float, jitter: float = 0
) -> None:
    """The score and the component never rise, and end at `to` of where they began.

    `jitter` allows for the landmarks: another sampling of a face moves them by parts of a pixel.
    """
    assert len(found) >= least
    for values in (
        [quality.score for quality in found],
        [quality.components[component] for quality in found],
    ):
        assert all(after <= before + jitter for before, after in pairwise(values)), values
        assert values[-1] <= to * values[0]


def test_it_works(pipeline: FacePipeline) -> None:
    quality = of_best(pipeline, astronaut())
    assert quality is not None
    assert quality.score == pytest.approx(0.93, abs=0.03)
    assert set(quality.components) == set(REASONS) - {"network", *OF_EMBEDDINGS}
    assert quality.reasons == ()


# --- one real face --------------------------------------------------------------------------------


def test_blur(pipeline: FacePipeline) -> None:
    pictures = [HEAD, *(cv2.GaussianBlur(HEAD, (0, 0), s) for s in (1, 1.5, 2, 3, 4, 5))]
    found = qualities(pipeline, [p.astype(np.uint8) for p in pictures])
    check_fall(found, "sharpness", least=6, to=0.5)
    assert "blurred" in found[-1].reasons


def test_darkness(pipeline: FacePipeline) -> None:
    pictures = [(HEAD * share).astype(np.uint8) for share in (1, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12)]
    found = qualities(pipeline, pictures)
    check_fall(found, "exposure", least=5, to=0.6)


def test_brightness(pipeline: FacePipeline) -> None:
    pictures = [cv2.convertScaleAbs(HEAD, alpha=1, beta=b) for b in (0, 30, 60, 75, 90)]
    found = qualities(pipeline, [p.astype(np.uint8) for p in pictures])
    check_fall(found, "exposure", least=5, to=0.5)


def test_low_contrast(pipeline: FacePipeline) -> None:
    mean = HEAD.mean()
    pictures = [(mean + (HEAD - mean) * c).astype(np.uint8) for c in (1, 0.6, 0.4, 0.25, 0.15)]
    found = qualities(pipeline, pictures)
    check_fall(found, "contrast", least=4, to=0.7)


def test_small_faces(pipeline: FacePipeline) -> None:
    """Enlarged again, as the detector finds no smaller ones: what counts is the detail."""
    pictures = [resized(resized(HEAD, 1 / n), n) for n in (1, 2, 4, 6, 8)]
    found = qualities(pipeline, [p[:248, :248] for p in pictures])
    check_fall(found, "sharpness", least=5, to=0.7, jitter=0.005)


def test_downscaling(pipeline: FacePipeline) -> None:
    found = qualities(pipeline, [resized(HEAD, scale) for scale in (1.5, 1, 0.7, 0.5, 0.4)])
    check_fall(found, "size", least=5, to=0.75)


def rendered(image: Image, centre: Floats, radius: float, degrees: float) -> Image:
    """The face as a texture on an ellipsoid that is turned to the picture's right."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    a, b, depth = radius, 1.35 * radius, 0.9 * radius
    turn = np.radians(degrees)
    u, v = (x - centre[0]) / a, (y - centre[1]) / b
    inside = u**2 + v**2 < 1
    # The surface point that is seen at a pixel, turned back to where the photo shows it.
    squash = np.hypot(np.cos(turn) * a, np.sin(turn) * depth) / a
    level = np.sqrt(np.clip(1 - v**2, 0, 1))
    angle = np.arcsin(np.clip(u / squash / np.maximum(level, 1e-6), -1, 1)) - turn
    source_x = centre[0] + a * level * np.sin(angle)
    visible = inside & (np.abs(angle) < np.pi / 2)
    maps = np.where(visible, source_x, 0).astype(np.float32), y.astype(np.float32)
    face = cv2.remap(image, *maps, cv2.INTER_LINEAR)
    shown: Image = np.where(visible[..., None], face, image).astype(np.uint8)
    return shown


def test_a_face_that_turns_away(pipeline: FacePipeline) -> None:
    photo = resized(astronaut()[:320, 60:380], 2)
    (face,) = pipeline.detect(photo)
    middle, width = face.landmarks[:4].mean(axis=0) + np.array([0, 20]), face.box[2] - face.box[0]
    turned = [
        pipeline.detect(rendered(photo, middle, 0.55 * width, degrees))[0]
        for degrees in (0, 15, 30, 45, 60)
    ]
    yaws = [face.pose.yaw for face in turned]
    assert yaws == sorted(yaws)
    assert yaws[-1] - yaws[0] > 35
    check_fall([face.quality for face in turned], "pose", least=5, to=0.6)


def test_the_mirrored_face_is_as_good(pipeline: FacePipeline) -> None:
    straight = of_best(pipeline, HEAD)
    mirrored = of_best(pipeline, np.ascontiguousarray(HEAD[:, ::-1]))
    assert straight is not None and mirrored is not None
    assert mirrored.score == pytest.approx(straight.score, abs=0.05)


def test_a_face_cut_off_by_the_border(pipeline: FacePipeline) -> None:
    found = qualities(pipeline, [HEAD[:, cut:] for cut in (0, 75, 85, 95, 105)])
    check_fall(found, "border", least=4, to=0.9, jitter=0.005)


def test_the_one_who_looks_away_is_the_worst_of_six(pipeline: FacePipeline) -> None:
    worst = min(pipeline.detect(six_people()), key=lambda face: face.quality.score)
    assert worst.quality.reasons == ("turned_away",)
    assert worst.quality.score < 0.6


# --- each reason ----------------------------------------------------------------------------------


def noise(low: int, high: int) -> Image:
    """Grey blocks of four pixels."""
    blocks = np.random.default_rng(1).integers(low, high, (38, 38), np.uint8)
    grey = np.kron(blocks, np.ones((4, 4), np.uint8))[:150, :150]
    return np.repeat(grey[..., None], 3, axis=2)


def smooth() -> Image:
    """Light and shade without detail."""
    blurred = cv2.GaussianBlur(noise(0, 255).astype(np.float32), (0, 0), 12)
    return cv2.normalize(blurred, None, 40, 220, cv2.NORM_MINMAX).astype(np.uint8)


GOOD = {
    "image": np.zeros((300, 300, 3), np.uint8),
    "crop": noise(60, 200),
    "box": np.array([50.0, 50, 250, 250]),
    "eyes": 80.0,
    "pose": Pose(0, 0, 0),
    "detection_score": 1.0,
    "score_range": (0.0, 0.8),
}
REASON_CASES = {
    "face_too_small": {"eyes": 12.0},
    "blurred": {"crop": smooth()},
    "badly_exposed": {"crop": noise(0, 12)},
    "low_contrast": {"crop": noise(126, 130)},
    "turned_away": {"pose": Pose(-55, None, 0)},
    "uncertain_detection": {"detection_score": 0.1},
    "cut_off": {"box": np.array([-150.0, 50, 100, 250])},
}


def test_every_reason_has_its_case() -> None:
    shown = {reason for name, reason in REASONS.items() if name in {"network", *OF_EMBEDDINGS}}
    assert {*REASON_CASES, *shown} == set(REASONS.values())
    assert assess(**GOOD).reasons == ()


@pytest.mark.parametrize("reason", REASON_CASES)
def test_reason(reason: str) -> None:
    quality = assess(**{**GOOD, **REASON_CASES[reason]})
    assert reason in quality.reasons
    assert quality.score < 0.75 * assess(**GOOD).score


def test_the_opinion_of_a_network() -> None:
    quality = assess(**GOOD)
    assert quality.having({"network": 0.1}).reasons == ("hard_to_recognise",)
    assert (
        quality.having({"network": 0.1}).score
        < quality.having({"network": 0.5}).score
        < quality.score
    )


def test_the_worst_reason_comes_first() -> None:
    quality = assess(**{**GOOD, "eyes": 18.0, "detection_score": 0.0})
    assert quality.reasons == ("uncertain_detection", "face_too_small")


def test_overexposure_is_bad_exposure() -> None:
    assert "badly_exposed" in assess(**{**GOOD, "crop": noise(249, 255)}).reasons


def test_an_empty_box_is_cut_off() -> None:
    assert "cut_off" in assess(**{**GOOD, "box": np.array([9.0, 9, 9, 9])}).reasons


# --- the score ------------------------------------------------------------------------------------

components = st.fixed_dictionaries({name: st.floats(0, 1) for name in REASONS})


@given(components, st.sampled_from(list(REASONS)), st.floats(0, 1))
def test_the_score_never_falls_when_a_component_rises(
    values: dict[str, float], name: str, share: float
) -> None:
    better = {**values, name: values[name] + share * (1 - values[name])}
    assert 0 <= combine(values).score <= combine(better).score <= 1


def test_one_fatal_defect_is_not_hidden() -> None:
    assert combine({**dict.fromkeys(REASONS, 1.0), "sharpness": 0.0}).score == 0
    assert combine(dict.fromkeys(REASONS, 1.0)).score == 1
