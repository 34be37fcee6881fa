"""CompareFaces and DetectFaces by boto3."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recognition.inference.pose import Pose
from recognition.packs import engine
from tests.support.builders import PICTURE, FakePipeline, face_of, misread, near, vector
from tests.support.photos import SHARED, needs_shared

pytestmark = pytest.mark.django_db
PHOTO = {"Bytes": PICTURE}


def test_it_works(aws: Any, fake: FakePipeline) -> None:
    """All faces of the target are compared, each for itself."""
    cosine = engine.current().scores.cosine_of_confidence(0.9) + 1e-4
    fake.show(
        [face_of(vector(1), side=30), vector(3)],
        [face_of(vector(2), side=20), face_of(near(vector(1), cosine), side=10), vector(1)],
    )
    answer = aws.compare_faces(SourceImage=PHOTO, TargetImage=PHOTO)
    assert answer["SourceImageFace"]["BoundingBox"]["Width"] == pytest.approx(30 / 64, abs=1e-5)
    same, other = answer["FaceMatches"]
    assert same["Similarity"] > 99
    assert other["Similarity"] == pytest.approx(90, abs=0.1)
    assert other["Face"]["BoundingBox"]["Width"] == pytest.approx(10 / 64, abs=1e-5)
    (stranger,) = answer["UnmatchedFaces"]
    assert stranger["BoundingBox"]["Width"] == pytest.approx(20 / 64, abs=1e-5)


def test_a_threshold(aws: Any, fake: FakePipeline) -> None:
    fake.show([vector(1)], [vector(2)])
    answer = aws.compare_faces(SourceImage=PHOTO, TargetImage=PHOTO, SimilarityThreshold=0)
    assert len(answer["FaceMatches"]) == 1 and answer["UnmatchedFaces"] == []


def test_a_target_without_faces(aws: Any, fake: FakePipeline) -> None:
    fake.show([vector(1)], [])
    answer = aws.compare_faces(SourceImage=PHOTO, TargetImage=PHOTO)
    assert answer["FaceMatches"] == answer["UnmatchedFaces"] == []


def test_a_target_that_cannot_be_compared(aws: Any, fake: FakePipeline) -> None:
    """Two misread faces would be alike, whose they are or not."""
    fake.show([vector(1)], [misread(vector(1)), face_of(vector(1), quality=0.4)])
    answer = aws.compare_faces(SourceImage=PHOTO, TargetImage=PHOTO)
    assert len(answer["FaceMatches"]) == len(answer["UnmatchedFaces"]) == 1
    fake.show([vector(1)], [misread(vector(1)), face_of(vector(1), quality=0.4)])
    answer = aws.compare_faces(SourceImage=PHOTO, TargetImage=PHOTO, QualityFilter="AUTO")
    assert len(answer["UnmatchedFaces"]) == 2


@pytest.mark.parametrize("source", [[], [misread(vector(1))]])
def test_a_source_that_cannot_be_compared(aws: Any, fake: FakePipeline, source: list[Any]) -> None:
    fake.show(source, [vector(1)])
    with pytest.raises(aws.exceptions.InvalidParameterException):
        aws.compare_faces(SourceImage=PHOTO, TargetImage=PHOTO)


# --- detection ------------------------------------------------------------------------------------


def test_what_is_measured_of_a_face(aws: Any, fake: FakePipeline) -> None:
    crop = np.full((150, 150, 3), 51, np.uint8)
    fake.show(replace(face_of(vector(1)), crop=crop))
    (face,) = aws.detect_faces(Image=PHOTO)["FaceDetails"]
    assert face.keys() == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    assert face["Pose"] == {"Roll": 0, "Yaw": 0}  # five points of this pack say no pitch here
    assert face["Quality"] == {"Brightness": 20, "Sharpness": 90}
    named = {each["Type"] for each in face["Landmarks"]}
    assert named <= {"eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight"}


def test_directions(aws: Any, fake: FakePipeline) -> None:
    """As in the examples that AWS publishes: right, up and clockwise are positive."""
    fake.show(replace(face_of(vector(1)), pose=Pose(yaw=20.0, pitch=10.0, roll=-5.0)))
    (face,) = aws.detect_faces(Image=PHOTO)["FaceDetails"]
    assert face["Pose"] == {"Yaw": 20, "Pitch": -10, "Roll": -5}


def test_what_is_not_measured_is_absent(aws: Any, fake: FakePipeline) -> None:
    fake.show(vector(1))
    (face,) = aws.detect_faces(Image=PHOTO, Attributes=["ALL"])["FaceDetails"]
    assert face.keys() == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}


def test_what_a_pack_estimates(aws: Any, fake: FakePipeline) -> None:
    estimated = replace(face_of(vector(1)), age=31.4, gender="female", eyes_open=0.1)
    fake.show(estimated)
    (face,) = aws.detect_faces(Image=PHOTO, Attributes=["ALL"])["FaceDetails"]
    assert face["AgeRange"] == {"Low": 31, "High": 32}
    assert face["Gender"] == {"Value": "Female"}
    assert face["EyesOpen"] == {"Value": False, "Confidence": 90}
    (face,) = aws.detect_faces(Image=PHOTO, Attributes=["GENDER"])["FaceDetails"]
    assert "Gender" in face and "AgeRange" not in face


def test_no_face(aws: Any, fake: FakePipeline) -> None:
    fake.show([])
    assert aws.detect_faces(Image=PHOTO)["FaceDetails"] == []


@needs_shared
def test_the_landmarks_of_a_photo(aws: Any) -> None:
    """Left is left in the picture, as in Rekognition."""
    photo = next((SHARED / "lfw-a" / "Aaron_Eckhart").iterdir()).read_bytes()
    (face, *_) = aws.detect_faces(Image={"Bytes": photo})["FaceDetails"]
    box, points = face["BoundingBox"], {each["Type"]: each for each in face["Landmarks"]}
    assert points.keys() == {"eyeLeft", "eyeRight"}  # dlib's five are corners of the eyes, and one
    assert points["eyeLeft"]["X"] < points["eyeRight"]["X"]
    for point in points.values():
        assert box["Left"] < point["X"] < box["Left"] + box["Width"]
        assert box["Top"] < point["Y"] < box["Top"] + box["Height"]
