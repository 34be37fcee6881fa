"""The pages of the operators that are no person's, in a real browser."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

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
from recognition import audit
from recognition.models import AuditEvent, CountedKind, DailyCount, FailureCount, User
from tests.browser.driving import PHONE, Browser
from tests.browser.moderators import check, log_in
from tests.support.builders import FRIEND, OWNER, make_face, make_user, vector

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
# How often on a day; the month gets busier.
COUNTS: dict[CountedKind, dict[str, int]] = {
    CountedKind.ENROLMENT: {"": 12},
    CountedKind.VERIFICATION: {
        "success": 310,
        "no_match": 24,
        "rejected": 5,
        "no_face_detected": 8,
    },
    CountedKind.SEARCH: {"found": 120, "not_found": 48, "no_face": 4},
    CountedKind.REFUSAL: {"no_face": 9, "low_quality": 7, "rate_limited": 4},
}


@pytest.fixture(autouse=True)
def over_http(settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False


def make_days() -> None:
    today = timezone.localdate()
    DailyCount.objects.bulk_create(
        DailyCount(
            day=today - timedelta(days=ago), kind=kind, label=label, count=each * (60 - ago) // 40
        )
        for ago in range(30)
        for kind, labels in COUNTS.items()
        for label, each in labels.items()
    )


def make_rows() -> tuple[Job, WebhookDelivery]:
    """A person with a face, one who is locked, an open job, and one whose callback was given up."""
    obama = make_user(OWNER, display_name="Barack Obama")
    face = make_face(obama, vector(0))
    locked = make_user(FRIEND, display_name="Eileen Collins")
    now = timezone.now()
    FailureCount.objects.create(
        user=locked, source="own", failures=50, locked_at=now, last_failure_at=now
    )
    events: list[tuple[str, str, dict[str, Any]]] = [
        ("service:app", "face.register", {"user_id": OWNER, "face_id": face.face_id}),
        ("operator:mia", "user.suspend", {"user_id": OWNER, "reason": "asked to"}),
        (f"user:{FRIEND}", "friendship.create", {"user_id": FRIEND, "friend_id": str(OWNER)}),
        ("operator:mia", "user.unsuspend", {"user_id": OWNER}),
    ]
    for actor, action, about in events:
        audit.note(actor, action, **about)
    make_job(ended=False)
    ended = make_job(ended=True)
    endpoint = WebhookEndpoint.objects.create(client="app", url=ended.callback_url)
    WebhookEndpoint.objects.create(
        client="app", url="https://old.example.com/faces", disabled_at=now
    )
    delivery = WebhookDelivery.objects.create(
        job=ended, endpoint=endpoint, body="{}", state=DeliveryState.DEAD
    )
    WebhookAttempt.objects.create(delivery=delivery, status=503, duration_ms=240)
    WebhookAttempt.objects.create(delivery=delivery, error="timed out", duration_ms=10_000)
    return ended, delivery


def make_job(*, ended: bool) -> Job:
    now = timezone.now()
    job = Job.objects.create(
        kind=Kind.REGISTER,
        subject="app",
        scopes=[],
        options={},
        total=4,
        callback_url="https://app.example.com/faces",
        deadline_at=now + timedelta(hours=1),
        status="processing",
        started_at=now,
    )
    error = {"code": "no_face", "message": "No face was found in the picture.", "details": {}}
    states = {
        "ann.jpg": ItemState.SUCCESS,
        "wall.jpg": ItemState.ERROR,
        "bob.jpg": ItemState.SUCCESS,
    }
    results = {ItemState.ERROR: error, ItemState.SUCCESS: {}}
    for name, state in states.items():
        Item.objects.create(job=job, image_id=name, state=state, result=results[state])
    if not ended:
        Item.objects.create(job=job, image_id="waits.jpg")
        return job
    Item.objects.create(job=job, image_id="late.jpg", state=ItemState.SUCCESS, result={})
    Job.objects.filter(pk=job.pk).update(status="completed", finished_at=now)
    return job


def test_every_page_can_be_read_by_everybody(browser: Browser) -> None:
    """By axe-core, on a desk, on a phone and in the dark; the fixture looks at the console."""
    make_days()
    job, delivery = make_rows()
    log_in(browser, "moderator")
    event = AuditEvent.objects.get(action="user.suspend")
    pages = {
        "overview": "",
        "audit": "recognition/auditevent/",
        "event": f"recognition/auditevent/{event.pk}/change/",
        "model": "recognition/activemodel/",
        "jobs": "batch/job/",
        "job": f"batch/job/{job.pk}/change/",
        "callbacks": "batch/webhookdelivery/",
        "callback": f"batch/webhookdelivery/{delivery.pk}/change/",
        "addresses": "batch/webhookendpoint/",
    }
    for name, path in pages.items():
        check(browser, f"/admin/{path}", f"admin-{name}")


def test_the_login_can_be_read_by_everybody(
    browser: Browser, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(browser, "/admin/login/", "admin-login")
    settings.CSRF_COOKIE_SECURE = True
    monkeypatch.setattr("facesvc.operators.site._LOCAL", ())  # as if it were another machine
    check(browser, "/admin/login/", "admin-login-http")
    assert "You cannot log in at this address" in browser.text()


def test_a_moderator_reads_what_was_just_done(browser: Browser) -> None:
    make_rows()
    account = log_in(browser, "moderator")
    actor = f"operator:{account.username}"
    browser.open("/admin/")
    browser.click(".needs a", "Locked")
    browser.click("#result_list input.action-select")
    choose(browser, "Unlock: forget the selected failures")
    browser.find(".messagelist", "forgotten")
    browser.open("/admin/")
    browser.click(".needs a", "Callbacks given up")
    browser.click("#result_list th a")
    browser.click("button", "SEND AGAIN")
    browser.find(".messagelist", "sent again: 1")
    open_job = Job.objects.get(finished_at=None)
    browser.open(f"/admin/batch/job/{open_job.pk}/change/")
    browser.click("button", "CANCEL THIS JOB")
    assert browser.axe() == []
    browser.screenshot("admin-cancel-job")
    browser.click("input[value='Cancel 1 job']")
    browser.find(".messagelist", open_job.job_id)

    browser.open("/admin/recognition/auditevent/?by=operator")
    log = browser.read("#result_list")
    assert f"{actor} unlocked Eileen Collins" in log
    assert f"{actor} sent the callback" in log
    assert f"{actor} cancelled the job {open_job.job_id}" in log
    browser.click("#result_list a", "Eileen Collins")
    browser.find("h1", "Eileen Collins")
    browser.open("/admin/")
    recent = browser.read("#recent-actions-module")
    assert "Eileen Collins" in recent and open_job.job_id in recent
    assert Job.objects.get(pk=open_job.pk).status == "cancelled"
    assert not FailureCount.objects.filter(user=User.objects.get(pk=FRIEND)).exists()


def choose(browser: Browser, action: str) -> None:
    browser.click("select[name=action] option", action)
    browser.click("button[name=index]")


def test_by_keyboard(browser: Browser) -> None:
    """The table of a plot opens without a mouse."""
    make_days()
    log_in(browser, "viewer")
    browser.open("/admin/")
    summary = browser.find(".plot summary", "Each day as a table")
    browser.run("arguments[0].focus()", summary)
    summary.send_keys("\n")
    assert browser.find(".plot details[open] td")
    browser.resize(*PHONE)
    assert browser.overflow() <= 0


def test_words_stay_whole_on_a_phone(browser: Browser) -> None:
    """In the tables of the active model, whose cells are narrow; the button is one box."""
    make_rows()
    log_in(browser, "administrator")
    browser.open("/admin/recognition/activemodel/")
    browser.resize(*PHONE)
    words = ".scrolls th[scope=row], .scrolls td:not(:last-child)"
    lines = browser.run(f"""
        return [...document.querySelectorAll({words!r})].map(cell => {{
            const range = document.createRange();
            range.selectNodeContents(cell);
            return [cell.textContent, range.getClientRects().length];
        }})""")
    assert ["standard", 1] in lines
    assert [text for text, count in lines if count > len(text.split())] == []
    boxes = browser.run("return document.querySelector('a.button').getClientRects().length")
    assert boxes == 1
    assert browser.overflow() <= 0
