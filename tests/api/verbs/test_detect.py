"""POST /detect."""

import base64
from dataclasses import replace

import numpy as np
import pytest
from pytest_django import Settings

from recognition.descriptions import LANDMARKS, attributes_of
from recognition.inference.images import turned
from recognition.packs import engine
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    details_of,
    face_of,
    refusal,
    row_counts,
    user_token,
    vector,
)
from tests.support.photos import astronaut, coffee, encode, jpeg, six_people

pytestmark = pytest.mark.django_db


def test_it_works(owner: Person) -> None:
    photo = base64.b64encode(jpeg(six_people(), 95)).decode()
    before = row_counts()
    answer = data_of(owner.post("detect", image=photo))
    assert answer["total_faces"] == len(answer["faces"]) == 6
    face = min(answer["faces"], key=lambda one: one["box"]["x"])
    box = {"x": 50, "y": 267, "width": 114, "height": 115}
    assert all(abs(face["box"][name] - box[name]) <= 8 for name in box)
    assert face["detection_score"] == 1  # the detector says 1.07
    assert face["quality"]["face_quality_score"] > 0.8
    assert set(face["quality"]["components"]) == {
        *("size", "sharpness", "exposure", "contrast", "pose", "detection", "border")
    }
    assert face["quality"]["reasons"] == []
    assert abs(face["pose"]["yaw"]) < 20
    assert face["pose"]["roll"] == pytest.approx(-26, abs=5)
    assert face["pose"]["pitch"] is None
    attributes = face["face_attributes"]
    points = attributes["face_landmarks"]
    assert points["nose_tip"] is points["mouth_left"] is points["mouth_right"] is None
    corners = [points["left_eye_inner"], points["left_eye_outer"]]
    assert points["left_eye"] == pytest.approx(np.mean(corners, axis=0), abs=0.1)
    assert attributes["estimated_age"] is attributes["estimated_gender"] is None
    assert face["liveness_score"] is face["eyes_open_score"] is None
    assert face["rotation"] == 0
    assert row_counts() == before


def test_landmarks_have_the_same_names_in_every_pack() -> None:
    face = face_of(vector(1))
    for name in ("antelopev2", "buffalo_l", "buffalo_sc", "dlib", "opencv", "permissive"):
        names = engine.pack(name).detector.landmark_names
        points = attributes_of(face, names)["face_landmarks"]
        assert [*points][:5] == [*LANDMARKS]
        assert set(points) == {*LANDMARKS, *names}
        assert all(points[name] is not None for name in ("left_eye", "right_eye", *names))


@pytest.mark.parametrize(("score", "told"), [(1.0462, 1), (-0.2, 0), (0.87654, 0.8765)])
def test_the_detection_score_is_from_0_to_1(
    owner: Person, fake: FakePipeline, score: float, told: float
) -> None:
    fake.show(replace(face_of(vector(1)), detection_score=score))
    (face,) = data_of(owner.post("detect", image=PICTURE_BASE64))["faces"]
    assert face["detection_score"] == told


def test_a_picture_of_nobody(owner: Person) -> None:
    photo = base64.b64encode(encode(coffee())).decode()
    assert data_of(owner.post("detect", image=photo)) == {
        "faces": [],
        "total_faces": 0,
        "faces_found": 0,
        "smallest_face": 72,
    }


def test_estimates_and_rotation(owner: Person, fake: FakePipeline) -> None:
    estimates = {"age": 31.0, "gender": "female", "liveness": 0.98765, "rotation": 90}
    fake.show(replace(face_of(vector(1)), **estimates))
    (face,) = data_of(owner.post("detect", image=PICTURE_BASE64))["faces"]
    assert face["face_attributes"]["estimated_age"] == 31
    assert face["face_attributes"]["estimated_gender"] == "female"
    assert face["liveness_score"] == pytest.approx(0.9876, abs=1e-4)
    assert face["rotation"] == 90


def test_a_turned_photo(owner: Person) -> None:
    upright = data_of(owner.post("detect", image=base64.b64encode(encode(astronaut())).decode()))
    photo = base64.b64encode(encode(turned(astronaut(), 90))).decode()
    (face,) = data_of(owner.post("detect", image=photo))["faces"]
    assert face["rotation"] == 270
    assert face["box"] == upright["faces"][0]["box"]


def test_the_number_of_faces_is_limited(
    owner: Person, fake: FakePipeline, settings: Settings
) -> None:
    settings.FACESVC_MAX_FACES_PER_IMAGE = 2
    fake.show([face_of(vector(number)) for number in range(3)])
    answer = data_of(owner.post("detect", image=PICTURE_BASE64))
    assert (answer["total_faces"], answer["faces_found"]) == (2, 3)
    answer = data_of(owner.post("identify", image=PICTURE_BASE64))
    assert (len(answer["faces"]), answer["faces_found"]) == (2, 3)
    answer = data_of(owner.post("identify", image=PICTURE_BASE64, faces="largest"))
    assert (len(answer["faces"]), answer["faces_found"]) == (1, 3)
    refused = owner.post("register", user_id=OWNER, image=PICTURE_BASE64)
    assert refusal(refused) == (422, "multiple_faces")
    assert "3 faces, of which the 2 largest count" in refused.json()["error"]["message"]
    assert details_of(refused)["faces_found"] == 3


def test_the_smallest_face_is_a_setting(
    owner: Person, fake: FakePipeline, settings: Settings
) -> None:
    settings.FACESVC_SMALLEST_FACE = 55
    fake.show([face_of(vector(0))])
    fake.small = [face_of(vector(1))]
    answer = data_of(owner.post("detect", image=PICTURE_BASE64))
    assert (answer["total_faces"], answer["smallest_face"]) == (2, 55)


def test_a_missing_scope(owner: Person, fake: FakePipeline) -> None:
    verifier = Person(user_token(OWNER, ["face:verify"]), owner.client)
    answer = verifier.post("detect", image=PICTURE_BASE64)
    assert refusal(answer) == (403, "insufficient_scope")


def test_an_unknown_field(owner: Person, fake: FakePipeline) -> None:
    answer = owner.post("detect", image=PICTURE_BASE64, landmarks=True)
    assert refusal(answer) == (400, "unknown_field")
