"""POST /identify with `images`: several photos of one unknown person."""

import base64
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings

from recognition.inference.arrays import Floats
from recognition.models import AuditEvent
from recognition.packs import engine
from recognition.processes import slots
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    details_of,
    enrol_face,
    face_of,
    make_face,
    make_user,
    misread,
    near,
    refusal,
    vector,
)
from tests.support.photos import SHARED, needs_shared

pytestmark = pytest.mark.django_db


def looks(*cosines: float, of: int = 1) -> list[Floats]:
    """Photos of a person, each turned somewhere else."""
    return [near(vector(of), cosine, toward=20 + n) for n, cosine in enumerate(cosines)]


def photos(count: int) -> list[str]:
    return [PICTURE_BASE64] * count


def identify(person: Person, count: int, **fields: Any) -> dict[str, Any]:
    return data_of(person.post("identify", images=photos(count), **fields))


def found(answer: dict[str, Any]) -> list[str]:
    return [candidate["user_id"] for candidate in answer["candidates"]]


def test_it_works(service: Person, fake: FakePipeline) -> None:
    """The mean of the photos decides, and one lucky photo does not."""
    make_face(make_user(OWNER, "public"), vector(1))
    make_face(make_user(FRIEND, "public"), near(vector(1), 0.9, toward=20))
    cosines = (0.985, 0.97, 0.965)
    fake.show(*looks(*cosines))
    answer = identify(service, 3, search_scope={"max_false_positive_rate": 1})
    assert answer["identification_result"] == "found"
    assert found(answer)[0] == str(OWNER)
    assert answer["total_candidates"] == len(answer["candidates"])
    scores = engine.current().scores
    worth = scores.worth_of_mean(float(np.mean(cosines)), 3)
    confidence = answer["candidates"][0]["confidence_score"]
    assert confidence == pytest.approx(scores.confidence(worth), abs=1e-3)
    assert answer["search_stats"]["faces_searched"] == 2


def test_each_face_has_the_same_candidates(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    first, second = looks(0.98, 0.97)
    fake.show([face_of(first, x=4), face_of(vector(9), x=20)], face_of(second, x=7))
    answer = identify(service, 2)
    assert [face["box"]["x"] for face in answer["faces"]] == [4, 7]
    assert all(face["candidates"] == answer["candidates"] for face in answer["faces"])
    assert answer["faces_found"] == 3  # the one beside the main face does not count
    assert found(answer) == [str(OWNER)]


def test_a_form_with_several_files(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(*looks(0.98, 0.97))
    files = [SimpleUploadedFile(f"{n}.png", PICTURE, "image/png") for n in range(2)]
    form = {"images": files, "search_scope": '{"user_groups": ["public"]}'}
    sent = service.client.post(
        "/api/v1/face-recognition/identify",
        form,
        headers={"Authorization": f"Bearer {service.token}"},
    )
    assert found(data_of(sent)) == [str(OWNER)]


def test_one_photo_sent_twice_is_worth_one(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(near(vector(1), 0.95))
    (alone,) = data_of(service.post("identify", image=PICTURE_BASE64))["candidates"]
    (again,) = identify(service, 5)["candidates"]
    assert again["confidence_score"] == pytest.approx(alone["confidence_score"], abs=2e-4)


def test_the_mean_of_the_faces_too(service: Person, fake: FakePipeline) -> None:
    owner = make_user(OWNER, "public")
    for number in range(2):
        make_face(owner, near(vector(1), 0.98, toward=40 + number))
    fake.show(*looks(0.97, 0.97))
    (candidate,) = identify(service, 2, search_scope={"match_on": "user"})["candidates"]
    scores = engine.current().scores
    worth = scores.worth_of_mean(scores.worth_of_mean(0.98 * 0.97, 2), 2)
    assert candidate["confidence_score"] == pytest.approx(scores.confidence(worth), abs=1e-3)


# --- who is found ---------------------------------------------------------------------------------


def test_the_privacy_rule_holds(stranger: Person, service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "friends"), vector(1))
    fake.show(*looks(0.98, 0.97))
    answer = identify(stranger, 2)
    assert (found(answer), answer["search_stats"]["faces_searched"]) == ([], 0)
    everybody = {"search_scope": {"scope": "all"}}
    asked = service.post("identify", images=photos(2), **everybody)
    assert refusal(asked) == (403, "insufficient_scope")


def test_a_search_among_everybody_is_noted(admin: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "private"), vector(1))
    fake.show(*looks(0.98, 0.97))
    assert found(identify(admin, 2, search_scope={"scope": "all"})) == [str(OWNER)]
    assert AuditEvent.objects.filter(action="identify.everyone").count() == 1


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("people", "others"),
    [
        ([1, 2], [0, 1]),
        ([1, 1, 2], [2]),
        ([2, 1, 1, 1], [0]),
        ([1, 3, 1, 2, 1], [1, 3]),
        ([1, 2, 3], [0, 1, 2]),
    ],
)
def test_different_people(
    service: Person, fake: FakePipeline, people: list[int], others: list[int]
) -> None:
    fake.show(*(near(vector(p), 0.97, toward=20 + n) for n, p in enumerate(people)))
    answer = service.post("identify", images=photos(len(people)))
    assert refusal(answer) == (422, "different_people")
    assert details_of(answer) == {"images": others}


def test_a_photo_without_a_face(service: Person, fake: FakePipeline) -> None:
    fake.show(vector(1), [], vector(1))
    answer = service.post("identify", images=photos(3))
    assert refusal(answer) == (422, "no_face")
    assert details_of(answer) == {"image_index": 1}
    assert "images[1]" in answer.json()["error"]["message"]


def test_a_misread_face(service: Person, fake: FakePipeline) -> None:
    fake.show(vector(1), misread(vector(1)))
    answer = service.post("identify", images=photos(2))
    assert refusal(answer) == (422, "low_quality")
    details = details_of(answer)
    assert (details["image_index"], details["reasons"]) == (1, ["not_level"])


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (base64.b64encode(b"no picture at all").decode(), (415, "unsupported_format")),
        (base64.b64encode(PICTURE[:60]).decode(), (400, "truncated_image")),
        ("no base64!", (400, "invalid_base64")),
        ("", (400, "empty_image")),
    ],
)
def test_a_bad_picture_is_named(
    service: Person, fake: FakePipeline, second: str, expected: tuple[int, str]
) -> None:
    fake.show(vector(1))
    answer = service.post("identify", images=[PICTURE_BASE64, second])
    assert refusal(answer) == expected
    assert details_of(answer)["image_index"] == 1


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"images": photos(1)}, "images"),
        ({"images": photos(6)}, "images"),
        ({"images": []}, "images"),
        ({"images": PICTURE_BASE64}, "images"),
        ({"images": [PICTURE_BASE64, 7]}, "images"),
        ({"images": photos(2), "image": PICTURE_BASE64}, "images"),
        ({}, "image"),
        ({"images": photos(2), "faces": "all"}, "faces"),
        ({"images": photos(2), "unique_people": True}, "unique_people"),
    ],
)
def test_fields_that_do_not_fit(
    service: Person, fake: FakePipeline, fields: dict[str, Any], named: str
) -> None:
    fake.show(vector(1))
    answer = service.post("identify", **fields)
    assert refusal(answer) == (400, "invalid_request")
    assert [*details_of(answer)["fields"]] == [named]


# --- what it costs --------------------------------------------------------------------------------


def test_each_photo_counts_as_a_face(owner: Person, fake: FakePipeline, settings: Settings) -> None:
    settings.FACESVC_FACES_PER_HOUR = 4
    fake.show(vector(1))
    identify(owner, 2)
    identify(owner, 2)
    assert refusal(owner.post("identify", images=photos(2))) == (429, "rate_limited")


def test_each_photo_takes_a_slot(
    service: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have their turn between the photos."""
    taken: list[int] = []
    take = slots.InferenceSlots.take

    def counted(self: slots.InferenceSlots, limit: Any) -> None:
        taken.append(1)
        take(self, limit)

    monkeypatch.setattr(slots.InferenceSlots, "take", counted)
    fake.show(vector(1))
    identify(service, 4)
    assert len(taken) == 4


# --- real photos ----------------------------------------------------------------------------------


def lfw(name: str, numbers: Sequence[int]) -> list[str]:
    photos = [SHARED / "lfw-a" / name / f"{name}_{number:04}.jpg" for number in numbers]
    return [base64.b64encode(photo.read_bytes()).decode() for photo in photos]


@needs_shared
def test_several_real_photos_are_surer_than_one(service: Person) -> None:
    people = ("Abdullah_Gul", "Adrien_Brody", "Al_Gore")
    for number, name in enumerate(people):
        make_user(UUID(int=number + 1), "public")
        (photo,) = lfw(name, [1])
        enrol_face(UUID(int=number + 1), base64.b64decode(photo), check_quality=False)
    asked, sure = [2, 3, 4], []
    for number, name in enumerate(people):
        several = data_of(service.post("identify", images=lfw(name, asked)))
        assert found(several) == [str(UUID(int=number + 1))]
        alone = [data_of(service.post("identify", image=photo)) for photo in lfw(name, asked)]
        scores = [each["confidence_score"] for one in alone for each in one["candidates"]]
        sure.append(several["candidates"][0]["confidence_score"] >= float(np.mean(scores)))
    assert sure == [True] * 3
    mixed = [*lfw("Al_Gore", [2, 3]), *lfw("Abdullah_Gul", [2])]
    answer = service.post("identify", images=mixed)
    assert (refusal(answer), details_of(answer)) == ((422, "different_people"), {"images": [2]})
