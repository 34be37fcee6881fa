"""POST /sessions, GET and DELETE /sessions/{id}, and attempts that are tied to one."""

import base64
import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import cv2
import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from recognition import audit
from recognition.gallery import comparing
from recognition.inference.arrays import Floats
from recognition.models import Attempt, AuditEvent, Face, FailureCount, RecentProbe, Session, User
from recognition.verification import matching, providers
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    face_of,
    make_face,
    make_user,
    near,
    refusal,
    user_token,
    vector,
)
from tests.support.photos import encode

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def enrolled(db: None, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(1))
    fake.varies = True


def picture(number: int, suffix: str = ".png") -> str:
    """Another one for every number."""
    colour = np.array([number % 256, number // 256, number % 256], np.uint8)
    return base64.b64encode(encode(np.tile(colour, (48, 64, 1)), suffix)).decode()


def opened(person: Person, **fields: Any) -> dict[str, Any]:
    return data_of(person.post("sessions", **{"user_id": OWNER, **fields}), 201)


def verify_in(
    person: Person, session: dict[str, Any], number: int = 1, **fields: Any
) -> HttpResponse:
    metadata = {"session_id": session["session_id"], **fields.pop("metadata", {})}
    fields = {"user_id": OWNER, "image": picture(number), "metadata": metadata, **fields}
    return person.post("verify", **fields)


def state_of(person: Person, session: dict[str, Any]) -> str:
    state: str = data_of(person.get(f"sessions/{session['session_id']}"))["state"]
    return state


def test_it_works(owner: Person) -> None:
    session = opened(owner, purpose="login", verification_level="standard")
    UUID(session["session_id"])
    assert (session["state"], session["purpose"]) == ("verifying", "login")
    left = datetime.fromisoformat(session["expires_at"]) - timezone.now()
    assert timedelta(seconds=175) < left <= timedelta(seconds=180)
    assert data_of(verify_in(owner, session))["verification_result"] == "success"
    seen = data_of(owner.get(f"sessions/{session['session_id']}"))
    assert seen["state"] == "verified"
    assert seen["verified_at"] == seen["ended_at"]
    (attempt,) = seen["attempts"]
    assert attempt["verification_result"] == "success"


def test_a_login_session_ends_with_its_success(owner: Person) -> None:
    session = opened(owner)
    verify_in(owner, session)
    answer = verify_in(owner, session, 2)
    assert refusal(answer) == (409, "session_ended")
    assert answer.json()["error"]["details"] == {"state": "verified"}


def test_a_failure_does_not_end_it(owner: Person, fake: FakePipeline) -> None:
    session = opened(owner)
    fake.show(vector(2))
    assert data_of(verify_in(owner, session))["verification_result"] == "no_match"
    assert state_of(owner, session) == "verifying"
    fake.show(vector(1))
    assert data_of(verify_in(owner, session, 2))["is_match"]


def test_it_expires(owner: Person) -> None:
    session = opened(owner)
    Session.objects.update(expires_at=timezone.now())
    assert state_of(owner, session) == "expired"
    assert refusal(verify_in(owner, session)) == (409, "session_ended")


def test_other_sessions_verify_again_and_again(owner: Person) -> None:
    session = opened(owner, purpose="other")
    for number in range(3):
        assert data_of(verify_in(owner, session, number))["is_match"]


def test_the_state_of_other_sessions(owner: Person, fake: FakePipeline) -> None:
    session = opened(owner, purpose="other")
    states = []
    for number, shown in enumerate([vector(2), vector(1), [], vector(2)]):
        fake.show(shown)
        verify_in(owner, session, number)
        states.append(state_of(owner, session))
    assert states == ["mismatch", "verified", "verified", "mismatch"]


def test_a_call_is_not_verified_by_a_picture(owner: Person) -> None:
    session = opened(owner, purpose="video_call")
    assert refusal(verify_in(owner, session)) == (409, "session_is_live")


def test_ending_it(owner: Person) -> None:
    session = opened(owner)
    for _ in range(2):
        ended = data_of(owner.delete(f"sessions/{session['session_id']}"))
        assert ended["state"] == "ended"
    assert refusal(verify_in(owner, session)) == (409, "session_ended")


def test_a_service_opens_and_the_user_goes_on(service: Person, owner: Person) -> None:
    session = opened(service)
    assert data_of(verify_in(owner, session))["is_match"]
    assert state_of(service, session) == "verified"


def test_the_level_of_the_session_counts(owner: Person, fake: FakePipeline) -> None:
    session = opened(owner, purpose="other", verification_level="basic")
    fake.varies = False
    fake.show(near(vector(1), 0.935))  # confidence 0.84
    answer = data_of(verify_in(owner, session))
    assert (answer["verification_level"], answer["is_match"]) == ("basic", True)
    answer = data_of(verify_in(owner, session, 2, verification_level="standard"))
    assert (answer["verification_level"], answer["is_match"]) == ("standard", False)


def test_strict_insists_on_its_checks(owner: Person) -> None:
    session = opened(owner, verification_level="strict")
    answer = data_of(verify_in(owner, session))
    assert answer["verification_result"] == "rejected"
    assert answer["risk_assessment"]["factors"] == ["liveness_missing", "deepfake_missing"]
    assert (answer["confidence_score"], answer["matched_face_id"]) == (0, None)
    assert answer["risk_assessment"]["explanation"] == (
        "No antispoofing check is set up, and strict needs one: set ANTISPOOFING_SERVICE_URL, use "
        "a model pack that has anti-spoofing, or take antispoofing out of FACESVC_STRICT_CHECKS. "
        "No deepfake check is set up, and strict needs one: set DEEPFAKE_DETECTION_SERVICE_URL, or "
        "take deepfake out of FACESVC_STRICT_CHECKS."
    )
    seen = data_of(owner.get(f"sessions/{session['session_id']}"))
    assert seen["risk_assessment"] == answer["risk_assessment"]
    assert state_of(owner, session) == "verifying"
    assert not FailureCount.objects.exists()  # nothing that the user did


def test_once_more_after_a_fault_on_our_side(
    owner: Person, fake: FakePipeline, settings: Settings
) -> None:
    settings.FACESVC_STRICT_CHECKS = ["antispoofing"]
    session = opened(owner, verification_level="strict")
    assert data_of(verify_in(owner, session))["verification_result"] == "rejected"
    fake.show(replace(face_of(vector(1)), liveness=0.9))
    assert data_of(verify_in(owner, session))["verification_result"] == "success"


# --- replayed pictures ----------------------------------------------------------------------------


def test_a_replayed_picture_is_refused_in_a_login(owner: Person) -> None:
    verify_in(owner, opened(owner))
    session = opened(owner)
    answer = data_of(verify_in(owner, session))
    assert answer["verification_result"] == "rejected"
    assert "replayed_picture" in answer["risk_assessment"]["factors"]
    assert FailureCount.objects.get().failures == 1
    assert data_of(verify_in(owner, session, 2))["is_match"]


def test_also_the_same_pixels_in_another_format(owner: Person) -> None:
    verify_in(owner, opened(owner), 7)
    session = opened(owner)
    answer = data_of(verify_in(owner, session, image=picture(7, ".bmp")))
    assert answer["verification_result"] == "rejected"


def test_elsewhere_it_is_a_factor(owner: Person) -> None:
    session = opened(owner, purpose="other")
    verify_in(owner, session)
    answer = data_of(verify_in(owner, session))
    assert answer["is_match"]
    assert "replayed_picture" in answer["risk_assessment"]["factors"]


def test_pictures_of_long_ago_are_forgotten(owner: Person, settings: Settings) -> None:
    verify_in(owner, opened(owner))
    old = timezone.now() - timedelta(hours=25)
    Attempt.objects.update(at=old)
    RecentProbe.objects.update(at=old)
    assert data_of(verify_in(owner, opened(owner)))["is_match"]
    assert RecentProbe.objects.get().at > old


def test_the_picture_of_another_user_is_no_replay(owner: Person, friend: Person) -> None:
    make_face(make_user(FRIEND), vector(1))
    verify_in(owner, opened(owner))
    session = opened(friend, user_id=FRIEND)
    assert data_of(verify_in(friend, session, user_id=FRIEND))["is_match"]


def test_another_picture_with_the_same_face_is_the_same_picture(
    owner: Person, fake: FakePipeline
) -> None:
    """Compressed anew or cropped: the bytes and the pixels are others, and the embedding is not."""
    verify_in(owner, opened(owner), 1)
    fake.varies = False
    results = []
    # The pack calls 0.9919 and more the same picture.
    for toward, cosine in ((30, 0.9999), (31, 0.9925), (32, 0.9915)):
        fake.show(near(near(vector(1), 0.985, toward=21), cosine, toward=toward))
        answer = data_of(verify_in(owner, opened(owner), toward))
        results.append((answer["verification_result"], RecentProbe.objects.count()))
    assert results == [("rejected", 1), ("rejected", 1), ("success", 2)]
    assert answer["risk_assessment"]["factors"] == ["liveness_missing", "deepfake_missing"]


def test_the_enrolled_picture_does_not_log_in(owner: Person, fake: FakePipeline) -> None:
    fake.varies = False
    face_id = make_face(User.objects.get(), vector(2)).face_id
    for shown, fields in ((vector(1), {}), (vector(2), {}), (vector(2), {"face_id": face_id})):
        fake.show(shown)
        answer = data_of(verify_in(owner, opened(owner), **fields))
        assert answer["verification_result"] == "rejected"
        assert "replayed_picture" in answer["risk_assessment"]["factors"]
        FailureCount.objects.all().delete()
    # Elsewhere it is a factor, as in a verify without a session.
    answer = data_of(owner.post("verify", user_id=OWNER, image=picture(3)))
    assert answer["is_match"] and "replayed_picture" in answer["risk_assessment"]["factors"]


def test_one_face_is_asked_for_and_the_picture_of_another_is_shown(
    owner: Person, fake: FakePipeline
) -> None:
    """It matches, being the same person's, and is a stored picture all the same."""
    fake.varies = False
    face_id = make_face(User.objects.get(), near(vector(1), 0.97, toward=9)).face_id
    answer = data_of(verify_in(owner, opened(owner), face_id=face_id))
    assert answer["verification_result"] == "rejected"


def test_a_group_is_asked_for_and_the_picture_of_another_is_shown(
    owner: Person, fake: FakePipeline
) -> None:
    fake.varies = False
    user = User.objects.get()
    make_face(user, near(vector(1), 0.97, toward=9), face_group="passport")
    answer = data_of(verify_in(owner, opened(owner), face_group="passport"))
    assert answer["verification_result"] == "rejected"


def test_a_mirrored_picture(
    owner: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a pack that does not embed both sides: the mirror image is compared as well."""
    recogniser = replace(fake.pack.recogniser, mirror=False)
    fake.pack = replace(fake.pack, recogniser=recogniser)
    fake.varies = False
    crop = np.zeros((150, 150, 3), np.uint8)
    crop[:, 75:] = 255  # the picture that the template is of
    embeddings = {255: vector(1)} | {
        side: near(vector(1), 0.985, toward=60 + side) for side in (0, 1)
    }

    def embed(faces: list[Any]) -> list[Any]:
        return [replace(face, embedding=embeddings[int(face.crop[0, -1, 0])]) for face in faces]

    monkeypatch.setattr(fake, "embed", embed)
    for shown, result in ((crop[:, ::-1], "rejected"), (np.ones_like(crop), "success")):
        fake.show(replace(face_of(vector(1)), crop=shown))
        answer = data_of(verify_in(owner, opened(owner), int(shown[0, 0, 0]) // 2))
        assert answer["verification_result"] == result


def test_what_is_kept_of_used_pictures(owner: Person, settings: Settings) -> None:
    """A protected template, for a day, of the user alone; without a picture."""
    for number in (1, 2, 2):
        verify_in(owner, opened(owner, purpose="other"), number)
    assert RecentProbe.objects.count() == 2
    RecentProbe.objects.update(at=timezone.now() - timedelta(hours=25))
    call_command("purge")
    assert not RecentProbe.objects.exists()
    verify_in(owner, opened(owner), 3)
    User.objects.get().delete()
    assert not RecentProbe.objects.exists()


def test_a_deleted_face_lets_no_used_picture_pass_again(owner: Person, fake: FakePipeline) -> None:
    """What is kept of it for a day stays, as docs/privacy.md says: here it comes in other bytes."""
    fake.varies = False
    fake.show(near(vector(1), 0.985, toward=21))
    assert data_of(verify_in(owner, opened(owner), 1))["is_match"]
    owner.delete(f"faces/{Face.objects.get().face_id}")
    make_face(User.objects.get(), vector(1))
    answer = data_of(verify_in(owner, opened(owner), 2))
    assert answer["verification_result"] == "rejected"
    assert "replayed_picture" in answer["risk_assessment"]["factors"]


def test_no_picture_and_no_vector_is_kept_of_an_attempt(owner: Person) -> None:
    verify_in(owner, opened(owner))
    row = Attempt.objects.get()
    assert {len(row.picture_hash), len(row.pixels_hash)} == {64}
    plain = hashlib.sha256(base64.b64decode(picture(1))).hexdigest()
    assert row.picture_hash != plain  # keyed: nobody can look a picture up


# --- devices --------------------------------------------------------------------------------------


def test_a_new_device_is_a_factor(owner: Person) -> None:
    factors = []
    for number, device in enumerate(["phone", "phone", "laptop", "laptop", ""]):
        answer = data_of(
            owner.post(
                "verify",
                user_id=OWNER,
                image=picture(number),
                metadata={"device_id": device} if device else {},
            )
        )
        factors.append("new_device" in answer["risk_assessment"]["factors"])
    assert factors == [False, False, True, False, True]  # who has devices comes with one


def test_a_new_face_that_is_unlike_the_others(
    owner: Person, fake: FakePipeline, settings: Settings
) -> None:
    """Somebody else may have been enrolled: it is noted, and `strict` waits a day."""
    settings.FACESVC_STRICT_CHECKS = []
    for shown in (near(vector(1), 0.97), vector(2)):
        fake.show(shown)
        owner.post("register", user_id=OWNER, image=PICTURE_BASE64)
    event = AuditEvent.objects.get(action="face.unlike_others")
    assert (event.actor, event.user_id) == ("system", OWNER)
    assert Face.objects.latest("pk").face_id == event.face_id
    answers = [
        data_of(verify_in(owner, opened(owner, verification_level=level), number))
        for number, level in enumerate(("strict", "standard"))
    ]
    assert [answer["verification_result"] for answer in answers] == ["rejected", "success"]
    assert ["unlike_face" in a["risk_assessment"]["factors"] for a in answers] == [True, True]
    assert not FailureCount.objects.exists()
    settings.FACESVC_NEW_FACE_HOURS = 0
    answer = data_of(verify_in(owner, opened(owner, verification_level="strict"), 3))
    assert answer["verification_result"] == "success"


def waits(owner: Person, fake: FakePipeline, shown: Floats, number: int) -> bool:
    """Whether a picture that was just enrolled is refused in a login at `strict`."""
    fake.show(shown)
    assert owner.post("register", user_id=OWNER, image=PICTURE_BASE64).status_code == 201
    session = opened(owner, verification_level="strict")
    answer = data_of(verify_in(owner, session, number))
    assert ("unlike_face" in answer["risk_assessment"]["factors"]) == (
        answer["verification_result"] == "rejected"
    )
    return bool(answer["verification_result"] == "rejected")


def test_a_second_picture_of_a_stranger_does_not_log_in_either(
    owner: Person, fake: FakePipeline, settings: Settings
) -> None:
    """It resembles the first one, which waits itself."""
    settings.FACESVC_STRICT_CHECKS = []
    strangers = vector(2), near(vector(2), 0.96, toward=126)
    assert [waits(owner, fake, shown, n) for n, shown in enumerate(strangers)] == [True, True]
    assert not waits(owner, fake, near(vector(1), 0.96, toward=126), 2)


@pytest.mark.parametrize("what", ["face", "user"])
@pytest.mark.parametrize("who", ["the user", "a service"])
def test_who_removes_the_faces_first_waits_all_the_same(
    what: str, who: str, owner: Person, service: Person, fake: FakePipeline, settings: Settings
) -> None:
    """With a token that was stolen; an app may enrol its users anew."""
    settings.FACESVC_STRICT_CHECKS = []
    face = Face.objects.get(user=OWNER)
    by = owner if who == "the user" else service
    path = f"faces/{face.face_id}" if what == "face" else f"users/{OWNER}"
    assert by.delete(path).status_code == 200
    assert waits(owner, fake, vector(2), 0) == (who == "the user")


def test_what_was_removed_is_fetched_once() -> None:
    actor = audit.end_user(OWNER)
    for number in range(3):
        audit.note(actor, "face.delete", user_id=OWNER, face_id=f"face_{number:012x}")
    audit.note(audit.SYSTEM, "face.unlike_others", user_id=OWNER, face_id="face_00000000000a")
    recent = {"user": OWNER, "since": timezone.now() - timedelta(hours=1), "actor": actor}
    rows = comparing._noted_or_removed(recent)
    assert sorted(rows) == [("",), ("face_00000000000a",)]


def test_many_users_tried_from_one_device(service: Person, fake: FakePipeline) -> None:
    people = [UUID(int=number) for number in range(1, 7)]
    for person in people:
        make_face(make_user(person), vector(3))
    answers = [
        data_of(
            service.post(
                "verify",
                user_id=person,
                image=picture(10 + number),
                metadata={"device_id": "phone"},
            )
        )
        for number, person in enumerate(people)
    ]
    results = [answer["verification_result"] for answer in answers]
    assert results == ["no_match"] * 5 + ["rejected"]
    assert answers[-1]["risk_assessment"]["factors"] == ["many_users_tried"]


def test_refusals_for_many_users_are_no_failures_themselves(
    service: Person, fake: FakePipeline
) -> None:
    """Nor are faults on our side: a shared device would never come free again."""
    for number in range(1, 7):
        user = make_user(UUID(int=number))
        make_face(user, vector(3))
        metadata = {"device_id": "phone"}
        fields = {"image": picture(number), "verification_level": "strict", "metadata": metadata}
        service.post("verify", user_id=user.pk, **fields)  # rejected: nothing checks it
    fields = {"user_id": OWNER, "image": picture(9), "metadata": {"device_id": "phone"}}
    assert data_of(service.post("verify", **fields))["is_match"]


def test_the_device_is_known_whoever_asks(owner: Person, service: Person) -> None:
    for person, number in ((service, 1), (owner, 2)):
        metadata = {"device_id": "phone"}
        fields = {"user_id": OWNER, "image": picture(number), "metadata": metadata}
        answer = data_of(person.post("verify", **fields))
        assert answer["risk_assessment"]["factors"] == []
    attempt = Attempt.objects.latest("pk")
    assert attempt.source == f"user:{OWNER}"
    assert len(attempt.device) == 32  # and nowhere the id itself
    session = opened(owner, metadata={"device_id": "phone"})
    assert Session.objects.get(pk=session["session_id"]).device == attempt.device


def test_repeated_failures_are_a_factor(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(2))
    session = opened(owner, purpose="other")
    for number in range(3):
        verify_in(owner, session, number)
    fake.show(vector(1))
    answer = data_of(verify_in(owner, session, 4))
    assert answer["is_match"]
    assert "repeated_failures" in answer["risk_assessment"]["factors"]


# --- whose session --------------------------------------------------------------------------------


def test_for_somebody_else(stranger: Person) -> None:
    assert refusal(stranger.post("sessions", user_id=OWNER)) == (403, "not_your_user")


def test_a_purpose_that_is_none(owner: Person) -> None:
    answer = owner.post("sessions", user_id=OWNER, purpose="call")
    assert refusal(answer) == (400, "invalid_request")
    said = answer.json()["error"]["details"]["fields"]
    assert said == {"purpose": ["It must be one of login, video_call, other."]}


def test_for_nobody(service: Person) -> None:
    assert refusal(service.post("sessions", user_id=STRANGER)) == (404, "user_not_found")


def test_another_users_session_looks_as_if_it_were_not_there(
    owner: Person, stranger: Person
) -> None:
    theirs = opened(owner, purpose="video_call")["session_id"]
    frame = base64.b64decode(PICTURE_BASE64)
    for number in (theirs, str(uuid4()), "x", "0", theirs[:-1]):
        answers = [
            stranger.get(f"sessions/{number}"),
            stranger.delete(f"sessions/{number}"),
            stranger.send("post", f"sessions/{number}/frames", frame, content_type="image/png"),
        ]
        bodies = {json.dumps(answer.json()["error"]) for answer in answers}
        assert [refusal(answer) for answer in answers] == [(404, "session_not_found")] * 3
        assert len(bodies) == 1
    assert state_of(owner, {"session_id": theirs}) == "verifying"


@pytest.mark.parametrize("number", [str(STRANGER), "", "x", "ä" * 100])
def test_verifying_in_a_session_that_is_not_there(owner: Person, number: str) -> None:
    assert refusal(verify_in(owner, {"session_id": number})) == (404, "session_not_found")


def test_verifying_in_the_session_of_another_user(service: Person, friend: Person) -> None:
    make_face(make_user(FRIEND), vector(1))
    session = opened(service)
    assert refusal(verify_in(friend, session, user_id=FRIEND)) == (404, "session_not_found")
    assert refusal(verify_in(service, session, user_id=FRIEND)) == (404, "session_not_found")
    assert state_of(service, session) == "verifying"


def test_the_scope(client: Client) -> None:
    person = Person(user_token(OWNER, ["face:identify"]), client)
    assert refusal(person.post("sessions", user_id=OWNER)) == (403, "insufficient_scope")


def test_an_idempotency_key(owner: Person) -> None:
    body = json.dumps({"user_id": str(OWNER)}).encode()
    answers = [
        owner.send("post", "sessions", body, headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert answers[0].json()["data"] == answers[1].json()["data"]
    assert Session.objects.count() == 1


# --- at once, and afterwards ----------------------------------------------------------------------


def patiently(person: Person, session: dict[str, Any], number: int) -> HttpResponse:
    """Of one user's requests two are worked on at once; the others come again."""
    while (answer := verify_in(person, session, number)).status_code == 429:
        assert refusal(answer) == (429, "requests_in_progress")
        time.sleep(0.05)
    return answer


@pytest.mark.django_db(transaction=True)
def test_one_of_many_at_once_logs_in(owner: Person) -> None:
    session = opened(owner)

    def attempt(number: int) -> int:
        try:
            person = Person(owner.token, Client())
            return patiently(person, session, number).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(attempt, range(16)))
    assert sorted(statuses) == [200] + [409] * 15
    assert Attempt.objects.filter(result="success").count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_picture_in_many_sessions_at_once_logs_in_once(owner: Person) -> None:
    sessions = [opened(owner) for _ in range(5)]

    def attempt(session: dict[str, Any]) -> str:
        try:
            answer = data_of(patiently(Person(owner.token, Client()), session, 5))
            result: str = answer["verification_result"]
            return result
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as threads:
        results = list(threads.map(attempt, sessions))
    assert sorted(results) == ["rejected"] * 4 + ["success"]


@pytest.mark.django_db(transaction=True)
def test_erasing_a_user_in_the_middle(owner: Person) -> None:
    """Attempts and the erasure wait for each other in one order, so none of them is broken off."""
    sessions = [opened(owner) for _ in range(6)]

    def attempt(number: int) -> int:
        try:
            if number == 3:
                User.objects.get(pk=OWNER).delete()  # as the admin does
                return 200
            person = Person(owner.token, Client())
            return patiently(person, sessions[number], number).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        statuses = set(threads.map(attempt, range(6)))
    assert statuses <= {200, 404}
    assert not Attempt.objects.exists() and not Session.objects.exists()


def test_a_user_who_is_erased_before_the_result_is_stored(
    owner: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the checks run: there is nobody left to compare the face with."""
    session, wait = opened(owner), providers.wait

    def erase(pending: Any) -> Any:
        User.objects.all().delete()
        return wait(pending)

    monkeypatch.setattr(providers, "wait", erase)
    assert refusal(verify_in(owner, session)) == (404, "session_not_found")
    make_face(make_user(OWNER), vector(1))
    answer = data_of(owner.post("verify", user_id=OWNER, image=PICTURE_BASE64))
    assert (answer["verification_result"], answer["is_match"]) == ("no_registered_faces", False)
    assert answer["confidence_score"] == 0


def test_a_face_that_goes_while_the_checks_run(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, wait = opened(owner), providers.wait

    def suspended(pending: Any) -> Any:
        Face.objects.update(suspended_at=timezone.now())
        return wait(pending)

    monkeypatch.setattr(providers, "wait", suspended)
    assert data_of(verify_in(owner, session))["verification_result"] == "no_registered_faces"
    assert state_of(owner, session) == "verifying"


def test_a_deleted_face_leaves_the_attempt_without_it(owner: Person, service: Person) -> None:
    verify_in(owner, opened(owner))
    face = Attempt.objects.get().face
    assert face
    service.delete(f"faces/{face.face_id}")
    assert Attempt.objects.get().face is None


def test_purge(owner: Person, capsys: pytest.CaptureFixture[str], settings: Settings) -> None:
    verify_in(owner, opened(owner))
    call_command("purge")
    assert Attempt.objects.count() == Session.objects.count() == 1
    old = timezone.now() - timedelta(days=31)
    Attempt.objects.update(at=old)
    Session.objects.update(expires_at=old)
    for source, locked_at in (("own", None), ("others", old)):
        FailureCount.objects.create(
            user_id=OWNER, source=source, failures=5, locked_at=locked_at, last_failure_at=old
        )
    call_command("purge")
    assert "1 sessions and 1 attempts are dropped." in capsys.readouterr().out
    assert Attempt.objects.count() == Session.objects.count() == 0
    assert FailureCount.objects.get().locked_at  # time does not unlock


def test_purge_does_not_forget_a_device(owner: Person) -> None:
    for number in range(3):
        metadata = {"device_id": "phone"}
        verify_in(owner, opened(owner, purpose="other"), number, metadata=metadata)
    old = timezone.now() - timedelta(days=31)
    Attempt.objects.update(at=old)
    Session.objects.update(expires_at=old)
    call_command("purge")
    attempt = Attempt.objects.get()
    assert (attempt.session, attempt.picture_hash, attempt.pixels_hash) == (None, "", "")
    assert attempt.device and not Session.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"user_id": " x"},
        {"user_id": None},
        {"purpose": "party"},
        {"verification_level": "lax"},
        {"metadata": {"device_id": 7}},
        {"metadata": {"device_id": "x" * 201}},
        {"metadata": []},
    ],
)
def test_bad_fields(service: Person, fields: dict[str, Any]) -> None:
    answer = service.post("sessions", **{"user_id": OWNER, **fields})
    assert refusal(answer) == (400, "invalid_request")
    assert not Session.objects.exists()


def test_an_unknown_field(service: Person) -> None:
    answer = service.post("sessions", user_id=OWNER, level="strict")
    assert refusal(answer) == (400, "unknown_field")


def test_the_pixels_are_hashed_with_their_shape() -> None:
    hashes = set()
    for shape in ((48, 64, 3), (64, 48, 3)):
        hashes.add(matching._hash_of_pixels(np.zeros(shape, np.uint8)))
    turned = cv2.flip(np.eye(64, dtype=np.uint8), 0).T
    assert len(hashes) == 2 and matching._hash_of_pixels(turned)
