"""POST /compare."""

import base64
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings

from recognition.inference.arrays import Floats
from recognition.inference.pipeline import DetectedFace
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


def test_the_main_face_of_each_picture_decides_is_match(owner: Person, fake: FakePipeline) -> None:
    fake.show([vector(1), vector(2)], [vector(1), vector(3)])
    assert compare(owner)["is_match"]
    fake.show([vector(2), vector(1)], [vector(3), vector(1)])
    assert not compare(owner)["is_match"]


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


# --- all faces ------------------------------------------------------------------------------------


def at(x: float, embedding: Floats) -> DetectedFace:
    face: DetectedFace = face_of(embedding, x=x)
    return face


def test_the_man_who_stands_second(owner: Person, fake: FakePipeline) -> None:
    """As with an ID card in the hand: nobody has to ask for the other faces."""
    card = near(vector(1), 0.99)
    fake.show(
        [at(4, vector(2)), at(20, vector(1))], [at(2, vector(3)), at(9, vector(4)), at(12, card)]
    )
    answer = compare(owner)
    assert not answer["is_match"] and answer["similarity_score"] == 0
    assert [face["box"]["x"] for face in answer["faces_a"]] == [4, 20]
    assert [face["box"]["x"] for face in answer["faces_b"]] == [2, 9, 12]
    assert answer["face_a"] == answer["faces_a"][0] and answer["face_b"] == answer["faces_b"][0]
    best = answer["best_pair"]
    assert (best["face_index_a"], best["face_index_b"], best["is_match"]) == (1, 2, True)


def test_a_single_face_of_each_is_the_best_pair(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(1), near(vector(1), 0.96))
    answer = compare(owner)
    main = {name: answer[name] for name in ("is_match", "similarity_score", "confidence_score")}
    assert answer["best_pair"] == {"face_index_a": 0, "face_index_b": 0, **main}


def test_among_more_pairs_a_match_has_to_be_more_alike(owner: Person, fake: FakePipeline) -> None:
    """The best of four pairs of strangers is as high four times as often as that of one."""
    scores = engine.current().scores
    needed = scores.fmr(scores.cosine_of_confidence(0.85))
    for fmr, is_match in ((needed / 4 * 0.99, True), (needed / 4 * 1.01, False)):
        similar = near(vector(1), scores.cosine_of_fmr(fmr))
        fake.show([vector(1), vector(2)], [similar, vector(3)])
        answer = compare(owner)
        assert answer["is_match"], "whose faces were chosen before they were compared"
        assert answer["best_pair"]["is_match"] is is_match
        expected = scores.confidence(scores.cosine_of_fmr(4 * fmr))
        assert answer["best_pair"]["confidence_score"] == pytest.approx(expected, abs=1e-4)


def test_only_the_main_faces(owner: Person, fake: FakePipeline) -> None:
    fake.show([vector(2), vector(1)], [vector(3), vector(1)])
    answer = compare(owner, faces="largest")
    assert len(answer["faces_a"]) == len(answer["faces_b"]) == 1
    assert answer["best_pair"]["is_match"] is answer["is_match"] is False


def test_misread_faces_are_compared_with_none(owner: Person, fake: FakePipeline) -> None:
    lying = misread(vector(1))
    fake.show([lying, vector(2)], [vector(1), lying, near(vector(2), 0.99)])
    answer = compare(owner)
    assert (answer["is_match"], answer["confidence_score"]) == (False, 0)
    assert answer["face_a"]["quality"]["reasons"] == ["not_level"]
    best = answer["best_pair"]
    assert (best["face_index_a"], best["face_index_b"], best["is_match"]) == (1, 2, True)


def test_small_faces_of_large_pictures_count(owner: Person, fake: FakePipeline) -> None:
    fake.small = [face_of(vector(1))]
    fake.show(vector(2), vector(3))
    best = compare(owner)["best_pair"]
    assert (best["face_index_a"], best["face_index_b"], best["is_match"]) == (1, 1, True)


def test_the_number_of_faces_is_limited(
    owner: Person, fake: FakePipeline, settings: Settings
) -> None:
    settings.FACESVC_MAX_FACES_PER_IMAGE = 2
    fake.show([vector(1), vector(2), vector(3)])
    answer = compare(owner)
    assert len(answer["faces_a"]) == len(answer["faces_b"]) == 2


def test_all_faces_of_real_photos(owner: Person) -> None:
    """The main faces have the same scores, whether others are looked for or not; and in a
    photo of two, the second one is found.
    """
    one, other = resized(astronaut(), 0.8), resized(tom_hanks(), 3)
    both = np.zeros((max(len(one), len(other)), one.shape[1] + other.shape[1], 3), np.uint8)
    both[: len(one), : one.shape[1]] = one
    both[: len(other), one.shape[1] :] = other
    pictures = {
        "image_a": base64.b64encode(encode(both)).decode(),
        "image_b": base64.b64encode(jpeg(other)).decode(),
    }
    alone, answer = compare(owner, **pictures, faces="largest"), compare(owner, **pictures)
    assert answer["similarity_score"] == pytest.approx(alone["similarity_score"], abs=0.02)
    assert len(answer["faces_a"]) == 2
    best = answer["best_pair"]
    x = answer["faces_a"][best["face_index_a"]]["box"]["x"]
    assert best["is_match"] and x > one.shape[1]


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


def test_an_unknown_choice_of_faces(owner: Person, fake: FakePipeline) -> None:
    assert refusal(owner.post("compare", **PICTURES, faces="two")) == (400, "invalid_request")


def test_an_unknown_level(owner: Person, fake: FakePipeline) -> None:
    answer = owner.post("compare", **PICTURES, verification_level="sure")
    assert refusal(answer) == (400, "invalid_request")
