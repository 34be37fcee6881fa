"""503 when too many wait for inference; everything else goes on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from socket import socketpair
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from batch.jobs import at_once, work
from batch.models import Item
from facesvc.http.middleware import AdmissionMiddleware
from recognition.models import RateWindow
from recognition.processes import capacity, slots
from recognition.processes.current_request import WaitLimit
from recognition.processes.slots import InferenceSlots
from recognition.processes.user_requests import in_progress
from tests.support.builders import (
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    USER_SCOPES,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    refusal,
    row_counts,
    service_token,
    user_token,
    vector,
)

pytestmark = pytest.mark.django_db
IMAGES = [{"image_id": str(number), "image": PICTURE_BASE64} for number in range(2)]


@pytest.fixture(autouse=True)
def gallery(fake: FakePipeline, settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.FACESVC_INFERENCE_AT_ONCE, settings.FACESVC_INFERENCE_WAITING = 1, 0
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(vector(1))


@pytest.fixture
def rush() -> Iterator[InferenceSlots]:
    """Somebody else has the only slot."""
    only = slots._slots(1, 0)
    only.take(WaitLimit())
    yield only
    if not only._free:
        only.give_back()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("register", {"user_id": OWNER, "image": PICTURE_BASE64}),
        ("verify", {"user_id": OWNER, "image": PICTURE_BASE64}),
        ("identify", {"image": PICTURE_BASE64}),
        ("detect", {"image": PICTURE_BASE64}),
        ("compare", {"image_a": PICTURE_BASE64, "image_b": PICTURE_BASE64}),
        ("batch-identify", {"images": IMAGES}),
    ],
)
def test_it_works(
    service: Person, rush: InferenceSlots, fake: FakePipeline, path: str, fields: dict[str, Any]
) -> None:
    before = row_counts()
    headers = {"Idempotency-Key": "once"}
    fake.show(vector(2))  # a face that may be enrolled
    answer = service.send("post", path, fields, headers=headers)
    assert refusal(answer) == (503, "unavailable")
    assert int(answer["Retry-After"]) >= 1
    assert row_counts() == before
    rush.give_back()
    again = service.send("post", path, fields, headers=headers)
    assert again.status_code in (200, 201), again.content


def test_a_frame_comes_again_and_costs_no_request(
    owner: Person, rush: InferenceSlots, settings: Settings
) -> None:
    opened = owner.post("sessions", user_id=OWNER, purpose="video_call")
    path = f"sessions/{data_of(opened, 201)['session_id']}/frames?sequence=1"
    settings.RATE_LIMIT_PER_MINUTE = 60
    answer = owner.send("post", path, PICTURE, content_type="image/png")
    assert refusal(answer) == (503, "unavailable")
    assert not RateWindow.objects.exists()
    rush.give_back()
    taken = owner.send("post", path, PICTURE, content_type="image/png")
    assert data_of(taken)["frame"]["status"] == "counted"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("verify", {"user_id": OWNER, "image": PICTURE_BASE64}),
        ("detect", {"image": PICTURE_BASE64}),
    ],
)
def test_an_end_user_has_few_requests_at_a_time(
    client: Client, service: Person, path: str, fields: dict[str, Any]
) -> None:
    owner = Person(user_token(OWNER, [*USER_SCOPES, "face:batch"]), client)
    places = [in_progress.begin(str(OWNER)) for _ in range(2)]
    try:
        answer = owner.post(path, **fields)
        assert refusal(answer) == (429, "requests_in_progress")
        assert answer["Retry-After"] == "1"
        assert owner.get(f"users/{OWNER}").status_code == 200
        assert service.post(path, **fields).status_code == 200
    finally:
        for place in places:
            in_progress.end(place)
    assert owner.post(path, **fields).status_code == 200
    assert not in_progress._taken


def test_a_refused_frame_counts_as_a_request(owner: Person, settings: Settings) -> None:
    """A client could otherwise have as many refused as it likes."""
    opened = owner.post("sessions", user_id=OWNER, purpose="video_call")
    path = f"sessions/{data_of(opened, 201)['session_id']}/frames?sequence=1"
    settings.RATE_LIMIT_PER_MINUTE = 60
    places = [in_progress.begin(str(OWNER)) for _ in range(2)]
    answer = owner.send("post", path, PICTURE, content_type="image/png")
    for place in places:
        in_progress.end(place)
    assert refusal(answer) == (429, "requests_in_progress")
    assert RateWindow.objects.get().minute_count == 1


def test_threads_stay_free_for_probes(rf: RequestFactory, settings: Settings) -> None:
    """Each of these is answered while those before it hang."""
    settings.WEB_THREADS, settings.FACESVC_INFERENCE_WAITING = 5, 1
    paths, statuses = [*["/api/v1/users"] * 3, "/health/live"], []

    def hang(request: HttpRequest) -> HttpResponse:
        while paths:
            statuses.append(admission(rf.get(paths.pop(0))).status_code)
        return HttpResponse()

    admission = AdmissionMiddleware(hang)
    assert admission(rf.get("/api/v1/users")).status_code == 200
    assert statuses == [503, 200, 200, 200]
    assert admission._inside == 0


def test_what_needs_no_inference_answers(
    service: Person, client: Client, rush: InferenceSlots
) -> None:
    assert client.get("/health/live").status_code == 200
    for path in (f"users/{OWNER}", f"users/{OWNER}/faces", "users", "batch-jobs", "models"):
        assert service.get(path).status_code == 200, path
    job = service.post("batch-identify", images=IMAGES, processing_options={"async": True})
    assert job.status_code == 202


def test_a_batch_at_once_goes_on_between_others(
    service: Person, rush: InferenceSlots, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that had a slot for the first picture waits for the others until the time is over."""
    settings.FACESVC_BATCH_AT_ONCE_SECONDS = 0.5
    once = at_once._outcome

    def then_a_rush(*args: Any) -> Any:
        outcome = once(*args)
        rush.take(WaitLimit())
        return outcome

    rush.give_back()
    monkeypatch.setattr(at_once, "_outcome", then_a_rush)
    answer = data_of(service.post("batch-identify", images=IMAGES))
    assert (answer["status"], answer["succeeded"], answer["failed"]) == ("timed_out", 1, 0)


def test_an_end_user_has_one_batch_at_a_time(client: Client, service: Person) -> None:
    """Two would compute on two cores, and hold their bodies. Pictures have places of their own."""
    owner = Person(user_token(OWNER, [*USER_SCOPES, "face:batch"]), client)
    place = in_progress.begin(str(OWNER), is_batch=True)
    try:
        answer = owner.post("batch-identify", images=IMAGES)
        assert refusal(answer) == (429, "requests_in_progress")
        assert answer["Retry-After"] == "1"
        assert service.post("batch-identify", images=IMAGES).status_code == 200
        assert owner.post("identify", image=PICTURE_BASE64).status_code == 200
    finally:
        in_progress.end(place)
    assert owner.post("batch-identify", images=IMAGES).status_code == 200
    assert not in_progress._taken


def test_a_batch_ends_when_its_client_has_gone(fake: FakePipeline) -> None:
    """It would compute for nobody, up to FACESVC_BATCH_AT_ONCE_SECONDS."""
    ours, theirs = socketpair()
    with ours, theirs:
        person = Person(service_token(), Client(**{"gunicorn.socket": ours}))
        answer = data_of(person.post("batch-identify", images=IMAGES))
        assert (answer["status"], answer["succeeded"]) == ("completed", len(IMAGES))
        theirs.close()
        answer = data_of(person.post("batch-identify", images=IMAGES))
        assert (answer["status"], answer["succeeded"]) == ("timed_out", 0)


def test_long_bodies_are_not_all_read_at_once(
    service: Person, settings: Settings, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is what a body took kept, however its request ends."""
    bodies = capacity.bodies
    settings.MAX_BODIES_BYTES = 1000
    graph = b'{"group": "hiking"}\n'
    bodies.take(990, 1000)
    refused = service.post("batch-identify", images=IMAGES)
    assert refusal(refused) == (503, "unavailable") and int(refused["Retry-After"]) >= 1
    assert service.get("users").status_code == 200
    lines = {"content_type": "application/x-ndjson"}
    assert service.send("post", "graph", graph, **lines).status_code == 200  # it is never whole
    bodies.give_back(990)
    assert service.post("batch-identify", images=IMAGES).status_code == 200
    assert service.post("batch-identify", images="none").status_code == 400
    monkeypatch.setattr(fake, "detect", lambda *_, **__: 1 / 0)
    service.client.raise_request_exception = False
    assert service.post("identify", image=PICTURE_BASE64).status_code == 500
    assert bodies._taken == 0


@pytest.mark.django_db(transaction=True)
def test_a_picture_of_a_job_waits_as_long_as_it_takes(
    service: Person, rush: InferenceSlots
) -> None:
    answer = service.post("batch-identify", images=IMAGES[:1], processing_options={"async": True})
    assert answer.status_code == 202
    Item.objects.update(attempts=1, claimed_until=timezone.now() + timedelta(minutes=1))
    item = Item.objects.get()

    def do() -> bool:
        try:
            return work.process(item)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(do)
        while not rush._queue:
            assert not done.done()
        rush.give_back()
        assert done.result()
    assert Item.objects.get().state == "success"
