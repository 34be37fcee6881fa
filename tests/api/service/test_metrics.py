"""GET /metrics."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from batch.models import Job, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from facesvc import __version__
from facesvc.monitoring import stored_metrics
from recognition.collections import schemas
from recognition.collections.current import Entered, entered
from recognition.gallery.indexes import IndexState
from recognition.models import NewFace, User
from recognition.packs import engine
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    PREFIX,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    vector,
)
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db
PROJECT = Path(__file__).parents[3]
TOKEN = "s3cret-0123456789abcdef0123456789abcdef"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_metrics, "_remembered", (0.0, []))


@pytest.fixture
def opened(settings: Settings) -> None:
    settings.FACESVC_METRICS_OPEN = True


def scrape(client: Client) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def value(of: Samples, name: str, **labels: str) -> float:
    return of.get((f"facesvc_{name}", frozenset(labels.items())), 0)


def test_it_works(client: Client, service: Person, fake: FakePipeline, opened: None) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    engine.active_model()
    fake.show(vector(1))
    before = scrape(client)
    service.post("identify", image=PICTURE_BASE64)
    service.post("identify", image="")
    after = scrape(client)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    route = f"{PREFIX}identify"
    for status in ("200", "400"):
        assert grown("requests_total", route=route, method="POST", status=status) == 1
    assert grown("request_seconds_count", route=route) == 2
    for stage in ("wait", "decode", "detect", "embed", "search"):
        assert grown("stage_seconds_count", stage=stage) == 1, stage
    assert value(after, "inference_computing") == value(after, "inference_waiting") == 0
    assert value(after, "build_info", version=__version__) == 1
    version = {"embedding_version": "dlib_v1", "searchable": "true"}
    assert value(after, "gallery_templates", **version) == 1
    assert value(after, "gallery_users") == value(after, "database_up") == 1
    assert value(after, "database_writable") == 1
    assert value(after, "active_model_info", pack="dlib", model_version="dlib_v1.0.0") == 1
    assert value(after, "new_faces_waiting") == value(after, "new_faces_failing") == 0
    states = {state: value(after, "hnsw_index", state=state) for state in IndexState}
    assert states == dict.fromkeys(IndexState, 0) | {"not_needed": 1}


def test_what_waits_for_a_worker(
    client: Client, service: Person, fake: FakePipeline, opened: None, settings: Settings
) -> None:
    settings.FACESVC_HNSW_FROM = 1
    fake.show(vector(1))
    data_of(service.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    waiting = scrape(client)
    assert value(waiting, "new_faces_waiting") == 1
    assert value(waiting, "new_faces_failing") == 0
    assert value(waiting, "hnsw_index", state="waiting") == 1


def test_a_new_face_that_fails_again_and_again(client: Client, opened: None) -> None:
    face = make_face(make_user(OWNER), vector(1))
    NewFace.objects.create(face=face, attempts=3)
    samples = scrape(client)
    assert value(samples, "new_faces_waiting") == value(samples, "new_faces_failing") == 1


def test_a_read_only_database(
    client: Client, opened: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers, but every write fails: a standby, or a primary whose role may only read. Replicas
    cannot be compared with it."""

    def not_during_recovery(model: object) -> None:
        raise OperationalError("recovery is in progress")

    engine.active_model()
    settings.FACESVC_SEARCH_DATABASE_URL = "postgresql://replica/facesvc"
    monkeypatch.setattr(stored_metrics.states, "states", not_during_recovery)
    with connection.cursor() as cursor:
        cursor.execute("SET transaction_read_only = on")
    samples = scrape(client)
    assert value(samples, "database_up") == 1
    assert ("facesvc_database_writable", frozenset()) in samples
    assert value(samples, "database_writable") == 0


@pytest.mark.parametrize(
    ("token", "sent", "status"),
    [
        ("", "", 404),
        ("", "Bearer ", 404),
        (TOKEN, "", 401),
        (TOKEN, f"Bearer {TOKEN}x", 401),
        (TOKEN, "Bearer é", 401),
        (TOKEN, f"Bearer {TOKEN}", 200),
    ],
)
def test_strangers_see_nothing(
    client: Client, settings: Settings, token: str, sent: str, status: int
) -> None:
    settings.FACESVC_METRICS_TOKEN = token
    answer = client.get("/metrics", headers={"Authorization": sent} if sent else {})
    assert answer.status_code == status
    assert (b"facesvc_requests_total" in answer.content) == (status == 200)


def test_a_token_of_the_api_is_none_of_the_metrics(admin: Person, settings: Settings) -> None:
    settings.FACESVC_METRICS_TOKEN = TOKEN
    headers = {"Authorization": f"Bearer {admin.token}"}
    assert admin.client.get("/metrics", headers=headers).status_code == 401


def test_as_many_series_as_routes(client: Client, owner: Person, opened: None) -> None:
    for number in range(20):
        owner.get(f"users/0000000a-0000-4000-8000-{number:012}")
        owner.get(f"nothing/{number}")
        owner.client.generic(f"METHOD{number}", f"{PREFIX}users")
        if not number:
            before = scrape(client)
            before = scrape(client)  # with what was counted for the first one
    assert scrape(client).keys() == before.keys()


def test_callbacks_by_outcome(client: Client, opened: None) -> None:
    endpoint = WebhookEndpoint.objects.create(client="app", url="https://app.example/")
    now = timezone.now()
    job = Job.objects.create(kind="identify", scopes=[], options={}, total=0, deadline_at=now)
    delivery = WebhookDelivery.objects.create(job=job, endpoint=endpoint, body="{}", state="dead")
    for status in (200, 204, 500, None):
        WebhookAttempt.objects.create(delivery=delivery, status=status, duration_ms=1)
    samples = scrape(client)
    found = {o: value(samples, "webhook_attempts", outcome=o) for o in ("success", "refused")}
    assert found == {"success": 2, "refused": 1}
    assert value(samples, "webhook_attempts", outcome="failed") == 1
    assert value(samples, "webhook_deliveries", state="dead") == 1


def test_without_a_database(client: Client, opened: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(User.objects, "count", broken)
    samples = scrape(client)
    assert value(samples, "database_up") == 0
    assert ("facesvc_database_up", frozenset()) in samples
    assert not any(name == "facesvc_gallery_users" for name, _ in samples)


def test_every_metric_is_described(client: Client, service: Person, opened: None) -> None:
    service.post("detect", image="nonsense")
    text = client.get("/metrics").content.decode()
    exposed = set(re.findall(r"^# TYPE (facesvc_\w+) ", text, re.MULTILINE))
    exposed = {name for name in exposed if not name.endswith("_created")}
    page = (PROJECT / "docs" / "operations.md").read_text()
    described = set(re.findall(r"`(facesvc_\w+)`", page))
    assert exposed == described


COUNTING = """
import os
from facesvc.running import gunicorn_conf
gunicorn_conf.on_starting(None)
folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
for _ in range(2):
    if not (pid := os.fork()):
        from recognition.processes import slots
        with slots.stage("detect"):
            pass
        slots._WAITING.inc()
        os._exit(0)
    os.waitpid(pid, 0)
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
registry = CollectorRegistry()
MultiProcessCollector(registry)
wanted = 'facesvc_stage_seconds_count{stage="detect"} 2.0', "facesvc_inference_waiting 2.0"
text = generate_latest(registry).decode()
assert all(line in text for line in wanted), text
class Worker:
    pass
Worker.pid = pid
gunicorn_conf.child_exit(None, Worker)
text = generate_latest(registry).decode()
assert wanted[0] in text and "facesvc_inference_waiting 1.0" in text, text
gunicorn_conf.on_exit(None)
assert not os.path.exists(folder)
"""


def test_processes_count_together() -> None:
    subprocess.run(
        [sys.executable, "-c", COUNTING],
        cwd=PROJECT,
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "facesvc.settings", "PATH": ""},
    )


# --- several collections --------------------------------------------------------------------------


@pytest.fixture
def shop() -> Entered:
    """With one user, who has a face; `default` has two users and no face."""
    for user in (OWNER, FRIEND):
        make_user(user)
    made = make_collection("shop")
    with entered(made):
        make_face(make_user(OWNER, "public"), vector(1))
    return made


def test_the_gauges_are_sums_and_name_no_collection(
    client: Client, opened: None, shop: Entered
) -> None:
    samples = scrape(client)
    assert value(samples, "gallery_users") == 3
    version = engine.active_version()
    found = {"embedding_version": version, "searchable": "true"}
    assert value(samples, "gallery_templates", **found) == 1
    pack = engine.pack(engine.active_model().pack)
    active = {"pack": pack.name, "model_version": pack.model_version}
    assert value(samples, "active_model_info", **active) == 1
    assert value(samples, "hnsw_index", state=IndexState.NOT_NEEDED.value) == 1
    assert b"shop" not in client.get("/metrics").content


def test_with_the_label_each_collection_has_its_own(
    client: Client, opened: None, shop: Entered, settings: Settings
) -> None:
    settings.FACESVC_METRICS_BY_COLLECTION = True
    samples = scrape(client)
    assert value(samples, "gallery_users", collection="default") == 2
    assert value(samples, "gallery_users", collection="shop") == 1
    assert value(samples, "gallery_users") == 0
    queued = {"status": "queued", "collection": "shop"}
    assert ("facesvc_batch_jobs", frozenset(queued.items())) in samples
    assert ("facesvc_tasks_queued", frozenset()) in samples  # all collections share the queue


@pytest.mark.django_db(transaction=True)  # a missing table would end that of the test
def test_a_collection_that_is_erased_while_it_is_counted(
    client: Client, opened: None, shop: Entered
) -> None:
    schemas.drop(shop)
    assert value(scrape(client), "gallery_users") == 2
