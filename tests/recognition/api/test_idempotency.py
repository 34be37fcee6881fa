"""Idempotency-Key: one row and one answer, from several threads and after a crash, too."""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import timedelta
from io import StringIO
from itertools import islice
from threading import Barrier
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from batch.jobs import at_once as batches_at_once
from batch.models import Item, Job
from recognition.api import idempotency
from recognition.enrolment import enrolling
from recognition.models import AuditEvent, Face, IdempotencyKey, User
from recognition.processes import connections
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    PREFIX,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    refusal,
    service_token,
    user_token,
    vector,
)
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.django_db
REPLAYED = idempotency.REPLAYED


@pytest.fixture(autouse=True)
def prepared(settings: Settings, fake: FakePipeline) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    fake.show(vector(1))


def send(person: Person, path: str, key: str, **fields: Any) -> HttpResponse:
    return person.send("post", path, fields, headers={"Idempotency-Key": key})


FIELDS: dict[str, dict[str, Any]] = {
    "register": {"user_id": str(OWNER), "image": PICTURE_BASE64},
    "batch-identify": {
        "images": [{"image_id": "a", "image": PICTURE_BASE64}],
        "processing_options": {"async": True},
    },
    "batch-register": {
        "images": [{"image_id": "a", "image": PICTURE_BASE64, "user_id": str(OWNER)}]
    },
}
CREATED: dict[str, Callable[[], int]] = {
    "register": Face.objects.count,
    "batch-identify": Job.objects.count,
    "batch-register": Job.objects.count,
}
each_path = pytest.mark.parametrize("path", FIELDS)


@each_path
def test_it_works(service: Person, path: str) -> None:
    first = send(service, path, "k1", **FIELDS[path])
    second = send(service, path, "k1", **FIELDS[path])
    assert first.status_code == second.status_code in {201, 202}
    assert first.json()["data"] == second.json()["data"]
    assert REPLAYED not in first
    assert second[REPLAYED] == "true"
    assert CREATED[path]() == 1
    other = send(service, path, "k2", **FIELDS[path] | {"metadata": {}})
    assert other.status_code in {202, 400, 409} and REPLAYED not in other


def test_at_once_as_well(service: Person, fake: FakePipeline) -> None:
    fields = {"images": FIELDS["batch-identify"]["images"]}
    first = data_of(send(service, "batch-identify", "k", **fields))
    fake.show([])
    assert data_of(send(service, "batch-identify", "k", **fields)) == first


@each_path
def test_another_body(service: Person, path: str) -> None:
    send(service, path, "k", **FIELDS[path])
    changed = json.loads(json.dumps(FIELDS[path]).replace(str(OWNER), str(FRIEND)))
    if path == "batch-identify":
        changed["images"][0]["image_id"] = "b"
    assert refusal(send(service, path, "k", **changed)) == (409, "idempotency_conflict")
    assert CREATED[path]() == 1


def test_another_endpoint(service: Person) -> None:
    send(service, "batch-register", "k", **FIELDS["batch-register"])
    answer = send(service, "batch-identify", "k", images=FIELDS["batch-register"]["images"])
    assert refusal(answer) == (409, "idempotency_conflict")


def test_another_viewer(service: Person) -> None:
    fields = FIELDS["batch-identify"]
    send(service, "batch-identify", "k", **fields)
    headers = {"Idempotency-Key": "k", "X-On-Behalf-Of": str(OWNER)}
    answer = service.send("post", "batch-identify", fields, headers=headers)
    assert refusal(answer) == (409, "idempotency_conflict")


def test_keys_are_of_one_subject(service: Person) -> None:
    other = Person(service_token("other"), service.client)
    first = data_of(send(service, "batch-identify", "k", **FIELDS["batch-identify"]), 202)
    second = data_of(send(other, "batch-identify", "k", **FIELDS["batch-identify"]), 202)
    assert first["job_id"] != second["job_id"]


def test_another_token_of_the_same_subject(service: Person) -> None:
    again = Person(service_token("app", ["face:register"]), service.client)
    send(service, "register", "k", **FIELDS["register"])
    assert send(again, "register", "k", **FIELDS["register"])[REPLAYED] == "true"


def form(person: Person, name: str, image: bytes = PICTURE) -> HttpResponse:
    fields = {"user_id": str(OWNER), "image": SimpleUploadedFile(name, image)}
    headers = {"Authorization": f"Bearer {person.token}", "Idempotency-Key": "k"}
    return person.client.post(f"{PREFIX}register", fields, headers=headers)


def test_forms(service: Person) -> None:
    first, second = form(service, "a.png"), form(service, "a.png")
    assert data_of(first, 201) == data_of(second, 201)
    assert refusal(form(service, "a.png", PICTURE + b"x")) == (409, "idempotency_conflict")


def test_a_body_that_is_the_picture(service: Person) -> None:
    options = {"content_type": "image/png", "headers": {"Idempotency-Key": "k"}}
    path = f"register?user_id={OWNER}"
    first = service.send("post", path, PICTURE, **json.loads(json.dumps(options)))
    second = service.send("post", path, PICTURE, **json.loads(json.dumps(options)))
    assert data_of(first, 201) == data_of(second, 201)
    third = service.send("post", f"register?user_id={FRIEND}", PICTURE, **options)
    assert refusal(third) == (409, "idempotency_conflict")


def test_a_refused_request_may_be_corrected(service: Person, fake: FakePipeline) -> None:
    fake.show([])
    assert refusal(send(service, "register", "k", **FIELDS["register"])) == (422, "no_face")
    assert not IdempotencyKey.objects.exists()
    fake.show(vector(1))
    assert data_of(send(service, "register", "k", **FIELDS["register"]), 201)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ä", "a\x7f"])
def test_a_key_that_is_none(service: Person, key: str) -> None:
    answer = send(service, "register", key, **FIELDS["register"])
    assert refusal(answer) == (400, "invalid_request")


def test_nothing_of_the_picture_is_kept(service: Person) -> None:
    send(service, "batch-register", "k", **FIELDS["batch-register"])
    row = IdempotencyKey.objects.get()
    assert len(row.fingerprint) == 64
    assert PICTURE_BASE64[:40] not in json.dumps(row.answer)


def test_purge(service: Person, settings: Settings) -> None:
    send(service, "register", "old", **FIELDS["register"])
    row = IdempotencyKey.objects.get()
    created = row.created_at - timedelta(hours=settings.FACESVC_IDEMPOTENCY_HOURS + 1)
    IdempotencyKey.objects.update(created_at=created)
    send(service, "batch-register", "new", **FIELDS["batch-register"])
    call_command("purge", stdout=StringIO())
    assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]


def test_what_looks_alike_has_another_fingerprint() -> None:
    import hashlib

    values: list[Any] = [
        [["a"], "b"],
        [["a", "b"]],
        ["a", "b"],
        ["ab"],
        {"a": "b"},
        {"a": None},
        {"a": "null"},
        ["1"],
        [1],
        [True],
        [1.5],
        [b"a"],
        ["a"],
        [],
        {},
        "",
    ]
    found = set()
    for value in values:
        digest = hashlib.sha256()
        idempotency._add(digest, value)
        found.add(digest.hexdigest())
    assert len(found) == len(values)


# --- at once --------------------------------------------------------------------------------------


def at_once(token: str, path: str, count: int) -> list[HttpResponse]:
    barrier = Barrier(count)

    def one(_: int) -> HttpResponse:
        try:
            barrier.wait(PATIENCE)
            return send(Person(token, Client()), path, "k", **FIELDS[path])
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


@pytest.mark.django_db(transaction=True)
@each_path
def test_8_threads_one_row(path: str) -> None:
    everybody = at_once(service_token(), path, 8)
    answers = [answer for answer in everybody if answer.status_code != 409]
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert {refusal(each)[1] for each in everybody if each not in answers} <= {
        "request_in_progress"
    }
    assert len({json.dumps(answer.json()["data"]) for answer in answers}) == 1
    assert sum(REPLAYED not in answer for answer in answers) == 1
    assert CREATED[path]() == 1
    if path != "register":
        assert Item.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_first_request_that_takes_long(service: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_limits", {"lock_timeout": "200"})
    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        idempotency._lock("app", "k")
        answer = threads.submit(in_thread, service.token, "k").result()
        assert refusal(answer) == (409, "request_in_progress")
        assert answer["Retry-After"] == "1"
        assert threads.submit(in_thread, service.token, "other").result().status_code == 202
    assert send(service, "batch-identify", "k", **FIELDS["batch-identify"]).status_code == 202


@pytest.mark.django_db(transaction=True)
def test_one_waits_and_all_others_are_refused_at_once(service: Person) -> None:
    """Nobody takes all threads of the server with one key."""
    with ThreadPoolExecutor(5) as threads:
        with transaction.atomic():
            idempotency._lock("app", "k")
            answers = [threads.submit(in_thread, service.token, "k") for _ in range(5)]
            refused = {refusal(answer) for answer in as_completed_but_one(answers)}
            assert refused == {(409, "request_in_progress")}
            (waiting,) = (answer for answer in answers if not answer.done())
        assert waiting.result().status_code == 202


def as_completed_but_one(futures: list[Future[HttpResponse]]) -> list[HttpResponse]:
    """The results of all but the last, which waits for as long as the test lets it."""
    return [
        future.result() for future in islice(as_completed(futures, timeout=30), len(futures) - 1)
    ]


def in_thread(token: str, key: str) -> HttpResponse:
    try:
        return send(Person(token, Client()), "batch-identify", key, **FIELDS["batch-identify"])
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_killed_process_blocks_nothing(service: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the face was stored, before the answer was: neither is there, and the key is free."""
    enrol = enrolling.enrol

    def enrol_and_die(*asked: Any) -> Any:
        enrol(*asked)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with monkeypatch.context() as patch:
        patch.setattr(enrolling, "enrol", enrol_and_die)
        assert send(service, "register", "k", **FIELDS["register"]).status_code == 503
    connection.close()
    assert not Face.objects.exists()
    answer = send(service, "register", "k", **FIELDS["register"])
    assert answer.status_code == 201 and REPLAYED not in answer


def test_end_users_have_keys_as_well(owner: Person) -> None:
    person = Person(user_token(OWNER), owner.client)
    first = data_of(send(person, "register", "k", **FIELDS["register"]), 201)
    assert data_of(send(person, "register", "k", **FIELDS["register"]), 201) == first


# --- whose, how long ------------------------------------------------------------------------------


def identify_at_once(person: Person, **fields: Any) -> HttpResponse:
    return send(person, "batch-identify", "k", images=FIELDS["batch-identify"]["images"], **fields)


def test_no_answer_names_who_is_erased(service: Person, owner: Person) -> None:
    make_face(make_user(OWNER, "public", display_name="Ann"), vector(1))
    send(service, "batch-register", "other", **FIELDS["batch-register"])
    assert "Ann" in identify_at_once(service).content.decode()
    mine = Person(user_token(OWNER, ["face:identify", "face:batch"]), owner.client)
    assert data_of(identify_at_once(mine, processing_options={"async": True}), 202)
    User.objects.get(pk=OWNER).delete()
    assert [row.key for row in IdempotencyKey.objects.all()] == ["other"]
    assert REPLAYED not in identify_at_once(service)


def test_who_is_erased_before_the_answer_is_stored(
    service: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_face(make_user(OWNER, "public", display_name="Ann"), vector(1))
    answer = batches_at_once.answer

    def and_erase(*arguments: Any) -> Any:
        answered = answer(*arguments)
        User.objects.get(pk=OWNER).delete()
        return answered

    monkeypatch.setattr(batches_at_once, "answer", and_erase)
    assert data_of(identify_at_once(service))
    assert not IdempotencyKey.objects.exists()


def test_the_answer_goes_with_the_face(service: Person) -> None:
    send(service, "register", "k", **FIELDS["register"])
    Face.objects.get().delete()
    assert not IdempotencyKey.objects.exists()


def test_a_key_that_is_old(service: Person, settings: Settings) -> None:
    """No answer is given for longer than it is kept, whether or not anybody ran `purge`."""
    identify_at_once(service)
    created = timezone.now() - timedelta(hours=settings.FACESVC_IDEMPOTENCY_HOURS, seconds=1)
    IdempotencyKey.objects.update(created_at=created)
    assert REPLAYED not in identify_at_once(service)
    assert identify_at_once(service)[REPLAYED] == "true"


def test_another_token_without_the_right_to_search_everyone(admin: Person) -> None:
    make_face(make_user(OWNER, "private"), vector(1))
    scope = {"search_scope": {"scope": "all"}}
    assert str(OWNER) in identify_at_once(admin, **scope).content.decode()
    weaker = Person(service_token("moderation", ["face:identify", "face:batch"]), admin.client)
    answer = identify_at_once(weaker, **scope)
    assert refusal(answer) == (409, "idempotency_conflict")
    assert str(OWNER) not in answer.content.decode()


def test_replays_to_who_may_search_everyone_are_noted(admin: Person) -> None:
    for _ in range(3):
        identify_at_once(admin, search_scope={"scope": "all"})
    actions = AuditEvent.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["identify.everyone", "request.replay", "request.replay"]
