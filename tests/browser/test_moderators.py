"""A moderator's day in a real browser: find people, act, decide; what a viewer cannot do."""

import json
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from batch import tasks
from recognition.access import SCOPES
from recognition.inference.arrays import Image
from recognition.models import AuditEvent, Face, FailureCount, PossibleDuplicate, User
from tests.browser.driving import ASTRONAUT, PHONE, Browser, moving
from tests.browser.moderators import (
    COLLINS,
    GUEST,
    HANKS,
    brighter,
    check,
    enrol,
    log_in,
    make_people,
    set_up,
    wait_for_pictures,
)
from tests.support.builders import Person, data_of, service_token
from tests.support.photos import astronaut, coffee, jpeg, resized, six_people, tom_hanks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PEOPLE, FACES = "/admin/recognition/user/", "/admin/recognition/face/"
TWIN = UUID("7714f000-0000-4000-8000-000000000004")


@pytest.fixture(autouse=True)
def people(settings: Settings) -> None:
    set_up(settings)
    make_people()


@pytest.fixture
def service() -> Person:
    return Person(service_token("app", SCOPES), Client())


def press(browser: Browser, text: str) -> None:
    """A link or a button that says just this; then the next page is there."""

    def target() -> WebElement | None:
        for each in browser.all("main a, main input[type=submit]"):
            said = (each.get_attribute("textContent") or "").strip()
            if text in (said, each.get_attribute("value")):
                return each
        return None

    page = browser.find("html")
    browser.wait(target).click()
    browser.wait(lambda: browser.find("html") != page)


def found(service: Person, image: Image) -> list[str]:
    """Who is named by a search of everybody's public faces."""
    body = jpeg(image)
    answer = data_of(service.send("post", "identify", body, content_type="image/jpeg"))
    return [each["user_id"] for each in answer["candidates"]]


def test_a_moderator_finds_people(browser: Browser, tmp_path: Path) -> None:
    log_in(browser, "moderator")
    browser.open(PEOPLE)
    browser.type("#searchbar", "collins", Keys.ENTER)
    browser.click("#result_list a", "Eileen Collins")
    browser.find("h1", "Eileen Collins")
    assert browser.find("img.face-picture") and "hiking" in browser.text()
    User.objects.filter(pk=COLLINS).update(suspended_at=timezone.now(), privacy_level="private")
    photo = tmp_path / "who.jpg"
    photo.write_bytes(jpeg(brighter(astronaut())))
    browser.open(PEOPLE)
    press(browser, "Find by photo")
    browser.type("[type=file]", str(photo))
    press(browser, "Search")
    card = browser.read(".card", "Eileen Collins")
    assert "Person suspended" in card and "Confidence" in card
    wait_for_pictures(browser)
    assert browser.axe() == []
    browser.screenshot("admin-find-by-photo")
    browser.resize(*PHONE)
    assert browser.overflow() <= 0
    assert AuditEvent.objects.filter(action="face.find_by_photo").count() == 1
    nobody = tmp_path / "coffee.jpg"
    nobody.write_bytes(jpeg(coffee()))
    browser.type("[type=file]", str(nobody))
    press(browser, "Search")
    assert browser.find(".errornote", "There is no face on this photo")


def is_verified(service: Person, photo: bytes) -> bool:
    answer = service.send("post", f"verify?user_id={COLLINS}", photo, content_type="image/jpeg")
    return answer.status_code == 200 and data_of(answer)["is_match"]


def can_log_in(service: Person, photo: bytes) -> bool:
    opened = service.post("sessions", user_id=COLLINS, purpose="login")
    if opened.status_code != 201:
        return False
    session = data_of(opened, 201)["session_id"]
    query = urlencode({"user_id": COLLINS, "metadata": json.dumps({"session_id": session})})
    service.send("post", f"verify?{query}", photo, content_type="image/jpeg")
    return bool(data_of(service.get(f"sessions/{session}"))["state"] == "verified")


def test_a_suspended_person_is_unknown(
    browser: Browser, service: Person, settings: Settings
) -> None:
    settings.FACESVC_STRICT_CHECKS = []
    log_in(browser, "moderator")
    photo = jpeg(astronaut())
    # No picture may come twice to a login, and no enrolled one.
    left, middle, right = map(jpeg, moving(astronaut(), ASTRONAUT)[30::30])
    assert found(service, astronaut()) == [str(COLLINS)]
    assert is_verified(service, photo) and can_log_in(service, left)
    browser.open(f"{PEOPLE}{COLLINS}/change/")
    press(browser, "Suspend…")
    browser.type("#id_reason", "Somebody else's photos")
    press(browser, "Suspend")
    assert browser.find(".chip.is-bad", "Suspended since")
    assert found(service, astronaut()) == []
    assert not is_verified(service, photo) and not can_log_in(service, middle)
    press(browser, "End the suspension…")
    press(browser, "End the suspension")
    assert browser.find(".chip.is-good", "Active")
    assert found(service, astronaut()) == [str(COLLINS)]
    assert is_verified(service, photo) and can_log_in(service, right)
    press(browser, "History")
    assert "Suspended: Somebody else's photos" in browser.text()
    browser.open("/admin/")
    assert "Eileen Collins" in browser.read("#recent-actions-module")


def test_possible_duplicates_are_decided(browser: Browser) -> None:
    for user_id, image, name in (
        (TWIN, brighter(astronaut()), "E. Collins"),
        (GUEST, brighter(resized(tom_hanks(), 3)), "A party guest"),
    ):
        User.objects.update_or_create(pk=user_id, defaults={"display_name": name})
        enrol(user_id, image, check_quality=False)
    tasks.search_new_faces()
    assert PossibleDuplicate.objects.filter(state="open").count() == 2
    log_in(browser, "moderator")
    duplicates = "/admin/recognition/possibleduplicate/"
    check(browser, duplicates, "admin-duplicates")
    pair = PossibleDuplicate.objects.get(user_b=TWIN)
    check(browser, f"{duplicates}{pair.pk}/change/", "admin-duplicate")
    browser.open(f"{duplicates}{pair.pk}/change/")
    browser.click(f"input[value='{COLLINS}']")
    press(browser, "Decide")
    assert browser.find("h1", "Eileen Collins") and len(browser.all(".card")) == 2
    assert not User.objects.filter(pk=TWIN).exists()
    browser.open(duplicates)
    browser.click("#result_list a", "Tom Hanks")
    browser.click("input[value='different']")
    press(browser, "Decide")
    assert browser.find(".messagelist", "different people") and not browser.all("#result_list")
    assert User.objects.filter(pk__in=(GUEST, HANKS)).count() == 2


def test_a_wrong_face_is_moved_and_people_are_merged(browser: Browser) -> None:
    wrong = Face.objects.get(face_id=enrol(GUEST, brighter(astronaut())))
    log_in(browser, "moderator")
    browser.open(f"{FACES}{wrong.pk}/change/")
    press(browser, "Move to another person…")
    browser.type("#id_q", "eileen", Keys.ENTER)
    browser.click(".hits a", "Eileen Collins")
    press(browser, "Move the face")
    assert browser.find("h1", "Eileen Collins") and len(browser.all(".card")) == 2
    wrong.refresh_from_db()
    assert wrong.user_id == COLLINS
    browser.open(f"{PEOPLE}{GUEST}/change/")
    press(browser, "Merge into another person…")
    browser.type("#id_q", "hanks", Keys.ENTER)
    browser.click(".hits a", "Tom Hanks")
    press(browser, "Merge")
    assert browser.find("h1", "Tom Hanks") and len(browser.all(".card")) == 2
    browser.open(f"{PEOPLE}{GUEST}/change/")
    assert browser.find(".messagelist", "was merged")


def test_a_person_is_unlocked_and_erased(browser: Browser) -> None:
    now = timezone.now()
    FailureCount.objects.create(
        user_id=HANKS, source="own", failures=50, locked_at=now, last_failure_at=now
    )
    log_in(browser, "moderator")
    browser.open(f"{PEOPLE}?locked=yes")
    browser.click("#result_list a", "Tom Hanks")
    assert browser.find(".chip.is-bad", "Locked")
    press(browser, "Unlock…")
    press(browser, "Unlock")
    assert "Locked after" not in browser.text() and not FailureCount.objects.exists()
    press(browser, "Erase…")
    browser.type("#id_sure", " ")
    press(browser, "Erase for ever")
    assert browser.find("code", "erasure_") and "Templates" in browser.text()
    assert browser.axe() == []
    browser.screenshot("admin-receipt")
    assert not User.objects.filter(pk=HANKS).exists()
    browser.open("/admin/")
    recent = browser.read("#recent-actions-module")
    assert "A person was erased: erasure_" in recent and "Hanks" not in browser.text()


def test_every_page_can_be_used(browser: Browser) -> None:
    enrol(COLLINS, six_people(), face_index=1, check_quality=False, keeps_picture=False)
    FailureCount.objects.create(
        user_id=COLLINS, source="own", failures=7, last_failure_at=timezone.now()
    )
    User.objects.filter(pk=HANKS).update(suspended_at=timezone.now())
    log_in(browser, "moderator")
    face = Face.objects.filter(user=COLLINS).first()
    assert face
    pages = {
        "people": PEOPLE,
        "person": f"{PEOPLE}{COLLINS}/change/",
        "person-suspend": f"{PEOPLE}{COLLINS}/suspend/",
        "person-erase": f"{PEOPLE}{COLLINS}/erase/",
        "person-choose": f"{PEOPLE}{COLLINS}/merge/?q=han",
        "person-merge": f"{PEOPLE}{COLLINS}/merge/?person={HANKS}",
        "faces": FACES,
        "faces-list": f"{FACES}?view=list",
        "face": f"{FACES}{face.pk}/change/",
        "face-move": f"{FACES}{face.pk}/move/?person={HANKS}",
        "sessions": "/admin/recognition/session/",
        "attempts": "/admin/recognition/attempt/",
        "failures": "/admin/recognition/failurecount/",
    }
    for name, path in pages.items():
        check(browser, path, f"admin-{name}")


def test_a_viewer_sees_no_picture_and_can_do_nothing(browser: Browser) -> None:
    log_in(browser, "viewer")
    for path in (f"{PEOPLE}{COLLINS}/change/", FACES):
        browser.open(path)
        assert "Eileen Collins" in browser.text()
        assert not browser.all("img.face-picture") and not browser.all(".acts")
        assert browser.find(".no-picture", "no permission to see pictures")
    browser.open(PEOPLE)
    assert "Find by photo" not in browser.text()


def test_by_keyboard_only(browser: Browser) -> None:
    log_in(browser, "moderator")
    browser.open(f"{PEOPLE}{COLLINS}/suspend/")
    body = browser.find("body")
    for _ in range(60):
        focused = browser.driver.switch_to.active_element
        if focused.get_attribute("id") == "id_reason":
            break
        body.send_keys(Keys.TAB) if focused == body else focused.send_keys(Keys.TAB)
    page = browser.find("html")
    browser.driver.switch_to.active_element.send_keys("By the keyboard", Keys.ENTER)
    browser.wait(lambda: browser.find("html") != page)
    assert browser.find(".chip.is-bad", "Suspended since")
