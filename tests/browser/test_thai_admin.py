"""The admin pages in Thai: no English is left, and nothing is wider than a phone."""

import pytest
from django.utils import timezone
from pytest_django import Settings

from recognition.models import AuditEvent, Face, FailureCount, User
from recognition.models.duplicates import PossibleDuplicate
from tests.browser.driving import DESKTOP, Browser
from tests.browser.moderators import (
    COLLINS,
    HANKS,
    enrol,
    log_in,
    make_people,
    set_up,
    wait_for_pictures,
)
from tests.browser.test_operators import make_days, make_rows
from tests.browser.thai import PHONE, english
from tests.support.photos import six_people

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
NAMES = (
    *("Eileen Collins", "Tom Hanks", "Barack Obama", "A party guest", "operator0", "dlib"),
    *("ann.jpg", "wall.jpg", "bob.jpg", "waits.jpg", "late.jpg", "app.example.com/faces"),
    *(
        "operator",
        "app",
        "hiking",
        "administrator",
        "moderator",
        "viewer",
        "system",
        "test",
        "410 Gone",
    ),
    # What an app or a reason says, and errors of the API.
    *("asked to", "No face was found in the picture.", "timed out", "primary", "Primary"),
    # Django's own scripts and pictures have no Thai for these.
    *("selected", "Search", "True", "“Control”", "“Command”", "Mac"),
)


@pytest.fixture(autouse=True)
def in_thai(settings: Settings, browser: Browser) -> None:
    set_up(settings)
    browser.open("/?language=th")


def check(browser: Browser, where: str) -> list[str]:
    """What is wrong with the page, on a desk and on a phone."""
    wait_for_pictures(browser)
    wrong = [f"{where}: {word}" for word in english(browser, *NAMES)]
    wrong += [f"{where}: {each}" for each in browser.axe()]
    if browser.overflow() > 0:
        wrong.append(f"{where}: {browser.overflow()} pixels too wide at {browser.size}")
    return wrong


def visit(browser: Browser, pages: dict[str, str]) -> list[str]:
    wrong = []
    for size in (DESKTOP, PHONE):
        browser.resize(*size)
        for name, path in pages.items():
            browser.open(path)
            wrong += check(browser, name)
    browser.resize(*DESKTOP)
    return wrong


def test_people(browser: Browser) -> None:
    make_people()
    enrol(COLLINS, six_people(), face_index=1, check_quality=False, keeps_picture=False)
    now = timezone.now()
    FailureCount.objects.create(user_id=COLLINS, source="own", failures=7, last_failure_at=now)
    User.objects.filter(pk=HANKS).update(suspended_at=now)
    face, other = Face.objects.filter(user=COLLINS).first(), Face.objects.filter(user=HANKS).first()
    assert face and other
    pair = PossibleDuplicate.objects.create(
        user_a_id=HANKS, user_b_id=COLLINS, face_a=other, face_b=face, confidence=0.93
    )
    wrong = visit(browser, {"login": "/admin/login/"})
    log_in(browser, "moderator")
    people, faces = "/admin/recognition/user/", "/admin/recognition/face/"
    pages = {
        "people": people,
        "person": f"{people}{COLLINS}/change/",
        "history": f"{people}{COLLINS}/history/",
        "suspend": f"{people}{COLLINS}/suspend/",
        "erase": f"{people}{COLLINS}/erase/",
        "choose": f"{people}{COLLINS}/merge/?q=han",
        "merge": f"{people}{COLLINS}/merge/?person={HANKS}",
        "faces": faces,
        "faces-list": f"{faces}?view=list",
        "face": f"{faces}{face.pk}/change/",
        "face-move": f"{faces}{face.pk}/move/?person={HANKS}",
        "find-by-photo": f"{faces}find-by-photo/",
        "duplicates": "/admin/recognition/possibleduplicate/",
        "duplicate": f"/admin/recognition/possibleduplicate/{pair.pk}/change/",
        "sessions": "/admin/recognition/session/",
        "attempts": "/admin/recognition/attempt/",
        "failures": "/admin/recognition/failurecount/",
    }
    wrong += visit(browser, pages)
    assert not wrong, "\n".join(wrong)


def test_operators(browser: Browser) -> None:
    make_days()
    job, delivery = make_rows()
    log_in(browser, "administrator")
    event = AuditEvent.objects.get(action="user.suspend")
    pages = {
        "overview": "/admin/",
        "audit": "/admin/recognition/auditevent/",
        "event": f"/admin/recognition/auditevent/{event.pk}/change/",
        "model": "/admin/recognition/activemodel/",
        "measure": "/admin/recognition/activemodel/measure/dlib/",
        "jobs": "/admin/batch/job/",
        "job": f"/admin/batch/job/{job.pk}/change/",
        "callbacks": "/admin/batch/webhookdelivery/",
        "callback": f"/admin/batch/webhookdelivery/{delivery.pk}/change/",
        "addresses": "/admin/batch/webhookendpoint/",
        "operators": "/admin/auth/user/",
    }
    wrong = visit(browser, pages)
    assert not wrong, "\n".join(wrong)
