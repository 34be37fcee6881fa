"""Head pose from five landmarks."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import FacePipeline
from recognition.inference.pose import PoseEstimator, eye_distance
from tests.support.photos import astronaut, six_people

NAMES = ("left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right")
ARCFACE = np.array(
    [
        [73.5318, 51.5014],
        [38.2946, 51.6963],
        [56.0252, 71.7366],
        [70.7299, 92.2041],
        [41.5493, 92.3655],
    ]
)
WITH_MOUTH = PoseEstimator(ARCFACE, NAMES)


@pytest.fixture(scope="module")
def pack(pipeline: FacePipeline) -> ModelPack:
    return pipeline.pack


@pytest.fixture(scope="module")
def five(pack: ModelPack) -> PoseEstimator:
    """For the landmarks of the default pack, which do not tell the pitch."""
    return PoseEstimator(pack.template, pack.detector.landmark_names)


def mirrored(landmarks: Floats) -> Floats:
    """What the landmarks of the mirror image are: the eyes change their names."""
    return (landmarks * [-1, 1])[[2, 3, 0, 1, 4]]


def turned(points: Floats, degrees: float) -> Floats:
    angle = np.radians(degrees)
    matrix = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    moved: Floats = points @ np.array(matrix)
    return moved


def test_it_works(five: PoseEstimator, pack: ModelPack) -> None:
    pose = five.estimate(pack.template)
    assert (pose.yaw, pose.pitch) == (0, None)
    assert pose.roll == pytest.approx(0, abs=1e-6)


def test_a_nose_to_the_right_turns_the_face_to_the_pictures_right(
    five: PoseEstimator, pack: ModelPack
) -> None:
    points = pack.template.copy()
    points[4, 0] += 15
    assert five.estimate(points).yaw > 15
    points[4, 0] -= 30
    assert five.estimate(points).yaw < -15


@pytest.mark.parametrize("degrees", [-170, -90, -30, 10, 45, 120])
def test_roll(five: PoseEstimator, pack: ModelPack, degrees: float) -> None:
    pose = five.estimate(turned(pack.template, degrees))
    assert pose.roll == pytest.approx(degrees, abs=0.1)
    assert pose.yaw == 0


@given(
    st.lists(st.floats(-6, 6), min_size=10, max_size=10), st.floats(0.1, 10), st.floats(-500, 500)
)
def test_size_and_place_do_not_matter(noise: list[float], scale: float, shift: float) -> None:
    points = ARCFACE + np.array(noise).reshape(5, 2)
    here, there = WITH_MOUTH.estimate(points), WITH_MOUTH.estimate(points * scale + shift)
    assert (here.yaw, here.pitch) == (there.yaw, there.pitch)
    assert here.roll == pytest.approx(there.roll, abs=1e-3)


def test_the_mirror_image_turns_the_other_way(five: PoseEstimator, pipeline: FacePipeline) -> None:
    for face in pipeline.detect(six_people()):
        pose, mirror = five.estimate(face.landmarks), five.estimate(mirrored(face.landmarks))
        assert mirror.yaw == pytest.approx(-pose.yaw, abs=4)
        assert mirror.roll == pytest.approx(-pose.roll, abs=2)


def test_the_mirrored_photo_too(pipeline: FacePipeline) -> None:
    faces = pipeline.detect(six_people())
    others = pipeline.detect(np.ascontiguousarray(six_people()[:, ::-1]))
    most = max(faces, key=lambda face: abs(face.pose.yaw)).pose.yaw
    mirror = max(others, key=lambda face: abs(face.pose.yaw)).pose.yaw
    assert most < -30
    assert mirror == pytest.approx(-most, abs=10)


@pytest.mark.parametrize("degrees", [-20, 20])
def test_a_tilted_photo(pipeline: FacePipeline, degrees: float) -> None:
    """Positive is clockwise; OpenCV turns the other way."""
    matrix = cv2.getRotationMatrix2D((222, 118), -degrees, 1)
    (straight,) = pipeline.detect(astronaut())
    (tilted,) = pipeline.detect(cv2.warpAffine(astronaut(), matrix, (512, 512)).astype(np.uint8))
    assert tilted.pose.roll - straight.pose.roll == pytest.approx(degrees, abs=4)


@pytest.mark.parametrize("raised", [-8, 8])
def test_pitch_from_nose_and_mouth(raised: float) -> None:
    points = ARCFACE.copy()
    points[2, 1] += raised
    pose = WITH_MOUTH.estimate(points)
    assert pose.pitch is not None
    assert np.sign(pose.pitch) == np.sign(raised)  # a lower nose looks down
    assert abs(pose.pitch) >= 6


def test_landmarks_that_coincide(five: PoseEstimator) -> None:
    with pytest.raises(ValueError, match="coincide"):
        five.estimate(np.full((5, 2), 7.0))


def test_eye_distance() -> None:
    assert eye_distance(ARCFACE, NAMES) == pytest.approx(35.24, abs=0.01)
