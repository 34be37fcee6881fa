"""Callbacks: signed, tried again, stored, replayed; with real receivers and a clock of our own."""

import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Permission
from django.contrib.auth.models import User as Operator
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import Settings
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from batch import tasks
from batch.jobs import work
from batch.models import Job, Picture, WebhookDelivery, WebhookEndpoint, WebhookSecret
from batch.webhooks import addresses, callbacks, signing
from batch.webhooks.callbacks import DELAYS
from facesvc import __version__
from recognition.models import AuditEvent
from recognition.outbound import exchange
from tests.support.builders import (
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    refusal,
    service_token,
    vector,
)
from tests.support.patience import wait_until
from tests.support.servers.certificates import Authority
from tests.support.servers.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset = timedelta()
        monkeypatch.setattr(timezone, "now", self.now)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def forward(self, seconds: float) -> None:
        self.offset += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(autouse=True)
def prepared(settings: Settings, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    monkeypatch.setattr(work, "_SLICE", 60.0)  # however busy the machine is
    settings.FACESVC_WEBHOOK_ALLOW_HTTP = True
    fake.show(vector(1))


def allow(settings: Settings, receiver: Receiver) -> Receiver:
    settings.WEBHOOK_ALLOWED_HOSTS = [f"127.0.0.1:{receiver.port}"]
    return receiver


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    with receiving(200) as receiver:
        yield allow(settings, receiver)


def submit(person: Person, url: str) -> Any:
    options = {"async": True} | ({"callback_url": url} if url else {})
    pictures = [{"image_id": name, "image": PICTURE_BASE64} for name in "ab"]
    pictures.append({"image_id": "c", "image": "?"})
    return person.post("batch-identify", images=pictures, processing_options=options)


def run_tasks() -> int:
    """What django-q2 would do now with the callbacks that are due; how many tries."""
    rows = list(OrmQ.objects.all())
    OrmQ.objects.all().delete()
    if any(row.task["func"] == "batch.tasks.deliver" for row in rows):
        return callbacks.deliver_due()
    return 0


def finished_job(person: Person, receiver: Receiver) -> WebhookDelivery:
    data_of(submit(person, receiver.url), 202)
    work.work()
    return WebhookDelivery.objects.get()


def test_it_works(service: Person, receiver: Receiver, settings: Settings) -> None:
    settings.FACESVC_PUBLIC_URL = "https://faces.example"
    delivery = finished_job(service, receiver)
    run_tasks()
    ((headers, body),) = receiver.received
    job = Job.objects.get()
    assert headers[":path"] == "/hook?of=batch"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["webhook-id"] == delivery.message_id
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == f"facesvc/{__version__}"
    content = json.loads(body)
    assert content["type"] == "batch.completed"
    path = f"/api/v1/face-recognition/batch-jobs/{job.job_id}/results"
    assert content["data"] == {
        "job_id": job.job_id,
        "status": "completed",
        "total": 3,
        "succeeded": 2,
        "failed": 1,
        "skipped": 0,
        "unknown_people": None,
        "results_url": f"https://faces.example{path}",
    }
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("delivered", 1)
    (attempt,) = delivery.attempts.all()
    assert (attempt.status, attempt.error) == (200, "")


@pytest.mark.parametrize(("end", "kind"), [("cancel", "batch.cancelled"), ("late", "timed_out")])
def test_every_end_is_told(
    service: Person, receiver: Receiver, clock: Clock, end: str, kind: str
) -> None:
    job_id = data_of(submit(service, receiver.url), 202)["job_id"]
    if end == "cancel":
        service.post(f"batch-jobs/{job_id}/cancel")
    else:
        Job.objects.update(deadline_at=timezone.now())
        work.sweep()
    run_tasks()
    ((_, body),) = receiver.received
    event = json.loads(body)
    assert event["type"].endswith(kind)
    assert (event["data"]["failed"], event["data"]["skipped"]) == (1, 2)


# --- signatures -----------------------------------------------------------------------------------


def secret_of(client: str, *options: str) -> str:
    output = StringIO()
    call_command("webhook_secret", client, *options, stdout=output)
    return output.getvalue().strip()


def test_the_signature_verifies_independently(service: Person, receiver: Receiver) -> None:
    finished_job(service, receiver)
    run_tasks()
    ((headers, body),) = receiver.received
    secret = secret_of("app")
    assert secret.startswith("whsec_")
    assert Webhook(secret).verify(body, headers)["data"]["total"] == 3
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of("other")).verify(body, headers)


@pytest.mark.parametrize("part", ["body", "webhook-id", "webhook-timestamp", "webhook-signature"])
def test_one_byte_changed(service: Person, receiver: Receiver, part: str) -> None:
    finished_job(service, receiver)
    run_tasks()
    ((headers, body),) = receiver.received
    if part == "body":
        body = body.replace(b'"total": 3', b'"total": 4')
    else:
        changed = "1" if headers[part][9] != "1" else "2"
        headers = {**headers, part: headers[part][:9] + changed + headers[part][10:]}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of("app")).verify(body, headers)


def test_both_secrets_work_during_rotation(
    service: Person, receiver: Receiver, clock: Clock, settings: Settings
) -> None:
    old = secret_of("app")
    new = secret_of("app", "--rotate")
    assert old != new and secret_of("app") == new
    finished_job(service, receiver)
    run_tasks()
    ((headers, body),) = receiver.received
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    clock.forward(settings.FACESVC_WEBHOOK_ROTATION_HOURS * 3600 + 1)
    later = signing.headers("app", headers["webhook-id"], body)
    assert len(later["webhook-signature"].split()) == 1
    call_command("purge", stdout=StringIO())
    assert WebhookSecret.objects.count() == 1


def test_two_secrets_at_most(clock: Clock) -> None:
    """Who rotates twice in a day has the last two."""
    secrets = [secret_of("app"), *(secret_of("app", "--rotate") for _ in range(2))]
    headers = signing.headers("app", "msg_1", b"{}")
    assert len(headers["webhook-signature"].split()) == 2
    for secret in secrets[1:]:
        Webhook(secret).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(b"{}", headers)


def test_secrets_are_encrypted_and_rotate_with_the_keys(settings: Settings) -> None:
    secret = secret_of("app")
    old = settings.FACESVC_CROP_KEYS[0]
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode(), old]
    call_command("rotate_keys", stdout=StringIO())
    settings.FACESVC_CROP_KEYS = settings.FACESVC_CROP_KEYS[:1]
    assert secret_of("app") == secret
    settings.FACESVC_CROP_KEYS = [old]
    with pytest.raises(CommandError, match="no key"):
        secret_of("app")


def test_a_secret_that_cannot_be_read(
    service: Person, receiver: Receiver, settings: Settings
) -> None:
    delivery = finished_job(service, receiver)
    secret_of("app")
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    run_tasks()
    assert receiver.received == []
    assert "no key" in delivery.attempts.get().error


# --- receivers ------------------------------------------------------------------------------------


def delays_of(delivery: WebhookDelivery, clock: Clock, most: int = 20) -> list[float]:
    """Runs it to its end; the seconds between a failure and the next try."""
    delays = []
    run_tasks()
    while len(delays) < most:
        delivery.refresh_from_db()
        if delivery.next_attempt_at is None:
            return delays
        seconds = (delivery.next_attempt_at - timezone.now()).total_seconds()
        clock.forward(seconds - 1)
        work.sweep()
        assert run_tasks() == 0
        clock.forward(2)
        work.sweep()
        assert run_tasks() == 1
        delays.append(seconds)
    return delays


def check_delays(delays: list[float]) -> None:
    for seconds, least in zip(delays, DELAYS, strict=False):
        assert least - 2 <= seconds <= least * 1.2


def test_500_five_times(service: Person, settings: Settings, clock: Clock) -> None:
    with receiving(500, 500, 500, 500, 500, 204) as receiver:
        delivery = finished_job(service, allow(settings, receiver))
        delays = delays_of(delivery, clock)
    assert len(delays) == 5
    check_delays(delays)
    assert delivery.state == "delivered"
    assert {headers["webhook-id"] for headers, _ in receiver.received} == {delivery.message_id}
    assert len({body for _, body in receiver.received}) == 1
    statuses = delivery.attempts.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == [500] * 5 + [204]
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in receiver.received]
    assert stamps == sorted(set(stamps))


def test_down_for_the_whole_first_round(service: Person, settings: Settings, clock: Clock) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    delivery = finished_job(service, allow(settings, Receiver(port=port)))
    delays = delays_of(delivery, clock)
    assert len(delays) == len(DELAYS)
    check_delays(delays)
    assert (delivery.state, delivery.attempts.count()) == ("dead", len(DELAYS) + 1)
    assert all("refused" in attempt.error for attempt in delivery.attempts.all())
    with receiving(200) as receiver:
        WebhookEndpoint.objects.update(url=allow(settings, receiver).url)
        output = StringIO()
        call_command("replay_webhooks", "--dead", stdout=output)
        assert output.getvalue() == "1 callbacks are queued again.\n"
        run_tasks()
    assert [headers["webhook-id"] for headers, _ in receiver.received] == [delivery.message_id]
    delivery.refresh_from_db()
    assert delivery.state == "delivered"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(service: Person, settings: Settings, status: int) -> None:
    with receiving(status, 200) as receiver:
        delivery = finished_job(service, allow(settings, receiver))
        run_tasks()
    assert len(receiver.received) == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts.get().status) == ("pending", status)


def test_410_stops(service: Person, settings: Settings, clock: Clock) -> None:
    with receiving(410, 200) as receiver:
        delivery = finished_job(service, allow(settings, receiver))
        run_tasks()
        delivery.refresh_from_db()
        assert delivery.state == "stopped"
        clock.forward(10**6)
        work.sweep()
        assert run_tasks() == 0
        assert refusal(submit(service, receiver.url)) == (422, "invalid_callback_url")
        other = Person(service_token("other"), service.client)
        data_of(submit(other, receiver.url), 202)  # not another client's
        call_command("replay_webhooks", "--job", delivery.job.job_id, stdout=StringIO())
        run_tasks()
        data_of(submit(service, receiver.url), 202)
    delivery.refresh_from_db()
    assert delivery.state == "delivered"


def stopped(service: Person, settings: Settings) -> WebhookDelivery:
    with receiving(410) as receiver:
        delivery = finished_job(service, allow(settings, receiver))
        run_tasks()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.next_attempt_at) == ("stopped", None)
    return delivery


@pytest.mark.parametrize("way", ["all", "address", "admin"])
def test_the_way_out_of_410(
    service: Person, settings: Settings, operator: Client, way: str
) -> None:
    delivery = stopped(service, settings)
    endpoint = delivery.endpoint
    if way == "admin":
        fields = {"action": "enable", "_selected_action": [endpoint.pk]}
        assert operator.post("/admin/batch/webhookendpoint/", fields).status_code == 302
    else:
        address = [endpoint.url] if way == "address" else []
        call_command("replay_webhooks", "--stopped", *address, stdout=StringIO())
    delivery.refresh_from_db()
    endpoint.refresh_from_db()
    assert (delivery.state, endpoint.disabled_at) == ("pending", None)
    data_of(submit(service, endpoint.url), 202)
    events = AuditEvent.objects.filter(action__startswith="webhook.").order_by("pk")
    assert [event.action for event in events] == ["webhook.enable", "webhook.replay"]
    assert "of=batch" not in json.dumps(events[0].details)


def test_the_way_out_when_the_callbacks_are_gone(service: Person, settings: Settings) -> None:
    endpoint = stopped(service, settings).endpoint
    Job.objects.all().delete()
    assert refusal(submit(service, endpoint.url)) == (422, "invalid_callback_url")
    call_command("replay_webhooks", "--stopped", endpoint.url, stdout=StringIO())
    data_of(submit(service, endpoint.url), 202)
    with pytest.raises(CommandError, match="not stopped"):
        call_command("replay_webhooks", "--stopped", endpoint.url)


def test_addresses_go_with_their_last_callback(
    service: Person, settings: Settings, receiver: Receiver
) -> None:
    """Some have a secret in them; one that answered 410 stays refused."""
    first = finished_job(service, receiver)
    run_tasks()
    data_of(submit(service, f"{receiver.url}&other"), 202)
    work.work()
    run_tasks()
    gone = WebhookEndpoint.objects.create(client="app", url="a", disabled_at=timezone.now())
    past = timezone.now() - timedelta(days=settings.FACESVC_BATCH_RETENTION_DAYS, seconds=1)
    Job.objects.filter(pk=first.job_id).update(finished_at=past)
    call_command("purge", stdout=StringIO())
    (other,) = WebhookEndpoint.objects.exclude(pk=gone.pk)
    assert other.url == f"{receiver.url}&other"
    assert WebhookEndpoint.objects.filter(pk=gone.pk).exists()


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("close", "the receiver closed the connection without an answer"),
        ("drip", r"no answer within 0\.\d seconds"),
    ],
)
def test_a_receiver_without_an_answer(
    service: Person,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: str,
    error: str,
) -> None:
    if behaviour == "drip":
        monkeypatch.setattr(callbacks, "TOTAL_SECONDS", 0.5)
    with receiving(behaviour) as receiver:
        delivery = finished_job(service, allow(settings, receiver))
        run_tasks()
    delivery.refresh_from_db()
    attempt = delivery.attempts.get()
    assert (delivery.state, attempt.status) == ("pending", None)
    assert re.fullmatch(error, attempt.error)
    assert attempt.duration_ms < 3000


@pytest.mark.parametrize("cut", [True, False], ids=["cut off", "before it is cut off"])
def test_a_receiver_that_accepts_and_is_silent(
    service: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    monkeypatch.setattr(callbacks, "TOTAL_SECONDS", 0.3)
    if not cut:
        monkeypatch.setattr(exchange, "_cut", lambda sock: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = Receiver(port=server.getsockname()[1])
        delivery = finished_job(service, allow(settings, silent))
        run_tasks()
    attempt = delivery.attempts.get()
    assert attempt.duration_ms < 3000
    assert re.fullmatch(r"no answer within 0\.\d seconds", attempt.error)


def test_a_certificate_that_is_not_the_hosts(service: Person, settings: Settings) -> None:
    """https to a server that cannot speak for the name: no byte of the request is sent."""
    with receiving(200) as receiver:
        url = receiver.url.replace("http:", "https:")
        settings.WEBHOOK_ALLOWED_HOSTS = [f"127.0.0.1:{receiver.port}"]
        data_of(submit(service, url), 202)
        work.work()
        run_tasks()
    assert receiver.received == []
    assert "SSL" in WebhookDelivery.objects.get().attempts.get().error


@pytest.mark.parametrize(
    ("host", "known", "arrives"),
    [("app.lan", True, True), ("other.lan", True, False), ("app.lan", False, False)],
    ids=["right", "another host", "unknown authority"],
)
def test_the_certificate_counts(
    service: Person,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    host: str,
    known: bool,
    arrives: bool,
) -> None:
    """It must be the host's, and signed by whom this machine trusts."""
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    monkeypatch.setenv("SSL_CERT_FILE", str((authority if known else other).path))
    monkeypatch.setattr(exchange, "_tls", ssl.create_default_context)
    real = socket.getaddrinfo
    at_home = lambda name, *args, **options: real("127.0.0.1", *args, **options)  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", at_home)
    with receiving(200, tls=authority.server(host)) as receiver:
        settings.WEBHOOK_ALLOWED_HOSTS = [f"app.lan:{receiver.port}"]
        data_of(submit(service, f"https://app.lan:{receiver.port}/"), 202)
        work.work()
        run_tasks()
    assert len(receiver.received) == arrives
    error = WebhookDelivery.objects.get().attempts.get().error
    assert ("CERTIFICATE_VERIFY_FAILED" in error) != arrives


# --- at once --------------------------------------------------------------------------------------

concurrent = pytest.mark.django_db(transaction=True)


class Elsewhere:
    """A task on another connection, as another process would do it."""

    def __init__(self, task: Callable[[], Any]) -> None:
        def run() -> Any:
            try:
                return task()
            finally:
                connection.close()

        self._threads = ThreadPoolExecutor(1)
        self._running = self._threads.submit(run)

    def wait_until_it_waits(self) -> None:
        """For a lock of ours, unless it is done without one."""
        while not self._running.done():
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone()[0]:
                    return
            time.sleep(0.01)

    def result(self) -> Any:
        self._threads.shutdown()
        return self._running.result(20)


def two_callbacks(service: Person, receiver: Receiver) -> list[WebhookDelivery]:
    for _ in range(2):
        data_of(submit(service, receiver.url), 202)
    work.work()
    return list(WebhookDelivery.objects.order_by("pk"))


@concurrent
def test_410_for_two_callbacks_at_once(service: Person, receiver: Receiver) -> None:
    """Neither waits for what the other has: the address is locked before any callback is."""
    first, second = two_callbacks(service, receiver)
    with transaction.atomic():
        WebhookEndpoint.objects.select_for_update().get()
        other = Elsewhere(lambda: callbacks._judge(second, 410))
        other.wait_until_it_waits()
        callbacks._judge(first, 410)
    other.result()
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"stopped"}


@concurrent
def test_a_replay_while_410_comes(service: Person, receiver: Receiver) -> None:
    first, _ = two_callbacks(service, receiver)
    with transaction.atomic():
        WebhookEndpoint.objects.select_for_update().get()
        everything = WebhookDelivery.objects.all()
        other = Elsewhere(lambda: callbacks.replay(everything, actor="operator:test"))
        other.wait_until_it_waits()
        callbacks._judge(first, 410)
    assert other.result() == 2
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"pending"}


@concurrent
def test_a_job_that_ends_while_410_comes(service: Person, receiver: Receiver) -> None:
    first, _ = two_callbacks(service, receiver)
    data_of(submit(service, receiver.url), 202)
    with transaction.atomic():
        callbacks._judge(first, 410)
        other = Elsewhere(work.work)
        other.wait_until_it_waits()
    other.result()
    assert WebhookDelivery.objects.order_by("-pk")[0].state == "stopped"


@concurrent
def test_no_more_than_some_at_one_address_from_two_clusters(
    service: Person, receiver: Receiver
) -> None:
    two_callbacks(service, receiver)
    two_callbacks(service, receiver)
    with transaction.atomic():
        assert callbacks._claim() and callbacks._claim()
        other = Elsewhere(callbacks._claim)
        other.wait_until_it_waits()
    assert other.result() is None


# --- killed, twice, moved -------------------------------------------------------------------------


def test_a_task_that_runs_twice_tries_once(service: Person, receiver: Receiver) -> None:
    finished_job(service, receiver)
    assert (callbacks.deliver_due(), callbacks.deliver_due()) == (1, 0)
    assert len(receiver.received) == 1


def test_a_worker_killed_during_a_try(
    service: Person, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = finished_job(service, receiver)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(exchange, "send", lambda *args, **options: exit(9))
        run_tasks()
    work.sweep()
    assert run_tasks() == 0  # it may still be at it
    clock.forward(60)
    work.sweep()
    assert run_tasks() == 1
    assert [headers["webhook-id"] for headers, _ in receiver.received] == [delivery.message_id]
    errors = delivery.attempts.order_by("pk").values_list("error", flat=True)
    assert list(errors) == ["not finished", ""]


def test_workers_killed_at_every_try(
    service: Person, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost try takes its place in the list of delays, so there is an end."""
    delivery = finished_job(service, receiver)
    monkeypatch.setattr(exchange, "send", lambda *args, **options: exit(9))
    delays = []
    for _ in range(len(DELAYS) + 1):
        work.sweep()
        with pytest.raises(SystemExit):
            run_tasks()
        delivery.refresh_from_db()
        if delivery.next_attempt_at:
            delays.append((delivery.next_attempt_at - timezone.now()).total_seconds())
            clock.forward(delays[-1] + 1)
    check_delays(delays)
    assert (delivery.state, len(delays)) == ("dead", len(DELAYS))
    clock.forward(10**6)
    work.sweep()
    assert run_tasks() == 0


def test_a_try_that_fails_in_a_way_of_its_own(
    service: Person, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = finished_job(service, receiver)
    with monkeypatch.context() as patch:
        patch.setattr(signing, "headers", lambda *args: 1 / 0)
        run_tasks()
    assert delivery.attempts.get().error == "internal error: ZeroDivisionError"
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("pending", 1)


def test_no_more_than_some_at_one_address(service: Person, receiver: Receiver) -> None:
    """The others are not kept waiting by one who is slow."""
    for _ in range(4):
        data_of(submit(service, receiver.url), 202)
    other = f"{receiver.url}&other"
    data_of(submit(service, other), 202)
    work.work()
    claims = [callbacks._claim() for _ in range(4)]
    urls = [claim[0].endpoint.url for claim in claims if claim]
    assert urls == [receiver.url, receiver.url, other]
    for claim in claims[:1]:
        callbacks._try(*claim)
    assert callbacks._claim() is not None


def test_callbacks_do_not_keep_pictures_waiting(service: Person, receiver: Receiver) -> None:
    """However many are due, there is one task for them, and as many as ever for the pictures."""
    for _ in range(5):
        data_of(submit(service, receiver.url), 202)
    work.work()
    submit(service, receiver.url)
    functions = [row.task["func"] for row in OrmQ.objects.all()]
    assert functions.count("batch.tasks.deliver") == 1
    OrmQ.objects.filter(
        pk__in=[row.pk for row in OrmQ.objects.all() if "work" in row.func()]
    ).delete()
    work.sweep()
    functions = [row.task["func"] for row in OrmQ.objects.all()]
    assert sorted(functions) == ["batch.tasks.deliver", "batch.tasks.work"]


@pytest.mark.django_db(transaction=True)
def test_pictures_are_worked_on_during_a_slow_callback(
    service: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FACESVC_WEBHOOK_PORTS = [80]
    data_of(submit(service, "http://8.8.8.8/"), 202)
    work.work()
    data_of(submit(service, ""), 202)
    done: list[int] = []

    def slow(*args: Any, **options: Any) -> exchange.Answer:
        wait_until(lambda: not Picture.objects.exists())
        done.append(Picture.objects.count())
        return exchange.Answer(200, b"")

    monkeypatch.setattr(exchange, "send", slow)
    tasks.deliver()
    assert done == [0]
    assert WebhookDelivery.objects.get().state == "delivered"


def test_a_task_that_got_lost(service: Person, receiver: Receiver, clock: Clock) -> None:
    finished_job(service, receiver)
    OrmQ.objects.all().delete()
    work.sweep()
    assert run_tasks() == 1
    assert len(receiver.received) == 1


def test_a_name_that_moves_inside(
    service: Person, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public when submitted, private when delivered: nothing is sent."""
    settings.WEBHOOK_ALLOWED_HOSTS = []
    settings.FACESVC_WEBHOOK_PORTS = [receiver.port]
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    def resolve(host: str, port: int, **options: Any) -> Any:
        assert host == "app.example"
        return [(socket.AF_INET, 1, 6, "", (ip, port)) for ip in answers.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    data_of(submit(service, f"http://app.example:{receiver.port}/"), 202)
    work.work()
    run_tasks()
    assert receiver.received == []
    assert "not public" in WebhookDelivery.objects.get().attempts.get().error


def test_the_checked_address_is_the_one_that_is_used(
    service: Person, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is looked up once for a try, whatever it means a moment later."""
    settings.WEBHOOK_ALLOWED_HOSTS = [f"app.lan:{receiver.port}"]
    asked = []
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host == "app.lan":
            asked.append(host)
            host = "127.0.0.1"
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    data_of(submit(service, f"http://app.lan:{receiver.port}/"), 202)
    work.work()
    asked.clear()
    run_tasks()
    ((headers, _),) = receiver.received
    assert headers["host"] == f"app.lan:{receiver.port}"
    assert asked == ["app.lan"]


def test_no_proxy_of_the_environment(
    service: Person, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    finished_job(service, receiver)
    run_tasks()
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "https://localhost/", "https://10.0.0.1/", "ftp://x/", "nonsense"]
)
def test_refused_at_submission(service: Person, url: str) -> None:
    assert refusal(submit(service, url)) == (422, "invalid_callback_url")
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_names_are_looked_up_outside_of_the_transaction(
    service: Person, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That may take seconds. And a repeated request gets its answer, whatever a name means now."""
    check, inside = addresses.check, []

    def watched(url: str) -> Any:
        inside.append(connection.in_atomic_block)
        return check(url)

    monkeypatch.setattr(addresses, "check", watched)
    headers = {"Idempotency-Key": "k"}
    options = {"async": True, "callback_url": receiver.url}
    pictures = [{"image_id": "a", "image": PICTURE_BASE64}]
    body = json.dumps({"images": pictures, "processing_options": options})

    def send() -> Any:
        return service.send(
            "post", "batch-identify", body, content_type="application/json", headers=headers
        )

    first = data_of(send(), 202)
    monkeypatch.setattr(addresses, "check", refuse)
    assert data_of(send(), 202) == first
    assert inside == [False]


def refuse(url: str) -> Any:
    raise addresses.RefusedError("The host has no address.")


# --- operators ------------------------------------------------------------------------------------


@pytest.fixture
def operator(client: Client, settings: Settings) -> Client:
    settings.SESSION_COOKIE_SECURE = False
    client.force_login(Operator.objects.create_superuser("op", password="x"))
    return client


def test_replay_from_the_admin(
    service: Person, receiver: Receiver, operator: Client, clock: Clock
) -> None:
    delivery = finished_job(service, receiver)
    WebhookDelivery.objects.update(state="dead", next_attempt_at=None, tries=10)
    OrmQ.objects.all().delete()
    answer = operator.post(
        "/admin/batch/webhookdelivery/", {"action": "replay", "_selected_action": [delivery.pk]}
    )
    assert answer.status_code == 302
    assert run_tasks() == 1
    assert len(receiver.received) == 1


def test_the_admin_shows_counts(service: Person, receiver: Receiver, operator: Client) -> None:
    job_id = data_of(submit(service, receiver.url), 202)["job_id"]
    waiting = operator.get("/admin/batch/job/").content.decode()
    service.post(f"batch-jobs/{job_id}/cancel")
    ended = operator.get("/admin/batch/job/").content.decode()
    progress = [re.findall(r'field-progress">([^<]*)<', page) for page in (waiting, ended)]
    assert progress == [["3: 1 failed, 2 wait"], ["3: 1 failed, 2 skipped"]]
    assert "waits for its next try" in ended


def test_the_admin_shows_no_secrets(service: Person, receiver: Receiver, operator: Client) -> None:
    delivery = finished_job(service, receiver)
    run_tasks()
    pages = [
        operator.get(f"/admin/batch/{path}")
        for path in (
            "",
            "job/",
            f"job/{delivery.job_id}/change/",
            "webhookdelivery/",
            f"webhookdelivery/{delivery.pk}/change/",
            "webhookendpoint/",
            f"webhookendpoint/{delivery.endpoint_id}/change/",
        )
    ]
    assert {page.status_code for page in pages} == {200}
    text = " ".join(page.content.decode() for page in pages)
    assert "whsec_" not in text and "v1," not in text and "sealed" not in text
    assert "of=batch" not in text
    assert operator.get("/admin/batch/webhooksecret/").status_code == 404
    assert operator.get("/admin/django_q/schedule/").status_code == 404
    assert operator.post(f"/admin/batch/job/{delivery.job_id}/delete/").status_code == 403


def test_the_admin_needs_a_login(client: Client) -> None:
    answer = client.get("/admin/batch/job/")
    assert answer.status_code == 302 and "/admin/login/" in answer["Location"]
    assert client.get("/static/admin/css/base.css").status_code == 200


def test_staff_without_the_right_cannot_replay(
    service: Person, receiver: Receiver, client: Client, settings: Settings
) -> None:
    settings.SESSION_COOKIE_SECURE = False
    delivery = finished_job(service, receiver)
    WebhookDelivery.objects.update(state="dead", next_attempt_at=None)
    staff = Operator.objects.create_user("staff", password="x", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename="view_webhookdelivery"))
    client.force_login(staff)
    path = "/admin/batch/webhookdelivery/"
    assert client.get(path).status_code == 200
    client.post(path, {"action": "replay", "_selected_action": [delivery.pk]})
    delivery.refresh_from_db()
    assert delivery.state == "dead"


def test_a_replay_from_another_site(
    service: Person, receiver: Receiver, settings: Settings
) -> None:
    settings.SESSION_COOKIE_SECURE = False
    delivery = finished_job(service, receiver)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(Operator.objects.create_superuser("op", password="x"))
    fields = {"action": "replay", "_selected_action": [delivery.pk]}
    assert strict.post("/admin/batch/webhookdelivery/", fields).status_code == 403


def test_replays_are_noted(service: Person, receiver: Receiver, operator: Client) -> None:
    delivery = finished_job(service, receiver)
    fields = {"action": "replay", "_selected_action": [delivery.pk]}
    operator.post("/admin/batch/webhookdelivery/", fields)
    call_command("replay_webhooks", "--job", delivery.job.job_id, stdout=StringIO())
    events = AuditEvent.objects.filter(action="webhook.replay").order_by("pk")
    assert [event.actor for event in events] == ["operator:op", "command:replay_webhooks"]
    assert events[0].details == {"message_id": delivery.message_id}


def test_the_list_shows_no_query_of_an_address(
    service: Person, receiver: Receiver, operator: Client
) -> None:
    finished_job(service, receiver)
    page = operator.get("/admin/batch/webhookdelivery/").content.decode()
    assert "/hook" in page and "of=batch" not in page


def test_jobs_that_are_not_there() -> None:
    with pytest.raises(CommandError, match="job_1"):
        call_command("replay_webhooks", "--job", "job_1")
