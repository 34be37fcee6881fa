"""POST /faces/{face_id}/identify: who else is like a stored face."""

from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from recognition.models import AuditEvent, Face, Template, User
from recognition.packs import engine
from tests.support.builders import (
    FRIEND,
    OWNER,
    STRANGER,
    FakePipeline,
    Person,
    befriend,
    data_of,
    make_face,
    make_user,
    near,
    refusal,
    vector,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def face(fake: FakePipeline) -> Face:
    """A face of the owner, who has a friend and a stranger who are alike."""
    owner, friend = make_user(OWNER, "public"), make_user(FRIEND)
    stranger = make_user(STRANGER, "public")
    befriend(owner, friend)
    make_face(owner, near(vector(1), 0.99, toward=20))
    make_face(friend, near(vector(1), 0.98, toward=21))
    make_face(stranger, near(vector(1), 0.97, toward=22))
    return make_face(owner, vector(1))


def identify(person: Person, face: Face, **fields: Any) -> dict[str, Any]:
    return data_of(person.post(f"faces/{face.face_id}/identify", **fields))


def found(answer: dict[str, Any]) -> list[str]:
    return [candidate["user_id"] for candidate in answer["candidates"]]


def test_it_works(owner: Person, face: Face) -> None:
    """The user of the face is not among those who are like it."""
    answer = identify(owner, face)
    assert answer["identification_result"] == "found"
    assert found(answer) == [str(FRIEND), str(STRANGER)]
    assert answer["total_candidates"] == 2
    first = answer["candidates"][0]
    assert first["face_id"] == Face.objects.get(user=FRIEND).face_id
    scores = engine.current().scores
    assert first["confidence_score"] == pytest.approx(scores.confidence(0.98), abs=0.01)
    assert answer["search_stats"]["faces_searched"] == 4
    assert answer["search_stats"]["scope"]["viewer"] == str(OWNER)


def test_the_scope_counts(owner: Person, face: Face) -> None:
    assert found(identify(owner, face, search_scope={"user_groups": ["public"]})) == [str(STRANGER)]
    assert found(identify(owner, face, search_scope={"user_groups": ["friends"]})) == [str(FRIEND)]
    few = identify(owner, face, search_scope={"max_candidates": 1})
    assert found(few) == [str(FRIEND)]
    assert found(identify(owner, face, search_scope={"user_groups": []})) == []


def test_a_service_takes_any_face_and_finds_the_public(service: Person, face: Face) -> None:
    assert found(identify(service, face)) == [str(STRANGER)]
    on_behalf = identify(service, face, on_behalf_of=str(OWNER))
    assert found(on_behalf) == [str(FRIEND), str(STRANGER)]


def test_everybody_is_for_administrators(admin: Person, service: Person, face: Face) -> None:
    User.objects.update(privacy_level="private")
    everyone = {"search_scope": {"scope": "all"}}
    assert found(identify(admin, face, **everyone)) == [str(FRIEND), str(STRANGER)]
    assert AuditEvent.objects.filter(action="identify.everyone").count() == 1
    answer = service.post(f"faces/{face.face_id}/identify", **everyone)
    assert refusal(answer) == (403, "insufficient_scope")


def test_nobody_is_like_it(owner: Person, face: Face) -> None:
    alone = make_face(User.objects.get(pk=OWNER), vector(9))
    answer = identify(owner, alone)
    assert (answer["identification_result"], answer["candidates"]) == ("not_found", [])


def test_it_counts_as_a_face_that_is_looked_up(
    owner: Person, face: Face, settings: Settings
) -> None:
    settings.FACESVC_FACES_PER_HOUR = 1
    identify(owner, face)
    answer = owner.post(f"faces/{face.face_id}/identify")
    assert refusal(answer) == (429, "rate_limited")


# --- refusals -------------------------------------------------------------------------------------


def test_somebody_elses_face_looks_like_none(stranger: Person, face: Face) -> None:
    """Even one of a user who may be found: it would say who else is like that user."""
    theirs = stranger.post(f"faces/{face.face_id}/identify")
    none = stranger.post("faces/face_000000000000/identify")
    assert refusal(theirs) == refusal(none) == (404, "face_not_found")
    assert theirs.json()["error"] == none.json()["error"]


def test_nor_does_a_service_take_it_for_another_viewer(service: Person, face: Face) -> None:
    answer = service.post(f"faces/{face.face_id}/identify", on_behalf_of=str(FRIEND))
    assert refusal(answer) == (404, "face_not_found")


@pytest.mark.parametrize("what", [Face, User])
def test_what_is_suspended_finds_nobody(
    owner: Person, admin: Person, face: Face, what: type[Face | User]
) -> None:
    what.objects.update(suspended_at=timezone.now())
    for person in (owner, admin):
        answer = person.post(f"faces/{face.face_id}/identify")
        assert refusal(answer) == (404, "face_not_found")


def test_a_face_that_the_model_does_not_have(owner: Person, face: Face) -> None:
    Template.objects.filter(face=face).delete()
    answer = owner.post(f"faces/{face.face_id}/identify")
    assert refusal(answer) == (409, "no_template")


def test_a_picture_is_no_field(owner: Person, face: Face) -> None:
    answer = owner.post(f"faces/{face.face_id}/identify", image="x")
    assert refusal(answer) == (400, "unknown_field")
