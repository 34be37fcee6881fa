"""`unique_people` of identify and of batches: nobody is a candidate of two faces of a picture."""

import base64
from typing import Any
from uuid import UUID

import cv2
import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from recognition.inference.arrays import Image
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    PREFIX,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    enrol_face,
    make_face,
    make_user,
    near,
    refusal,
    vector,
)
from tests.support.photos import SHARED, encode, needs_shared

pytestmark = pytest.mark.django_db
TAGGING = {"source": "auto_tagging"}


@pytest.fixture
def alike(fake: FakePipeline) -> None:
    """Two faces are the owner's, as it seems, and the second one could be a friend's."""
    make_face(make_user(OWNER, "public"), vector(1))
    make_face(make_user(FRIEND, "public"), near(vector(1), 0.985, toward=30))
    fake.show([near(vector(1), 0.99, toward=20), near(vector(1), 0.975, toward=30)])


def found(answer: dict[str, Any]) -> list[list[str]]:
    return [[each["user_id"] for each in face["candidates"]] for face in answer["faces"]]


def identify(person: Person, **fields: Any) -> list[list[str]]:
    return found(data_of(person.post("identify", image=PICTURE_BASE64, **fields)))


OWNER_FIRST = [[str(OWNER), str(FRIEND)], [str(FRIEND), str(OWNER)]]
EACH_ONCE = [[str(OWNER)], [str(FRIEND)]]


def test_it_works(service: Person, alike: None) -> None:
    assert identify(service, unique_people=True) == EACH_ONCE
    assert [sorted(own) for own in identify(service, unique_people=False)] == [
        sorted([str(OWNER), str(FRIEND)])
    ] * 2


@pytest.mark.parametrize("metadata", [TAGGING, {"context": "post_upload"}])
def test_tagging_is_unique_by_itself(
    service: Person, alike: None, metadata: dict[str, str]
) -> None:
    assert identify(service, metadata=metadata) == EACH_ONCE
    assert identify(service, metadata=metadata, unique_people=False) != EACH_ONCE
    assert identify(service, metadata={"source": "search"}) != EACH_ONCE


def test_a_form_leaves_it_out(service: Person, alike: None) -> None:
    """A form without the field does not say false."""
    for more, is_unique in (({}, True), ({"unique_people": "false"}, False)):
        form = {"image": SimpleUploadedFile("a.png", PICTURE), **more}
        form["metadata"] = '{"source": "auto_tagging"}'
        headers = {"Authorization": f"Bearer {service.token}"}
        answer = data_of(service.client.post(PREFIX + "identify", form, headers=headers))
        assert (found(answer) == EACH_ONCE) is is_unique


def test_the_next_one_although_few_are_wanted(service: Person, alike: None) -> None:
    few = {"max_candidates": 1}
    assert identify(service, metadata=TAGGING, search_scope=few) == EACH_ONCE


def test_a_picture_with_the_same_person_twice(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    looks = [near(vector(1), cosine, toward=20 + n) for n, cosine in enumerate((0.97, 0.99, 0.98))]
    fake.show(looks)
    assert identify(service, metadata=TAGGING) == [[], [str(OWNER)], []]
    answer = data_of(service.post("identify", image=PICTURE_BASE64, unique_people=True))
    assert answer["identification_result"] == "not_found"  # of the main face
    assert [face["total_candidates"] for face in answer["faces"]] == [0, 1, 0]


def test_hidden_people_take_nobody_away(
    stranger: Person, service: Person, fake: FakePipeline
) -> None:
    """The answer is the same whether they exist or not."""
    make_user(STRANGER)
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show([near(vector(1), 0.98, toward=20), near(vector(1), 0.97, toward=30)])

    def shown() -> Any:
        answer = data_of(stranger.post("identify", image=PICTURE_BASE64, metadata=TAGGING))
        del answer["search_stats"]["search_time_ms"]
        return answer

    before = shown()
    assert found(before) == [[str(OWNER)], []]
    for number, level in enumerate(("private", "friends")):
        hidden = make_user(UUID(int=number + 1), level)
        make_face(hidden, near(vector(1), 0.985, toward=20))
        make_face(hidden, near(vector(1), 0.985, toward=30))
    assert shown() == before


def test_a_batch(service: Person, alike: None) -> None:
    images = [{"image_id": name, "image": PICTURE_BASE64} for name in ("a", "b")]
    for fields in ({"unique_people": True}, {"metadata": TAGGING}):
        answer = data_of(service.post("batch-identify", images=images, **fields))
        assert [found(each["result"]) for each in answer["results"]] == [EACH_ONCE] * 2
    answer = data_of(service.post("batch-identify", images=images))
    assert found(answer["results"][0]["result"]) != EACH_ONCE


def test_what_is_no_boolean(service: Person) -> None:
    answer = service.post("identify", image=PICTURE_BASE64, unique_people="yes")
    assert refusal(answer) == (400, "invalid_request")


# --- real photos ----------------------------------------------------------------------------------

PEOPLE = ("Abdullah_Gul", "Adrien_Brody", "Al_Gore", "Albert_Costa")


def photo(name: str, number: int) -> Image:
    path = SHARED / "lfw-a" / name / f"{name}_{number:04}.jpg"
    decoded = cv2.imread(str(path))
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1])


@needs_shared
def test_montages_of_real_people_with_one_of_them_twice(service: Person) -> None:
    for number, name in enumerate(PEOPLE):
        make_user(UUID(int=number + 1), "public")
        enrol_face(UUID(int=number + 1), encode(photo(name, 1)), check_quality=False)
    loose = {"min_confidence": 0.7, "max_false_positive_rate": 1}
    twice = 0
    for doubled in PEOPLE:
        tiles = [photo(name, 2) for name in PEOPLE] + [photo(doubled, 3), photo(doubled, 4)]
        picture = np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])])
        image = base64.b64encode(encode(picture)).decode()
        asked = {"image": image, "search_scope": loose}
        answer = data_of(service.post("identify", **asked, metadata=TAGGING))
        tagged = [user for face in found(answer) for user in face]
        assert len(tagged) == len(set(tagged)) == len(PEOPLE)
        plain = data_of(service.post("identify", **asked))
        firsts = [face[0] for face in found(plain) if face]
        twice += len(firsts) > len(set(firsts))
    assert twice == len(PEOPLE)  # or this would prove nothing
