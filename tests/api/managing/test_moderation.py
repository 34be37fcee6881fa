"""Moderation over HTTP, and what a suspended person, a service and everybody else are told."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from management import moderation
from recognition.access import SCOPES
from recognition.models import (
    Attempt,
    AuditEvent,
    Face,
    FailureCount,
    MergedUser,
    PossibleDuplicate,
    User,
)
from tests.api.verbs.test_privacy import said
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    befriend,
    data_of,
    make_face,
    make_group,
    make_user,
    refusal,
    user_token,
    vector,
)

pytestmark = pytest.mark.django_db
IMAGE = {"image": PICTURE_BASE64}
NOBODY = UUID("0000000f-0000-4000-8000-00000000000f")
UNKNOWN = (404, "user_not_found")


def test_it_works(admin: Person, service: Person, fake: FakePipeline) -> None:
    """Suspended, nobody knows the person; then all is as before."""
    face = make_face(make_user(OWNER, "public"), vector(1))
    fake.show(vector(1))

    def knows() -> list[bool]:
        verified = service.post("verify", user_id=OWNER, **IMAGE)
        found = data_of(service.post("identify", **IMAGE))["candidates"]
        opened = service.post("sessions", user_id=OWNER)
        return [verified.status_code == 200, bool(found), opened.status_code == 201]

    assert knows() == [True, True, True]
    answer = data_of(admin.post(f"users/{OWNER}/suspend", reason="reported"))
    assert answer["user_id"] == str(OWNER) and answer["suspended_at"]
    assert knows() == [False, False, False]
    assert data_of(admin.post(f"users/{OWNER}/unsuspend"))["suspended_at"] is None
    assert knows() == [True, True, True]
    data_of(admin.post(f"faces/{face.face_id}/suspend"))
    assert data_of(service.post("verify", user_id=OWNER, **IMAGE))["is_match"] is False
    data_of(admin.post(f"faces/{face.face_id}/unsuspend"))
    assert knows() == [True, True, True]
    event = AuditEvent.objects.get(action="user.suspend")
    assert (event.actor, event.details) == ("service:moderation", {"reason": "reported"})


def test_an_event_has_the_request_and_the_viewer(admin: Person) -> None:
    make_user(OWNER)
    headers = {"X-Request-ID": "r-7", "X-On-Behalf-Of": str(FRIEND)}
    data_of(admin.send("post", f"users/{OWNER}/suspend", {}, headers=headers))
    event = AuditEvent.objects.get()
    assert (event.request_id, event.viewer_id) == ("r-7", FRIEND)


def test_no_end_user_is_a_moderator(client: Client) -> None:
    make_user(OWNER)
    person = Person(user_token(OWNER, SCOPES), client)
    for path in (f"users/{OWNER}/suspend", f"users/{OWNER}/merge", "duplicates/1"):
        assert refusal(person.post(path)) == (403, "service_only")
    for path in ("duplicates", "audit"):
        assert refusal(person.get(path)) == (403, "service_only")


# --- what a suspended person is told --------------------------------------------------------------


def all_verbs(person: Person, user_id: UUID, face_id: str) -> dict[str, HttpResponse]:
    one = f"users/{user_id}"
    return {
        "verify": person.post("verify", user_id=user_id, **IMAGE),
        "verify a face": person.post("verify", user_id=user_id, face_id=face_id, **IMAGE),
        "session": person.post("sessions", user_id=user_id),
        "identify": person.post("identify", **IMAGE),
        "tag": person.post("identify", metadata={"source": "auto_tagging"}, **IMAGE),
        "user": person.get(one),
        "faces": person.get(f"{one}/faces"),
        "friends": person.get(f"{one}/friends"),
        "friend": person.get(f"{one}/friends/{FRIEND}"),
        "groups": person.get(f"{one}/groups"),
        "group": person.get("groups/hiking"),
        "erase": person.delete(one),
        "face": person.get(f"faces/{face_id}"),
        "change face": person.put(f"faces/{face_id}", face_group="x"),
        "delete face": person.delete(f"faces/{face_id}"),
    }


def test_to_end_users_they_are_unknown(client: Client, fake: FakePipeline) -> None:
    """Also to themselves: their token is answered as that of somebody whom nobody has heard of."""
    owner, friend = make_user(OWNER, "public"), make_user(FRIEND)
    befriend(owner, friend)
    make_face(friend, vector(1))
    make_group("hiking", owner)
    face_id = make_face(owner, vector(1)).face_id
    fake.show(vector(1))
    moderation.suspend_user(actor="service:m", user_id=OWNER)
    suspended = all_verbs(Person(user_token(OWNER), client), OWNER, face_id)
    unknown = all_verbs(Person(user_token(NOBODY), client), NOBODY, "face_0123456789ab")
    for verb in suspended:
        told, expected = said(suspended[verb]), said(unknown[verb])
        assert json.dumps(told) == json.dumps(expected).replace(str(NOBODY), str(OWNER)), verb
    assert not data_of(suspended["identify"])["candidates"]


def test_they_cannot_enrol_or_come_back(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(2))
    make_face(make_user(OWNER), vector(1))
    moderation.suspend_user(actor="service:m", user_id=OWNER)
    before = User.objects.values().get()
    assert refusal(owner.post("register", user_id=OWNER, **IMAGE)) == UNKNOWN
    assert refusal(owner.put(f"users/{OWNER}", display_name="x")) == UNKNOWN
    assert refusal(owner.delete(f"users/{OWNER}")) == UNKNOWN
    assert User.objects.values().get() == before and Face.objects.count() == 1


def test_services_are_told(service: Person, fake: FakePipeline) -> None:
    fake.show(vector(2))
    make_face(make_user(OWNER), vector(1))
    moderation.suspend_user(actor="service:m", user_id=OWNER)
    for answer in (
        service.post("register", user_id=OWNER, **IMAGE),
        service.post("verify", user_id=OWNER, **IMAGE),
        service.post("sessions", user_id=OWNER),
        service.post("identify", on_behalf_of=str(OWNER), **IMAGE),
    ):
        assert refusal(answer) == (403, "user_suspended")
    assert not Attempt.objects.exists()
    # They go on managing them: the rights of the person are not suspended.
    assert data_of(service.get(f"users/{OWNER}"))["suspended_at"]
    assert len(data_of(service.get(f"users/{OWNER}/faces"))["faces"]) == 1
    assert service.delete(f"users/{OWNER}").status_code == 200


@pytest.mark.parametrize("purpose", ["login", "video_call"])
def test_a_session_ends(service: Person, owner: Person, fake: FakePipeline, purpose: str) -> None:
    fake.show(vector(1))
    make_face(make_user(OWNER), vector(1))
    opened = service.post("sessions", user_id=OWNER, purpose=purpose)
    session_id = data_of(opened, 201)["session_id"]
    moderation.suspend_user(actor="service:m", user_id=OWNER)
    path = f"sessions/{session_id}"
    assert data_of(service.get(path))["state"] == "ended"
    assert refusal(owner.get(path)) == (404, "session_not_found")
    if purpose == "video_call":
        assert refusal(service.post(f"{path}/frames", **IMAGE)) == (409, "session_ended")
        assert refusal(owner.post(f"{path}/frames", **IMAGE)) == (404, "session_not_found")


# --- a suspended face -----------------------------------------------------------------------------


def test_to_its_user_a_suspended_face_is_not_there(owner: Person, fake: FakePipeline) -> None:
    user = make_user(OWNER)
    hidden, shown = make_face(user, vector(1)).face_id, make_face(user, vector(2)).face_id
    fake.show(vector(1))
    moderation.suspend_face(actor="service:m", face_id=hidden)
    faces = data_of(owner.get(f"users/{OWNER}/faces"))["faces"]
    assert [face["face_id"] for face in faces] == [shown]
    for there, not_there in zip(
        face_verbs(owner, hidden), face_verbs(owner, "face_0123456789ab"), strict=True
    ):
        assert said(there) == said(not_there)
        assert refusal(there) == (404, "face_not_found")


def face_verbs(person: Person, face_id: str) -> list[HttpResponse]:
    path = f"faces/{face_id}"
    return [
        person.get(path),
        person.put(path, face_group="x"),
        person.delete(path),
        person.post("verify", user_id=OWNER, face_id=face_id, **IMAGE),
    ]


def test_a_suspended_picture_is_not_enrolled_again(owner: Person, fake: FakePipeline) -> None:
    face_id = make_face(make_user(OWNER), vector(1)).face_id
    fake.show(vector(1))
    moderation.suspend_face(actor="service:m", face_id=face_id)
    answer = owner.post("register", user_id=OWNER, **IMAGE)
    assert refusal(answer) == (409, "duplicate_face")
    assert face_id not in answer.content.decode()


# --- the other routes -----------------------------------------------------------------------------


def test_a_face_is_moved(admin: Person) -> None:
    face_id = make_face(make_user(OWNER), vector(1)).face_id
    make_user(FRIEND)
    moved = data_of(admin.post(f"faces/{face_id}/move", user_id=FRIEND, reason="wrong"))
    assert (moved["face_id"], moved["user_id"]) == (face_id, str(FRIEND))
    again = admin.post(f"faces/{face_id}/move", user_id=FRIEND)
    assert refusal(again) == (422, "same_user")
    assert refusal(admin.post(f"faces/{face_id}/move")) == (400, "invalid_request")


def test_two_users_are_merged(admin: Person) -> None:
    make_user(OWNER, "private", display_name="Ann"), make_user(FRIEND, "public")
    answer = data_of(admin.post(f"users/{OWNER}/merge", into=FRIEND))
    assert (answer["user_id"], answer["display_name"]) == (str(FRIEND), "Ann")
    assert answer["privacy_level"] == "private"
    assert refusal(admin.post(f"users/{OWNER}/merge", into=FRIEND)) == (404, "user_merged")
    assert refusal(admin.post(f"users/{FRIEND}/merge", into=FRIEND)) == (422, "same_user")
    assert MergedUser.objects.count() == 1


def test_a_user_is_unlocked(admin: Person) -> None:
    user = make_user(OWNER)
    FailureCount.objects.create(
        user=user, source="own", failures=50, last_failure_at=timezone.now()
    )
    assert data_of(admin.post(f"users/{OWNER}/unlock", reason="called"))["counts_forgotten"] == 1
    event = AuditEvent.objects.get()
    assert (event.action, event.details) == ("user.unlock", {"reason": "called"})
    assert data_of(admin.post(f"users/{OWNER}/unlock"))["counts_forgotten"] == 0
    assert refusal(admin.post(f"users/{NOBODY}/unlock")) == UNKNOWN


@pytest.mark.parametrize("fields", [{"why": "x"}, {"reason": 1}, {"reason": "x" * 501}])
def test_bodies_are_checked(admin: Person, fields: dict[str, Any]) -> None:
    make_user(OWNER)
    assert admin.post(f"users/{OWNER}/suspend", **fields).status_code == 400
    assert not User.objects.get().suspended_at


def pair(a: UUID = OWNER, b: UUID = FRIEND) -> PossibleDuplicate:
    one, other = make_user(a), make_user(b)
    faces = {"face_a": make_face(one, vector(1)), "face_b": make_face(other, vector(1))}
    return PossibleDuplicate.objects.create(user_a=one, user_b=other, confidence=0.98, **faces)


def test_duplicates_are_listed_and_decided(admin: Person) -> None:
    row = pair()
    (listed,) = data_of(admin.get("duplicates"))["duplicates"]
    assert listed["state"] == "open" and listed["confidence_score"] == 0.98
    assert [face["user_id"] for face in listed["faces"]] == [str(OWNER), str(FRIEND)]
    assert [face["face_id"] for face in listed["faces"]] == [str(row.face_a), str(row.face_b)]
    decided = data_of(admin.post(f"duplicates/{row.pk}", decision="different_people"))
    assert decided["decided_by"] == "service:moderation" and decided["decided_at"]
    again = admin.post(f"duplicates/{row.pk}", decision="same_person")
    assert refusal(again) == (409, "already_decided")
    assert data_of(admin.get("duplicates"))["duplicates"] == []
    (listed,) = data_of(admin.get("duplicates", state="different_people"))["duplicates"]
    assert listed == decided


def test_the_same_person_is_merged(admin: Person) -> None:
    row = pair()
    decided = data_of(admin.post(f"duplicates/{row.pk}", decision="same_person"))
    assert decided["state"] == "same_person"
    assert {face["user_id"] for face in decided["faces"]} == {str(OWNER)}  # who was there first
    assert MergedUser.objects.get().pk == FRIEND
    assert AuditEvent.objects.get().details["duplicate_id"] == row.pk


def test_who_stays_can_be_chosen(admin: Person) -> None:
    row = pair()
    wrong = admin.post(f"duplicates/{row.pk}", decision="same_person", into=STRANGER)
    assert refusal(wrong) == (400, "invalid_request")
    data_of(admin.post(f"duplicates/{row.pk}", decision="same_person", into=FRIEND))
    assert MergedUser.objects.get().pk == OWNER


def test_no_such_duplicate(admin: Person) -> None:
    for number in ("1", "9" * 30):
        answer = admin.post(f"duplicates/{number}", decision="different_people")
        assert refusal(answer) == (404, "duplicate_not_found")
    assert refusal(admin.get("duplicates", state="closed")) == (400, "invalid_request")
    assert refusal(admin.post("duplicates/1", decision="open")) == (400, "invalid_request")


def test_duplicates_come_in_pages(admin: Person) -> None:
    for number in range(3):
        pair(UUID(int=2 * number + 1), UUID(int=2 * number + 2))
    seen, cursor = [], {}
    while True:
        page = data_of(admin.get("duplicates", page_size=2, **cursor))
        seen += [row["duplicate_id"] for row in page["duplicates"]]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == sorted(seen, reverse=True) and len(seen) == 3


def test_the_audit_log_is_read(admin: Person) -> None:
    make_user(OWNER), make_user(FRIEND)
    data_of(admin.post(f"users/{OWNER}/suspend"))
    middle = timezone.now().isoformat()
    data_of(admin.post(f"users/{OWNER}/unsuspend"))
    data_of(admin.post(f"users/{OWNER}/merge", into=FRIEND))

    def actions(**query: str) -> list[str]:
        return [event["action"] for event in data_of(admin.get("audit", **query))["events"]]

    assert actions() == ["user.merge", "user.unsuspend", "user.suspend"]
    assert actions(action="user.suspend") == ["user.suspend"]
    assert actions(since=middle) == ["user.merge", "user.unsuspend"]
    # The history of who stayed is that of the merged id as well.
    assert actions(user_id=str(FRIEND)) == ["user.merge", "user.unsuspend", "user.suspend"]
    assert actions(user_id=str(NOBODY)) == []
    (event,) = data_of(admin.get("audit", action="user.merge"))["events"]
    assert (event["user_id"], event["other_user_id"]) == (str(OWNER), str(FRIEND))
    assert event["request_id"] and event["actor"] == "service:moderation"


@pytest.mark.parametrize(
    "query", [{"user_id": " x"}, {"since": "yesterday"}, {"since": "2024-01-20T10:30:00"}, {"x": 1}]
)
def test_what_the_audit_log_is_not_asked(admin: Person, query: dict[str, str]) -> None:
    assert admin.get("audit", **query).status_code == 400
