"""The pages in Thai: no English is left, and nothing overlaps on a desk or on a phone."""

from pathlib import Path

import pytest

from recognition.models import User
from tests.browser.conftest import Open
from tests.browser.driving import ASTRONAUT, DESKTOP, Browser, moving, video
from tests.browser.test_page import NAME, TABS, choose, enrolled, opened, photo, select
from tests.browser.thai import PHONE, english
from tests.support.builders import FRIEND, OWNER, enrol_face
from tests.support.photos import astronaut, jpeg, six_people

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


@pytest.fixture(scope="module")
def collins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eileen Collins before the camera."""
    path = tmp_path_factory.mktemp("camera") / "collins.mjpeg"
    return video(path, moving(astronaut(), ASTRONAUT))


def check(browser: Browser, where: str) -> None:
    assert english(browser, NAME, "Guest", "local", "dlib", "Tom Hanks") == [], where
    assert browser.overflow() <= 0, where
    assert browser.axe() == [], where


@SIZES
def test_the_page(open_browser: Open, collins: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    enrolled()
    enrol_face(FRIEND, jpeg(six_people()), face_index=0)
    User.objects.filter(pk=FRIEND).update(display_name="Guest", privacy_level="public")
    browser = open_browser(collins, size=size)
    browser.open("/?language=th")
    browser.find("#gate h1", "โทเคน")
    check(browser, "gate")
    opened(browser, "enrol")
    for tab in TABS:
        browser.click(f"#tab-{tab}")
        browser.find(f"#{tab} h2")
        check(browser, tab)
        if tab in ("enrol", "login"):
            if tab == "enrol":  # the next tab has the camera on, too
                browser.click("#enrol [data-camera]")
            browser.find(f"#{tab} .meter", "ภาพดี")
        if tab == "login":
            select(browser, "#login-who", OWNER)
            browser.click("#login form button.primary")
            browser.find("#login .outcome")
        if tab == "tag":
            # NASA's photo is in the public domain, the one of the group is not.
            choose(browser, "tag", photo(tmp_path, "collins.jpg", jpeg(astronaut())))
            browser.find("#tag .outcome", "พบ 1 ใบหน้า")
            if size == DESKTOP:
                browser.screenshot("page-tag-th")
            choose(browser, "tag", photo(tmp_path, "group.jpg", jpeg(six_people())))
            browser.find("#tag .outcome", "พบ 6 ใบหน้า")
        if tab == "live":
            select(browser, "#live-who", OWNER)
            browser.click("#live form button.primary")
            browser.find("#live .state", "อยู่หน้ากล้อง")
        if tab == "people":
            browser.click("#people summary")
            browser.find("#people .facelist li", "face_")
        check(browser, f"{tab} with results")


def test_the_language_can_be_switched(browser: Browser) -> None:
    """The tab and its token stay, and the choice holds for the admin pages, too."""
    opened(browser, "people")
    browser.click("[data-language]", "ไทย")
    browser.find("#people h2", "บุคคล")
    assert browser.driver.current_url.endswith("/#people")
    browser.click("[data-language]", "English")
    browser.find("#people h2", "People")
    browser.open("/?language=th")
    browser.open("/admin/login/")
    assert browser.run("return document.documentElement.lang") == "th"


def test_a_receipt_and_a_refusal(browser: Browser, tmp_path: Path) -> None:
    enrolled()
    browser.open("/?language=th")
    opened(browser, "people")
    browser.click("#people .danger")
    browser.find("#confirm h2", "ถาวร")
    check(browser, "question")
    browser.click("#confirm .danger")
    browser.find("#people .outcome.good", "ใบรับ")
    check(browser, "receipt")
    # What the service says is English; it is there for those who open it.
    browser.click("#tab-enrol")
    choose(browser, "enrol", photo(tmp_path, "group.jpg", jpeg(six_people())))
    browser.type("#enrol-name", NAME)
    browser.click("#enrol form button.primary")
    browser.find("#enrol .outcome.bad", "ในรูปมีหลายใบหน้า")
    check(browser, "refusal")
    browser.click("#enrol .said summary")
    assert browser.read("#enrol .said [lang=en]").isascii()
