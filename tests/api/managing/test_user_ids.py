"""User ids that are no UUIDs, through every door: they come back as they were sent."""

import json
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID
from zipfile import ZipFile

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from batch.jobs import work
from batch.models import Item, Job
from recognition.models import AuditEvent, IdempotencyKey, MergedUser, User
from recognition.models.user_ids import UserId
from recognition.privacy import keeping
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    details_of,
    make_user,
    near,
    refusal,
    user_token,
    vector,
)
from tests.support.dump import dump, noted, tables_with

pytestmark = pytest.mark.django_db

IDS = [
    "42",
    "auth0|64f1c0ffee",
    "Ann+1@example.com",
    "a/faces",
    "a/friends/b",
    "50%2F off?#&=;+ \\",
    "สมชาย ใจดี",
    "😀",
    str(OWNER),
    "00000000-0000-8000-8000-000000000001",
    "face_0123456789ab",
]


OTHER = UUID("0000000e-0000-4000-8000-000000000001")
MAKES = ("register", "sessions")


def at(user_id: str) -> str:
    return f"users/{quote(user_id, safe='')}"


@pytest.fixture(params=IDS)
def user_id(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


@pytest.fixture
def own(client: Client, user_id: str) -> Person:
    return Person(user_token(UserId(user_id)), client)


def put(service: Person, *ids: str) -> None:
    for each in ids:
        data_of(service.put(at(each), privacy_level="public"), 201)


def test_it_works(service: Person, own: Person, user_id: str, fake: FakePipeline) -> None:
    put(service, user_id)
    fake.show(vector(1))
    for caller, number in ((service, 1), (own, 2)):
        fake.show(near(vector(1), 0.9, toward=20 + number))
        registered = data_of(caller.post("register", user_id=user_id, image=PICTURE_BASE64), 201)
        assert registered["user_id"] == user_id
    face = registered["face_id"]
    for caller in (service, own):
        assert data_of(caller.get(at(user_id)))["user_id"] == user_id
        assert data_of(caller.get(f"faces/{face}"))["user_id"] == user_id
        assert data_of(caller.put(f"faces/{face}", face_group="b"))["user_id"] == user_id
        (first, _) = data_of(caller.get(f"{at(user_id)}/faces"))["faces"]
        assert first["user_id"] == user_id
        answer = data_of(caller.post("verify", user_id=user_id, image=PICTURE_BASE64))
        assert answer["is_match"]
        found = data_of(caller.post("identify", image=PICTURE_BASE64))["candidates"]
        assert [each["user_id"] for each in found] == [user_id]
    assert len(data_of(service.get("faces", user_id=user_id))["faces"]) == 2
    for row in data_of(service.get("faces"))["faces"]:
        assert row["user_id"] == user_id
    (listed,) = data_of(service.get("users"))["users"]
    assert listed["user_id"] == user_id
    assert data_of(own.delete(at(user_id)))["user_id"] == user_id
    assert data_of(service.delete(at(user_id)))["user_id"] == user_id  # the same receipt


def test_an_enrolment_makes_the_user(own: Person, user_id: str, fake: FakePipeline) -> None:
    fake.show(vector(1))
    fields = {"user_id": user_id, "image": PICTURE_BASE64}
    assert data_of(own.post("register", **fields), 201)["user_id"] == user_id
    assert User.objects.get().app_id == user_id


def test_the_faces_of_a_group_photo(own: Person, user_id: str, fake: FakePipeline) -> None:
    fake.show([vector(1), vector(2)])
    faces = [{"user_id": user_id, "face_index": 0}]
    stored = data_of(own.post("register-faces", image=PICTURE_BASE64, faces=faces), 201)
    assert stored["faces"][0]["user_id"] == user_id
    answer = own.post("register-faces", image=PICTURE_BASE64, faces=faces)
    assert details_of(answer)["faces"][0]["user_id"] == user_id


def test_on_behalf_of(service: Person, user_id: str, fake: FakePipeline) -> None:
    make_user(UserId(user_id))
    header = {"X-On-Behalf-Of": quote(user_id)}
    for more in ({"on_behalf_of": user_id}, {}):
        fields = {"image": PICTURE_BASE64, **more}
        answer = data_of(service.send("post", "identify", fields, headers=header))
        assert answer["search_stats"]["scope"]["viewer"] == user_id


def test_a_header_that_is_not_encoded(service: Person, fake: FakePipeline) -> None:
    """Servers give the bytes of a header as Latin-1."""
    raw = {"X-On-Behalf-Of": "ñ|7".encode().decode("latin-1")}
    answer = service.send("post", "identify", {"image": PICTURE_BASE64}, headers=raw)
    assert data_of(answer)["search_stats"]["scope"]["viewer"] == "ñ|7"


def test_friends_and_groups(service: Person, own: Person, user_id: str) -> None:
    other = "another/one"
    put(service, user_id, other)
    friend = f"{at(user_id)}/friends/{quote(other, safe='')}"
    assert data_of(service.put(friend), 201)["user_id"] == other
    assert data_of(own.get(friend))["user_id"] == other
    assert [each["user_id"] for each in data_of(own.get(f"{at(user_id)}/friends"))["friends"]] == [
        other
    ]
    (back,) = data_of(service.get(f"{at(other)}/friends"))["friends"]
    assert back["user_id"] == user_id
    data_of(service.put("groups/club"), 201)
    member = f"groups/club/members/{quote(user_id, safe='')}"
    assert data_of(service.put(member), 201)["user_id"] == user_id
    assert data_of(own.get(member))["user_id"] == user_id
    (only,) = data_of(service.get("groups/club/members"))["members"]
    assert only["user_id"] == user_id
    assert data_of(service.delete(member)) == {"user_id": user_id, "deleted": True}
    assert data_of(service.delete(friend)) == {"user_id": other, "deleted": True}


def test_sessions(service: Person, own: Person, user_id: str, fake: FakePipeline) -> None:
    put(service, user_id)
    for caller in (service, own):
        opened = data_of(caller.post("sessions", user_id=user_id), 201)
        path = f"sessions/{opened['session_id']}"
        for answer in (opened, data_of(caller.get(path)), data_of(caller.delete(path))):
            assert answer["user_id"] == user_id


def test_the_import_of_a_graph(service: Person, user_id: str) -> None:
    lines: list[Any] = [
        {"user": {"user_id": user_id, "display_name": "x"}},
        {"user": {"user_id": "b|2"}},
        {"group": "club"},
        {"friendship": [user_id, "b|2"]},
        {"membership": {"group": "club", "user_id": user_id}},
    ]
    assert imported(service, lines).status_code == 200
    (friend,) = data_of(service.get(f"{at('b|2')}/friends"))["friends"]
    (member,) = data_of(service.get("groups/club/members"))["members"]
    assert friend["user_id"] == member["user_id"] == user_id
    for link in (["b|2", "gone/1"], ["gone/1", "b|2"]):
        (error,) = details_of(imported(service, [{"friendship": link}]))["errors"]
        assert error["message"] == "There is no user gone/1."


def imported(service: Person, lines: list[Any]) -> HttpResponse:
    body = "\n".join(map(json.dumps, lines)).encode()
    return service.send("post", "graph", body, content_type="application/x-ndjson")


def test_no_verb_asks_more_for_it(own: Person, user_id: str, fake: FakePipeline) -> None:
    """Than for a UUID."""
    uuid = Person(user_token(OTHER), own.client)
    asked = []
    for number, (caller, each) in enumerate(((uuid, str(OTHER)), (own, user_id))):
        seen = []
        fake.show(vector(number + 1))
        fields = {"user_id": each, "image": PICTURE_BASE64}
        make_user(UserId(each), "public")
        for path, body in (
            ("register", fields),
            ("verify", fields),
            ("identify", {"image": PICTURE_BASE64}),
            ("sessions", {"user_id": each}),
        ):
            with noted() as statements:
                answer = data_of(caller.post(path, **body), 201 if path in MAKES else 200)
            seen.append((path, len(statements)))
        for path in (at(each), f"{at(each)}/faces", f"sessions/{answer['session_id']}"):
            with noted() as statements:
                data_of(caller.get(path))
            seen.append((path.replace(at(each), "user")[:8], len(statements)))
        asked.append(seen)
    assert asked[0] == asked[1]


# --- moderation -----------------------------------------------------------------------------------


def test_moderation(admin: Person, user_id: str, fake: FakePipeline) -> None:
    put(admin, user_id, "other/1")
    for act in ("suspend", "unsuspend", "unlock"):
        assert data_of(admin.post(f"{at(user_id)}/{act}"))["user_id"] == user_id
    fake.show(vector(1))
    fields = {"user_id": "other/1", "image": PICTURE_BASE64}
    face = data_of(admin.post("register", **fields), 201)["face_id"]
    assert data_of(admin.post(f"faces/{face}/move", user_id=user_id))["user_id"] == user_id
    assert data_of(admin.post(f"{at('other/1')}/merge", into=user_id))["user_id"] == user_id
    assert refusal(admin.get(at("other/1"))) == (404, "user_merged")
    events = data_of(admin.get("audit", user_id=user_id))["events"]
    named = {(each["action"], each["user_id"], each["other_user_id"]) for each in events}
    assert ("user.merge", "other/1", user_id) in named
    assert ("face.move", "other/1", user_id) in named
    assert ("user.suspend", user_id, None) in named


def test_the_audit_log_names_who_acted(admin: Person, own: Person, user_id: str) -> None:
    put(admin, user_id, "b|2")
    data_of(own.put(at(user_id), display_name="x"))
    data_of(admin.put(f"{at(user_id)}/friends/{quote('b|2')}"), 201)
    friendship, change, _ = data_of(admin.get("audit", user_id=user_id))["events"]
    assert change["actor"] == f"user:{user_id}"
    assert friendship["details"] == {"friend_id": "b|2"}


def test_the_audit_log_asks_once_for_the_ids(admin: Person) -> None:
    put(admin, "a|1", "b|2", "c|3")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        data_of(admin.get("audit"))
    assert len([each for each in asked if "given_id" in each["sql"]]) == 1


# --- jobs -----------------------------------------------------------------------------------------


@pytest.fixture
def key(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]


def test_jobs(service: Person, user_id: str, fake: FakePipeline, key: None) -> None:
    fake.show(vector(1))
    image = {"image_id": "a", "image": PICTURE_BASE64}
    asked = data_of(service.post("batch-register", images=[{**image, "user_id": user_id}]), 202)
    done = worked_off(service, asked["job_id"])
    assert done["user_id"] == user_id
    User.objects.update(privacy_level="public")
    fields = {"images": [image], "on_behalf_of": user_id}
    options = {"processing_options": {"async": True}}
    asked = data_of(service.post("batch-identify", **fields, **options), 202)
    (found,) = worked_off(service, asked["job_id"])["candidates"]
    at_once = data_of(service.post("batch-identify", **fields))["results"]
    (also,) = at_once[0]["result"]["candidates"]
    assert found["user_id"] == also["user_id"] == user_id
    data_of(service.delete(at(user_id)))
    assert user_id not in str(Item.objects.values_list("result", "options"))
    assert not Job.objects.filter(options__on_behalf_of__isnull=False).exclude(
        options__on_behalf_of=None
    )


def worked_off(service: Person, job_id: str) -> dict[str, Any]:
    work.work()
    (item,) = data_of(service.get(f"batch-jobs/{job_id}/results"))["results"]
    result: dict[str, Any] = item["result"]
    return result


# --- what an erasure leaves -----------------------------------------------------------------------

SECRET_ID = "ann.onym/7@example.com"


@pytest.fixture
def known(admin: Person, fake: FakePipeline) -> Iterator[None]:
    """Somebody whose id stands wherever one can stand, and a former id."""
    former = f"former-{SECRET_ID}"
    put(admin, SECRET_ID, former, "b|2")
    data_of(admin.put(f"{at(SECRET_ID)}/friends/{quote('b|2')}"), 201)
    fake.show(vector(1))
    key = {"Idempotency-Key": f"enrol-{SECRET_ID}-1"}
    fields = {"user_id": SECRET_ID, "image": PICTURE_BASE64}
    data_of(admin.send("post", "register", fields, headers=key), 201)
    data_of(admin.post(f"{at(former)}/merge", into=SECRET_ID))
    other = {"Idempotency-Key": "enrol-b-2"}
    fake.show(vector(2))
    fields = {"user_id": "b|2", "image": PICTURE_BASE64}
    data_of(admin.send("post", "register", fields, headers=other), 201)
    yield


def test_no_text_of_the_id_is_left(admin: Person, known: None) -> None:
    receipt = data_of(admin.delete(at(SECRET_ID)))
    assert receipt["user_id"] == SECRET_ID
    assert not tables_with(dump(), [SECRET_ID.encode()])
    assert [row.key for row in IdempotencyKey.objects.all()] == ["enrol-b-2"]
    assert MergedUser.objects.get().given_id is None
    # Who knows the id finds the receipt; everybody else sees a key.
    assert data_of(admin.delete(at(SECRET_ID))) == receipt
    events = data_of(admin.get("audit", user_id=SECRET_ID))["events"]
    assert {each["user_id"] for each in events} == {str(UserId(SECRET_ID))}
    assert AuditEvent.objects.filter(user_id=UserId(SECRET_ID)).exists()


def test_an_export_has_the_ids(known: None, tmp_path: Path) -> None:
    target = tmp_path / "export.zip"
    call_command("export_user", SECRET_ID, "--asked-by=me", f"--output={target}", stdout=StringIO())
    data = json.loads(ZipFile(BytesIO(target.read_bytes())).read("data.json"))
    assert data["user"][0]["id"] == data["faces"][0]["user_id"] == SECRET_ID
    assert [each["friend_id"] for each in data["friends"]] == ["b|2"]
    assert [each["id"] for each in data["former_ids"]] == [f"former-{SECRET_ID}"]
    assert str(UserId(SECRET_ID)) not in json.dumps(data)


def test_a_text_of_others_that_has_the_id(user_id: str) -> None:
    """As a word of its own, but for a UUID, which is in no other word."""
    make_user(UserId(user_id))
    person = keeping.Person.of(UserId(user_id))
    is_part = UserId(user_id).given is None
    for key, is_found in ((f"enrol-{user_id}/1", True), (f"enrol-1{user_id}1", is_part)):
        row = IdempotencyKey.objects.create(
            subject="app", key=key, fingerprint="", status=200, answer="{}"
        )
        assert person.is_in(key) is is_found
        assert (
            IdempotencyKey.objects.filter(person.in_column("key"), pk=row.pk).exists() is is_found
        )


def test_commands(known: None, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = StringIO()
    call_command("unlock", SECRET_ID, stdout=printed)
    monkeypatch.setattr("sys.stdin", StringIO("b|2\n"))
    call_command("erase_user", SECRET_ID, "-", stdout=printed)
    for text in (SECRET_ID, "b|2"):
        assert f"{text}: erased" in printed.getvalue()
    make_user(UserId("b|2"))
    call_command("erase_user", "--keys", str(UserId("b|2")), stdout=printed)
    assert not User.objects.exists()


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [42, 4.2, True, None, ["a"], {"a": 1}])
def test_an_id_that_is_no_text(service: Person, fake: FakePipeline, value: Any) -> None:
    answer = service.post("register", user_id=value, image=PICTURE_BASE64)
    assert refusal(answer) == (400, "invalid_request")


@pytest.mark.parametrize("value", [" a", "a\u200b", "e\u0301", "..", f"{{{OWNER}}}", "x" * 129])
def test_an_id_that_is_refused_everywhere(
    service: Person, fake: FakePipeline, value: str, settings: Settings
) -> None:
    path = quote(value, safe="")
    image = {"image_id": "a", "image": PICTURE_BASE64}
    answers = [
        service.post("register", user_id=value, image=PICTURE_BASE64),
        service.post("verify", user_id=value, image=PICTURE_BASE64),
        service.post("sessions", user_id=value),
        service.post("identify", image=PICTURE_BASE64, on_behalf_of=value),
        service.post("batch-register", images=[{**image, "user_id": value}]),
        service.put(f"users/{path}"),
        service.put(f"users/{OWNER}/friends/{path}"),
        service.put(f"groups/club/members/{path}"),
    ]
    assert {refusal(each) for each in answers} == {(400, "invalid_request")}
    assert refusal(imported(service, [{"user": {"user_id": value}}]))[1] == "invalid_graph"
    assert not User.objects.exists()


def test_upper_case_of_a_uuid_is_the_same_user(service: Person) -> None:
    put(service, str(OWNER))
    answer = service.put(f"users/{str(OWNER).upper()}", display_name="x")
    assert data_of(answer)["user_id"] == str(OWNER)


def test_case_of_a_text_is_another_user(service: Person) -> None:
    put(service, "ann", "Ann")
    assert User.objects.count() == 2
