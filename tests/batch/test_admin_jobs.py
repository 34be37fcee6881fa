"""Jobs and callbacks in the admin: shown in words, cancelled, sent again, and noted."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from batch.models import (
    DeliveryState,
    Item,
    ItemState,
    Job,
    Kind,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from recognition.models import AuditEvent
from tests.support.builders import OWNER, make_user

pytestmark = pytest.mark.django_db
JOBS, CALLBACKS = "/admin/batch/job/", "/admin/batch/webhookdelivery/"
ADDRESSES = "/admin/batch/webhookendpoint/"


def operator(client: Client, settings: Settings, group: str) -> Client:
    settings.SESSION_COOKIE_SECURE = False
    account = User.objects.create_user("mia", is_staff=True)
    account.groups.add(Group.objects.get(name=group))
    client.force_login(account)
    return client


@pytest.fixture
def moderator(client: Client, settings: Settings) -> Client:
    return operator(client, settings, "moderator")


@pytest.fixture
def viewer(client: Client, settings: Settings) -> Client:
    return operator(client, settings, "viewer")


def text_of(answer: HttpResponse) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def make_job(*states: ItemState, ended: bool = False) -> Job:
    now = timezone.now()
    job = Job.objects.create(
        kind=Kind.REGISTER,
        subject="app",
        scopes=[],
        options={"secret": "an option"},
        total=len(states),
        callback_url="https://app.example/hook?key=hidden",
        deadline_at=now + timedelta(hours=1),
        status="completed" if ended else "processing",
        finished_at=now if ended else None,
    )
    error = {"code": "no_face", "message": "No face was found in the picture.", "details": {}}
    results = {ItemState.ERROR: error, ItemState.SUCCESS: {"candidates": ["somebody"]}}
    Item.objects.bulk_create(
        Item(job=job, image_id=f"picture {at}", state=state, result=results.get(state))
        for at, state in enumerate(states)
    )
    return job


def make_callback(job: Job, state: DeliveryState = DeliveryState.DEAD) -> WebhookDelivery:
    endpoint, _ = WebhookEndpoint.objects.get_or_create(client="app", url=job.callback_url)
    delivery = WebhookDelivery.objects.create(
        job=job,
        endpoint=endpoint,
        body='{"secret": "body"}',
        state=state,
        next_attempt_at=timezone.now() if state == DeliveryState.PENDING else None,
    )
    WebhookAttempt.objects.create(delivery=delivery, status=500, duration_ms=120)
    WebhookAttempt.objects.create(delivery=delivery, error="timed out", duration_ms=10_000)
    return delivery


def act(client: Client, address: str, name: str, row: object, **more: str) -> HttpResponse:
    fields = {"action": name, "index": 0, "_selected_action": [row.pk], **more}  # type: ignore[attr-defined]
    return client.post(address, fields, follow=True)


def test_it_works(moderator: Client) -> None:
    job = make_job(ItemState.SUCCESS, ItemState.ERROR, ItemState.PENDING)
    text = text_of(moderator.get(JOBS))
    assert (
        "3: 1 done, 1 failed, 1 wait" in text and "Register: processing" in text and "app" in text
    )
    page = text_of(moderator.get(f"{JOBS}{job.pk}/change/"))
    assert "picture 1 no_face: No face was found in the picture." in page
    assert "Cancel this job" in page
    for secret in ("hidden", "an option", "candidates", "somebody"):
        assert secret not in page and secret not in text


def test_a_job_of_a_person_has_the_name(moderator: Client) -> None:
    make_user(OWNER, display_name="Ann")
    job = make_job(ItemState.PENDING)
    Job.objects.filter(pk=job.pk).update(user_id=OWNER, subject=str(OWNER))
    assert "Ann" in text_of(moderator.get(JOBS))


def test_cancelling_asks_first(moderator: Client) -> None:
    job = make_job(ItemState.SUCCESS, ItemState.PENDING)
    question = text_of(act(moderator, JOBS, "cancel", job))
    assert "This cannot be undone" in question and job.job_id in question
    job.refresh_from_db()
    assert job.finished_at is None
    answer = act(moderator, JOBS, "cancel", job, confirmed="yes")
    job.refresh_from_db()
    assert f"Cancelled: {job.job_id}." in text_of(answer) and job.status == "cancelled"
    assert set(job.items.values_list("state", flat=True)) == {"success", "skipped"}
    event = AuditEvent.objects.get(action="job.cancel")
    assert event.actor == "operator:mia" and event.details["job_id"] == job.job_id
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.get_change_message()) == (job.job_id, "Cancelled")
    assert "Cancelled" in text_of(moderator.get(f"{JOBS}{job.pk}/history/"))
    assert job.job_id in text_of(moderator.get("/admin/"))


def test_what_has_ended_is_not_cancelled(moderator: Client) -> None:
    job = make_job(ItemState.SUCCESS, ended=True)
    answer = act(moderator, JOBS, "cancel", job, confirmed="yes")
    assert "nothing was cancelled" in text_of(answer)
    assert not AuditEvent.objects.exists() and not LogEntry.objects.exists()
    assert "Cancel this job" not in text_of(moderator.get(f"{JOBS}{job.pk}/change/"))


def test_open_and_ended_jobs(moderator: Client) -> None:
    waiting, ended = make_job(ItemState.PENDING), make_job(ItemState.SUCCESS, ended=True)
    for value, expected in (("no", waiting), ("yes", ended)):
        assert list(moderator.get(f"{JOBS}?ended={value}").context["cl"].result_list) == [expected]
    found = moderator.get(f"{JOBS}?q={ended.job_id[:10]}").context["cl"].result_list
    assert list(found) == [ended]


def test_a_callback_is_sent_again(moderator: Client) -> None:
    delivery = make_callback(make_job(ItemState.SUCCESS, ended=True))
    text = text_of(moderator.get(CALLBACKS))
    assert "given up after the last try" in text and "2, the last one: timed out" in text
    page = text_of(moderator.get(f"{CALLBACKS}{delivery.pk}/change/"))
    assert "status 500" in page and "10.00 s" in page and "Send again" in page
    assert "hidden" not in page and "secret" not in page
    answer = act(moderator, CALLBACKS, "replay", delivery)
    assert "Callbacks that are sent again: 1." in text_of(answer)
    delivery.refresh_from_db()
    assert delivery.state == "pending" and delivery.tries == 0
    assert AuditEvent.objects.get(action="webhook.replay").actor == "operator:mia"
    assert LogEntry.objects.get().get_change_message() == "Sent again"


def test_an_address_is_enabled(moderator: Client) -> None:
    delivery = make_callback(make_job(ItemState.SUCCESS, ended=True), DeliveryState.STOPPED)
    endpoint = delivery.endpoint
    WebhookEndpoint.objects.update(disabled_at=timezone.now())
    assert "it answered 410 Gone" in text_of(moderator.get(f"{ADDRESSES}?disabled=yes"))
    page = text_of(moderator.get(f"{ADDRESSES}{endpoint.pk}/change/"))
    assert "Enable again" in page and "hidden" not in page
    answer = act(moderator, ADDRESSES, "enable", endpoint)
    assert "Addresses enabled again: 1. Callbacks sent again: 1." in text_of(answer)
    assert LogEntry.objects.get().get_change_message() == "Enabled again"
    assert "gets callbacks" in text_of(moderator.get(f"{ADDRESSES}?disabled=no"))


@pytest.mark.parametrize("address", [JOBS, CALLBACKS, ADDRESSES])
def test_a_viewer_looks_and_does_nothing(viewer: Client, address: str) -> None:
    job = make_job(ItemState.PENDING)
    delivery = make_callback(job)
    WebhookEndpoint.objects.update(disabled_at=timezone.now())
    row = {JOBS: job, CALLBACKS: delivery, ADDRESSES: delivery.endpoint}[address]
    page = text_of(viewer.get(f"{address}{row.pk}/change/"))
    assert not [word for word in ("Cancel this", "Send again", "Enable again") if word in page]
    for name in ("cancel", "replay", "enable"):
        act(viewer, address, name, row, confirmed="yes")
    job.refresh_from_db()
    delivery.refresh_from_db()
    assert job.finished_at is None and delivery.state == "dead"
    assert WebhookEndpoint.objects.get().disabled_at
    assert not AuditEvent.objects.exists() and not LogEntry.objects.exists()


def test_a_viewer_sees_pictures_and_tries(viewer: Client) -> None:
    delivery = make_callback(make_job(ItemState.ERROR))
    assert "no_face" in text_of(viewer.get(f"{JOBS}{delivery.job_id}/change/"))
    assert "status 500" in text_of(viewer.get(f"{CALLBACKS}{delivery.pk}/change/"))


def test_lists_ask_the_same_however_long(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(12):
        make_callback(make_job(ItemState.SUCCESS, ItemState.ERROR, ended=True))
    for address in (JOBS, CALLBACKS, ADDRESSES):
        with django_assert_max_num_queries(12) as queries:
            assert viewer.get(address).status_code == 200
        assert not [each["sql"] for each in queries if "count(*)" in each["sql"].lower()]


@pytest.mark.parametrize("address", [JOBS, CALLBACKS, ADDRESSES])
@pytest.mark.parametrize("key", ["0", "x", "99999999999999999999"])
def test_a_row_that_is_not_there(moderator: Client, address: str, key: str) -> None:
    assert moderator.get(f"{address}{key}/change/").status_code == 302
