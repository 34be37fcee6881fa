"""POST /compare."""

import base64
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from recognition.packs import engine
from tests.support.builders import (
    PICTURE,
    PICTURE_BASE64,
    PREFIX,
    FakePipeline,
    Person,
    data_of,
    details_of,
    face_of,
    misread,
    near,
    refusal,
    row_counts,
    vector,
)
from tests.support.photos import astronaut, encode, jpeg, resized, tom_hanks

pytestmark = pytest.mark.django_db
PICTURES = {"image_a": PICTURE_BASE64, "image_b": PICTURE_BASE64}


def compare(person: Person, **fields: Any) -> dict[str, Any]:
    return data_of(person.post("compare", **{**PICTURES, **fields}))


def test_it_works(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(1), face_of(near(vector(1), 0.98), quality=0.3, x=20))
    before = row_counts()
    answer = compare(owner)
    assert answer["is_match"] is True
    assert answer["similarity_score"] == pytest.approx(0.8768, abs=1e-4)
    assert answer["confidence_score"] == pytest.approx(
        engine.current().scores.confidence(0.98), abs=1e-4
    )
    assert answer["verification_level"] == "standard"
    assert answer["face_a"]["box"]["x"] == 4
    assert answer["face_b"]["box"]["x"] == 20
    assert answer["face_b"]["quality"]["face_quality_score"] == 0.3
    assert row_counts() == before


@pytest.mark.parametrize("name", ["image_a", "image_b"])
def test_a_misread_face_is_compared_with_none(owner: Person, fake: FakePipeline, name: str) -> None:
    faces = {"image_a": face_of(vector(1)), "image_b": face_of(vector(1))} | {
        name: misread(vector(1))
    }
    fake.show(*faces.values())
    answer = owner.post("compare", **PICTURES)
    assert refusal(answer) == (422, "low_quality")
    assert details_of(answer)["image"] == name
    assert details_of(answer)["reasons"] == ["not_level"]


def test_real_photos(owner: Person) -> None:
    first = base64.b64encode(encode(astronaut())).decode()
    again = base64.b64encode(jpeg(resized(astronaut(), 0.8))).decode()
    other = base64.b64encode(encode(resized(tom_hanks(), 3))).decode()
    same = compare(owner, image_a=first, image_b=again, verification_level="strict")
    assert same["is_match"]
    different = compare(owner, image_a=first, image_b=other, verification_level="basic")
    assert not different["is_match"]
    assert different["similarity_score"] < 0.3


@pytest.mark.parametrize(
    ("level", "confidence"), [("basic", 0.80), ("standard", 0.85), ("strict", 0.95)]
)
def test_levels_are_confidences(
    owner: Person, fake: FakePipeline, level: str, confidence: float
) -> None:
    needed = engine.current().scores.cosine_of_confidence(confidence)
    fake.show(vector(1), near(vector(1), needed + 1e-5))
    assert compare(owner, verification_level=level)["is_match"]
    fake.show(vector(1), near(vector(1), needed - 1e-5))
    assert not compare(owner, verification_level=level)["is_match"]


def test_the_largest_face_of_each_picture_counts(owner: Person, fake: FakePipeline) -> None:
    fake.show([vector(1), vector(2)], [vector(1), vector(3)])
    assert compare(owner)["is_match"]


def test_the_same_face_twice_is_not_certain(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    answer = compare(owner)
    assert answer["similarity_score"] == 1
    assert 0.95 < answer["confidence_score"] < 1


def test_two_uploads(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    uploads = {name: SimpleUploadedFile("a.png", PICTURE, "image/png") for name in PICTURES}
    headers = {"Authorization": f"Bearer {owner.token}"}
    assert data_of(owner.client.post(f"{PREFIX}compare", uploads, headers=headers))["is_match"]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["image_a", "image_b"])
def test_no_face(owner: Person, fake: FakePipeline, name: str) -> None:
    fake.show([] if name == "image_a" else [vector(1)], [])
    answer = owner.post("compare", **PICTURES)
    assert refusal(answer) == (422, "no_face")
    assert details_of(answer) == {"image": name}


@pytest.mark.parametrize("name", ["image_a", "image_b"])
def test_one_picture_only(owner: Person, fake: FakePipeline, name: str) -> None:
    answer = owner.post("compare", **{name: PICTURE_BASE64})
    assert refusal(answer) == (400, "invalid_request")


def test_a_bare_picture_is_not_two(owner: Person, fake: FakePipeline) -> None:
    answer = owner.send("post", "compare", PICTURE, content_type="image/png")
    assert refusal(answer) in {(400, "unknown_field"), (415, "unsupported_media_type")}


def test_an_unknown_level(owner: Person, fake: FakePipeline) -> None:
    answer = owner.post("compare", **PICTURES, verification_level="sure")
    assert refusal(answer) == (400, "invalid_request")
