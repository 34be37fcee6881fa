"""The pack `permissive` with its files, where they are: estimates, poses, turned pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from recognition.inference.arrays import Image
from recognition.inference.images import turned
from recognition.inference.pack import weights
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.packs import downloads
from tests.support.photos import SHARED, astronaut, coffee, needs_shared, six_people
from tests.support.real_packs import MODELS, needs_models, open_permissive, permissive_pack

pytestmark = needs_models


@pytest.fixture(scope="module")
def permissive() -> FacePipeline:
    return open_permissive()


def main_face(pipeline: FacePipeline, image: Image) -> DetectedFace:
    return pipeline.embed(pipeline.detect(image)[:1])[0]


def cosine(a: DetectedFace, b: DetectedFace) -> float:
    assert a.embedding is not None and b.embedding is not None
    return float(a.embedding @ b.embedding)


def test_it_works(permissive: FacePipeline) -> None:
    (face,) = permissive.embed(permissive.detect(astronaut()))
    x1, y1, x2, y2 = face.box
    assert 160 < x1 < 190 and 260 < x2 < 290 and 50 < y1 < 90 and 165 < y2 < 220
    named = dict(zip(permissive.pack.detector.landmark_names, face.landmarks, strict=True))
    # As seen in the picture: the person's left is on the right.
    assert named["left_eye"][0] > named["nose_tip"][0] > named["right_eye"][0]
    assert face.embedding is not None and face.embedding.shape == (256,)


def test_all_faces_of_a_group(permissive: FacePipeline) -> None:
    faces = permissive.embed(permissive.detect(six_people()))
    assert len(faces) == 6
    assert all(cosine(a, b) < 0.4 for a in faces for b in faces if a is not b)


def test_nobody(permissive: FacePipeline) -> None:
    assert permissive.detect(coffee()) == []


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_picture(permissive: FacePipeline, degrees: int) -> None:
    face = main_face(permissive, turned(astronaut(), degrees))
    assert (degrees + face.rotation) % 360 == 0
    assert cosine(face, main_face(permissive, astronaut())) > 0.999


def test_the_mirrored_head_looks_the_other_way(permissive: FacePipeline) -> None:
    (face,) = permissive.detect(astronaut())
    (mirrored,) = permissive.detect(np.ascontiguousarray(astronaut()[:, ::-1]))
    assert face.pose.pitch is not None and mirrored.pose.pitch is not None
    assert mirrored.pose.yaw == pytest.approx(-face.pose.yaw, abs=8)
    assert mirrored.pose.roll == pytest.approx(-face.pose.roll, abs=8)
    assert mirrored.pose.pitch == pytest.approx(face.pose.pitch, abs=8)


@pytest.mark.parametrize("degrees", [-20, 20])
def test_a_tilted_head(permissive: FacePipeline, degrees: int) -> None:
    """Positive is clockwise."""
    middle = (220.0, 120.0)
    # OpenCV turns counterclockwise.
    matrix = cv2.getRotationMatrix2D(middle, -degrees, 1)
    tilted = cv2.warpAffine(astronaut(), matrix, (512, 512)).astype(np.uint8)
    before, after = (permissive.detect(image)[0].pose.roll for image in (astronaut(), tilted))
    assert after - before == pytest.approx(degrees, abs=8)


def test_estimates(permissive: FacePipeline) -> None:
    (face,) = permissive.describe(astronaut(), permissive.detect(astronaut()))
    assert face.liveness is not None and face.liveness > 0.5
    assert face.eyes_open is not None and face.eyes_open > 0.5


@needs_shared
def test_closed_eyes(permissive: FacePipeline) -> None:
    photo = cv2.imread(str(SHARED / "lfw-a" / "Franco_Cangele" / "Franco_Cangele_0001.jpg"))
    assert photo is not None
    photo = photo.astype(np.uint8)
    closed, *_ = permissive.describe(photo, permissive.detect(photo))
    assert closed.eyes_open is not None and closed.eyes_open < 0.5


# --- The optional file ----------------------------------------------------------------------------


def test_without_the_optional_file_nothing_is_invented(permissive: FacePipeline) -> None:
    (face,) = permissive.describe(astronaut(), permissive.detect(astronaut()))
    assert face.age is face.gender is None


def test_the_optional_file_is_no_part_of_what_is_needed(tmp_path: Path) -> None:
    pack = permissive_pack()
    downloads.pull(pack, tmp_path, str(MODELS / "permissive"))
    assert weights.is_prepared(pack, tmp_path)
    assert set(weights.verify(pack, tmp_path).values()) == {weights.GOOD}
    lacking = "it estimates no age or gender: age_gender.onnx is not here"
    assert weights.without(pack, tmp_path) == lacking
