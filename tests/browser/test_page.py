"""The page at /: what people do on it, with the default pack and a real face before the camera."""

import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import cv2
import jwt
import numpy as np
import pytest
from pytest_django import Settings
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from recognition.access import SCOPES
from recognition.api.callers import making, tokens
from recognition.collections.models import ApiKey
from recognition.models import AuditEvent, Face, Session, User
from recognition.models.user_ids import UserId
from tests.browser.conftest import Open
from tests.browser.driving import (
    ASTRONAUT,
    DESKTOP,
    PHONE,
    TOM_HANKS,
    Browser,
    moving,
    video,
)
from tests.support.builders import (
    FRIEND,
    OWNER,
    STRANGER,
    enrol_face,
    make_user,
    service_token,
    user_token,
)
from tests.support.photos import astronaut, coffee, encode, jpeg, resized, six_people, tom_hanks

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
TABS = ("enrol", "login", "tag", "live", "people")
NAME = "Eileen Collins"
# What of each tab is kept in docs/screenshots, under these endings.
SHOWN = {f"light {DESKTOP}": "", f"dark {PHONE}": "-phone"}


@pytest.fixture(scope="module")
def collins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eileen Collins before the camera."""
    path = tmp_path_factory.mktemp("camera") / "collins.mjpeg"
    return video(path, moving(astronaut(), ASTRONAUT))


@pytest.fixture(scope="module")
def hanks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tom Hanks before the camera."""
    path = tmp_path_factory.mktemp("camera") / "hanks.mjpeg"
    return video(path, moving(tom_hanks(), TOM_HANKS))


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cup before the camera."""
    return video(tmp_path_factory.mktemp("camera") / "nobody.mjpeg", [coffee()] * 2)


def photo(tmp_path: Path, name: str, image: bytes) -> str:
    path = tmp_path / name
    path.write_bytes(image)
    return str(path)


def enrolled(user_id: UUID = OWNER, name: str = NAME, image: bytes = b"") -> User:
    image = image or encode(astronaut())
    enrol_face(user_id, image)
    User.objects.filter(pk=user_id).update(display_name=name, privacy_level="public")
    return User.objects.get(pk=user_id)


def opened(browser: Browser, tab: str = "enrol", token: str = "") -> Browser:
    browser.open(f"/#token={token or service_token('local', SCOPES)}")
    browser.find("#enrol h2")
    if tab != "enrol":
        browser.click(f"#tab-{tab}")
        browser.find(f"#{tab} h2")
    return browser


def choose(browser: Browser, panel: str, path: str) -> None:
    """A file, as if it had been chosen in the dialog of the browser."""
    browser.driver.find_element(By.CSS_SELECTOR, f"#{panel} input[type=file]").send_keys(path)


def select(browser: Browser, css: str, value: UUID | str) -> None:
    browser.click(f"{css} option[value='{value}']")


def press(browser: Browser, *keys: str) -> None:
    for key in keys:
        browser.driver.switch_to.active_element.send_keys(key)


def focused(browser: Browser) -> str:
    """The text of what has the focus, or the id of a field."""
    script = "const it = document.activeElement; return it.textContent.trim() || it.id"
    return str(browser.run(script))


def log_in(browser: Browser, again: Callable[[], None]) -> None:
    """As people do: whoever moved too much, or too little, tries again."""
    button = browser.find("#login form button.primary")
    for _ in range(4):
        browser.find("#login .meter", "Good picture")
        again()
        browser.wait(lambda: not button.get_attribute("aria-disabled"))
        if browser.all("#login .outcome.good"):
            break
    assert f"Welcome, {NAME}" in browser.read("#login .outcome")


def said(browser: Browser) -> str:
    """What a screen reader heard last."""
    return str(browser.run("return document.querySelector('#says').textContent"))


def tab_to(browser: Browser, what: str) -> None:
    for _ in range(40):
        press(browser, Keys.TAB)
        if focused(browser).startswith(what):
            return
    raise AssertionError(f"the tabulator does not reach {what}")


# --- the way of a newcomer ------------------------------------------------------------------------


def test_it_works(open_browser: Open, collins: Path) -> None:
    """Open the link, allow the camera, enrol, log in: no other step."""
    browser = opened(open_browser(collins))
    browser.click("#enrol button", "Turn on the camera")
    browser.find("#enrol .meter", "Good picture")
    browser.find("#enrol .box")
    browser.type("#enrol-name", NAME)
    browser.click("#enrol form button.primary")
    browser.find("#enrol .outcome.good", f"{NAME} is enrolled")
    browser.click("#enrol button", "Now log in by face")
    log_in(browser, lambda: browser.click("#login form button.primary"))
    assert "No check for photos and screens took part" in browser.text()
    user = User.objects.get()
    assert (user.display_name, user.privacy_level) == (NAME, "public")
    assert Session.objects.get().state == "verified"


def test_the_link_leaves_no_token_behind(browser: Browser) -> None:
    token = service_token("local", SCOPES)
    opened(browser, token=token)
    assert "token" not in browser.driver.current_url
    browser.click(".requests summary")
    commands = " ".join(each.text for each in browser.all(".requests code"))
    assert '"Authorization: Bearer $TOKEN"' in commands
    assert token not in browser.driver.page_source
    browser.driver.refresh()  # kept in this tab of the browser
    browser.find("#enrol h2")
    browser.driver.switch_to.new_window("window")
    browser.open("/")
    assert browser.read("#gate h1") == "A token opens this page"


@pytest.mark.parametrize("from_elsewhere", [False, True])
def test_a_link_of_somebody_else_asks_before_it_takes_over(
    browser: Browser, from_elsewhere: bool
) -> None:
    """Or who follows it would enrol faces for them. Cancelled, everything is as it was."""
    opened(browser, "people")

    def follow() -> None:
        if from_elsewhere:
            browser.driver.get("about:blank")
        browser.open(f"/#token={service_token('mallory', SCOPES)}")
        browser.find("#confirm h2", "Use the token of the link?")

    follow()
    text = browser.read("#confirm-text")
    assert "of local" in text and "of mallory" in text
    assert browser.axe() == []
    assert "token" not in browser.driver.current_url
    press(browser, Keys.ENTER)  # what has the focus: Cancel
    assert "local" in browser.read("#token-button")
    if not from_elsewhere:
        assert browser.find("#people h2") and browser.driver.current_url.endswith("#people")
    browser.driver.refresh()
    assert "local" in browser.read("#token-button")
    follow()
    browser.click("#confirm .danger")
    browser.find("#token-button", "mallory")


def test_a_new_link_of_ones_own_asks_nothing(browser: Browser) -> None:
    opened(browser)
    token = tokens.issue("local", list(SCOPES), minutes=7)
    browser.open(f"/#token={token}")
    kept = "return sessionStorage.getItem('facesvc.token')"
    browser.wait(lambda: browser.run(kept) == token)
    assert not browser.all("#confirm")


# --- refusals, in words ---------------------------------------------------------------------------


def test_somebody_else_cannot_log_in(open_browser: Open, hanks: Path) -> None:
    enrolled()
    browser = opened(open_browser(hanks), "login")
    browser.click("#login button", "Turn on the camera")
    browser.find("#login .meter.good, #login .meter.careful")
    browser.click("#login form button.primary")
    outcome = browser.read("#login .outcome.bad", f"This does not look like {NAME}")
    assert "try again" in outcome and "No check" not in outcome
    assert NAME in said(browser)
    browser.find("#login video")  # and is ready for that
    assert Session.objects.get().state == "verifying"


def test_who_tries_too_often_has_to_wait(open_browser: Open, hanks: Path) -> None:
    enrolled()
    browser = opened(open_browser(hanks), "login")
    browser.click("#login button", "Turn on the camera")
    browser.find("#login .meter.good, #login .meter.careful")
    button = browser.find("#login form button.primary")

    def outcome_of_a_try() -> str:
        button.click()
        browser.wait(lambda: not button.get_attribute("aria-disabled"))  # its outcome is there
        return browser.read("#login .outcome")

    browser.wait(lambda: "Too many attempts failed." in outcome_of_a_try())
    assert "It may go on in" in browser.read("#login .outcome")


def test_a_picture_that_came_before_is_refused(browser: Browser, tmp_path: Path) -> None:
    """With what speaks against it, in words."""
    enrolled()
    opened(browser, "login")
    choose(browser, "login", photo(tmp_path, "one.jpg", jpeg(moving(astronaut(), ASTRONAUT)[40])))
    for expected in (f"Welcome, {NAME}", "Refused. The face did not count."):
        browser.click("#login form button.primary")
        outcome = browser.read("#login .outcome", expected)
    assert "The same picture came before." in outcome


def test_nobody_in_view(open_browser: Open, nobody: Path) -> None:
    browser = opened(open_browser(nobody))
    browser.click("#enrol button", "Turn on the camera")
    browser.find("#enrol .meter.bad", "No face in view")
    browser.type("#enrol-name", "Nobody")
    browser.click("#enrol form button.primary")
    outcome = browser.read("#enrol .outcome.bad", "No face was found.")
    assert "light from the front" in outcome
    browser.find("#enrol video")
    assert not User.objects.exists()


def test_without_a_picture_it_says_what_is_missing(browser: Browser) -> None:
    enrolled()
    for tab in ("enrol", "login"):
        opened(browser, tab)
        if tab == "enrol":
            browser.type("#enrol-name", NAME)
        browser.click(f"#{tab} form button.primary")
        browser.find(f"#{tab} .outcome.careful", "There is no picture yet.")


def test_an_expired_token(browser: Browser) -> None:
    token = tokens.issue("local", list(SCOPES), minutes=-5)
    browser.open(f"/#token={token}")
    assert "The token has expired." in browser.read("#gate-why", "expired")
    assert browser.read("#gate-command") == "make token"
    assert browser.run("return document.activeElement.id") == "gate-token"
    assert browser.axe() == []
    browser.screenshot("page-token")
    browser.type("#gate-token", service_token("local", SCOPES))
    browser.click("#gate button.primary")
    browser.find("#enrol h2")


@pytest.mark.parametrize("pasted", ["export TOKEN={}", "http://127.0.0.1:8000/#token={}", " {}\t"])
def test_what_the_terminal_prints_can_be_pasted(browser: Browser, pasted: str) -> None:
    browser.open("/")
    browser.type("#gate-token", pasted.format(service_token("local", SCOPES)))
    browser.click("#gate button.primary")
    browser.find("#enrol h2")


def test_an_api_key_opens_the_page_and_is_named_by_its_id(browser: Browser) -> None:
    """A link of somebody else does not replace it without a question either."""
    made = [
        making.make(ApiKey, "local", list(SCOPES), collection="default", by="command:test")
        for _ in range(2)
    ]
    (key, text), (other, _) = made
    browser.open("/")
    browser.type("#gate-token", f"export TOKEN={text}")
    browser.click("#gate button.primary")
    browser.find("#enrol h2")
    assert f"fk_{key.pk}" in browser.read("#token-button")
    assert text not in browser.driver.page_source
    browser.open(f"/#token={made[1][1]}")
    browser.find("#confirm h2", "Use the token of the link?")
    assert f"of fk_{other.pk}" in browser.read("#confirm-text")


def test_people_of_one_name_can_be_told_apart(browser: Browser) -> None:
    for user_id, name in ((OWNER, NAME), (FRIEND, NAME), (STRANGER, "Tom Hanks")):
        User.objects.create(pk=user_id, display_name=name)
    opened(browser, "login")
    shown = {each.text for each in browser.all("#login-who option")}
    shared = {f"{NAME}, {str(user_id)[:8]}" for user_id in (OWNER, FRIEND)}
    assert shown == {*shared, "Tom Hanks", "By user id"}


def test_a_token_that_expires_meanwhile(browser: Browser, settings: Settings) -> None:
    opened(browser)
    settings.JWT_SECRET = "x" * 64
    browser.click("#tab-people")
    browser.find("#gate-why", "not valid here")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "Allow it by the sign beside the address"),
        ("NotFoundError", "No camera was found."),
        ("NotReadableError", "Another program may be using it"),
    ],
)
def test_without_a_camera_pictures_work_all_the_same(
    browser: Browser, tmp_path: Path, name: str, words: str
) -> None:
    opened(browser)
    refusing = (
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', %r) }"
    )
    browser.run(refusing % name)
    browser.click("#enrol button", "Turn on the camera")
    browser.find("#enrol .trouble", words)
    choose(browser, "enrol", photo(tmp_path, "one.jpg", jpeg(astronaut())))
    browser.find("#enrol .meter", "Good picture")


def test_over_plain_http_it_says_what_the_camera_needs(browser: Browser) -> None:
    opened(browser)
    browser.run("Object.defineProperty(window, 'isSecureContext', {value: false})")
    browser.click("#enrol button", "Turn on the camera")
    browser.find("#enrol .trouble", "https")


def test_it_waits_where_there_were_too_many_requests(browser: Browser, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 2
    opened(browser, "people")
    browser.click("#tab-enrol")
    browser.click("#tab-people")
    assert "tries again in" in browser.read("#waiting")
    settings.RATE_LIMIT_PER_MINUTE = 0


# --- pictures from files --------------------------------------------------------------------------


def test_a_large_photo_of_a_phone_is_made_smaller(browser: Browser, tmp_path: Path) -> None:
    opened(browser)
    large = jpeg(resized(astronaut(), 10))  # 26 megapixels
    choose(browser, "enrol", photo(tmp_path, "large.jpg", large))
    browser.find("#enrol .meter", "Good picture")
    assert browser.run("return document.querySelector('#enrol canvas').width") == 1600
    browser.type("#enrol-name", NAME)
    browser.click("#enrol form button.primary")
    browser.find("#enrol .outcome.good")


def test_a_photo_of_many_people_stays_large(browser: Browser, tmp_path: Path) -> None:
    """Small faces are lost in a small copy."""
    opened(browser, "tag")
    choose(browser, "tag", photo(tmp_path, "large.jpg", jpeg(resized(astronaut(), 10))))
    browser.find("#tag .outcome")
    assert browser.run("return document.querySelector('#tag canvas').width") == 4000


def test_a_turned_photo_is_sent_upright(browser: Browser, tmp_path: Path) -> None:
    """Phones turn nothing themselves: they note in the EXIF data how the camera was held."""
    lying = cv2.rotate(astronaut(), cv2.ROTATE_90_COUNTERCLOCKWISE).astype(np.uint8)[:, :300]
    tiff = b"MM\0*\0\0\0\x08\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + bytes(4)
    exif = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2) + b"Exif\0\0" + tiff
    encoded = jpeg(np.ascontiguousarray(lying))
    opened(browser)
    choose(browser, "enrol", photo(tmp_path, "lying.jpg", encoded[:2] + exif + encoded[2:]))
    browser.find("#enrol .meter.good, #enrol .meter.careful")
    size = "const c = document.querySelector('#enrol canvas'); return [c.width, c.height]"
    assert browser.run(size) == [512, 300]


def test_a_file_that_is_no_picture(browser: Browser, tmp_path: Path) -> None:
    opened(browser)
    choose(browser, "enrol", photo(tmp_path, "photo.heic", b"not a picture"))
    browser.find("#enrol .trouble", "cannot read this file as a picture")


# --- tagging --------------------------------------------------------------------------------------


def test_a_group_photo(browser: Browser, tmp_path: Path) -> None:
    opened(browser, "tag")
    choose(browser, "tag", photo(tmp_path, "group.jpg", jpeg(six_people())))
    browser.find("#tag .outcome", "6 faces, 0 known.")
    boxes = browser.all("#tag button.box")
    assert len(boxes) == 6 and "unknown" in str(boxes[0].get_attribute("aria-label"))
    browser.click("#tag button.box")
    browser.type("#tag-name", "Guest")
    browser.click("#tag .tagging button.primary")
    browser.find("#tag .outcome", "6 faces, 1 known.")
    browser.find("#tag .box", "Guest")
    assert "Guest" in browser.read("#tag .faces li.known")
    assert Face.objects.get().user.display_name == "Guest"


def test_a_search_as_somebody_sees_friends(browser: Browser, tmp_path: Path) -> None:
    user = enrolled()
    User.objects.filter(pk=user.pk).update(privacy_level="private")
    opened(browser, "tag")
    choose(browser, "tag", photo(tmp_path, "one.jpg", jpeg(astronaut())))
    browser.find("#tag .outcome", "1 face, 0 known.")
    select(browser, "#tag-scope", OWNER)
    browser.find("#tag .outcome", "1 face, 1 known.")
    select(browser, "#tag-scope", "all")
    browser.wait(lambda: AuditEvent.objects.filter(action__contains="identify").exists())


# --- calls ----------------------------------------------------------------------------------------


def test_a_call(open_browser: Open, collins: Path) -> None:
    enrolled()
    browser = opened(open_browser(collins), "live")
    browser.click("#live form button.primary", "Start the call")
    browser.find("#live .state", f"{NAME} is there.")
    assert browser.find("[data-latency]", "ms")
    browser.click("#live form button.primary", "End the call")
    browser.find("#live .state", "The call ended.")
    browser.wait(lambda: Session.objects.get().ended_at)


def test_a_call_with_somebody_else(open_browser: Open, hanks: Path) -> None:
    enrolled()
    browser = opened(open_browser(hanks), "live")
    browser.click("#live form button.primary")
    browser.find("#live .state[data-state=mismatch]", f"This is not {NAME}.")
    browser.click("#tab-people")  # to leave ends it
    browser.wait(lambda: Session.objects.get().ended_at)


# --- people ---------------------------------------------------------------------------------------


def test_people(browser: Browser) -> None:
    enrolled()
    enrolled(FRIEND, "Tom Hanks", encode(resized(tom_hanks(), 3)))
    opened(browser, "people")
    browser.find("#people h3", NAME)
    assert len(browser.all("#people h3")) == 2
    card = browser.find("#people li.card", "Tom Hanks")
    card.find_element(By.CSS_SELECTOR, "option[value=private]").click()
    browser.wait(lambda: User.objects.get(pk=FRIEND).privacy_level == "private")
    card.find_element(By.TAG_NAME, "summary").click()
    browser.find("#people .facelist li", "face_")
    browser.click("#people .facelist button", "Delete")
    browser.click("#confirm button", "Delete")
    browser.wait(lambda: not Face.objects.filter(user=FRIEND).exists())
    browser.find("#people li.card", NAME).find_element(By.CSS_SELECTOR, ".danger").click()
    browser.find("#confirm", f"Erase {NAME}?")
    assert browser.axe() == []
    browser.click("#confirm button", "Cancel")
    assert User.objects.filter(pk=OWNER).exists()
    browser.find("#people li.card", NAME).find_element(By.CSS_SELECTOR, ".danger").click()
    browser.click("#confirm button", "Erase all")
    assert "Receipt" in browser.read("#people .outcome.good", f"{NAME} is erased.")
    assert not User.objects.filter(pk=OWNER).exists()


def test_people_come_in_pages(browser: Browser) -> None:
    User.objects.bulk_create(User(pk=UUID(int=number + 1)) for number in range(25))
    opened(browser, "people")
    browser.click("#people [data-more]")
    browser.wait(lambda: len(browser.all("#people h3")) == 25)
    assert not browser.all("#people [data-more]")


def test_an_end_user_sees_themselves(open_browser: Open, collins: Path) -> None:
    user_id = UserId("auth0|7 ä")  # the server of the tests knows no %2F
    browser = opened(open_browser(collins), token=user_token(user_id))
    browser.click("#enrol button", "Turn on the camera")
    browser.find("#enrol .meter", "Good picture")
    browser.click("#enrol form button.primary")
    browser.find("#enrol .outcome.good")
    assert User.objects.get().app_id == user_id.text
    browser.click("#tab-people")
    browser.wait(lambda: len(browser.all("#people h3")) == 1)
    browser.click("#tab-tag")
    assert not browser.all("#tag option[value=all]")


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("email", {"email": "ann@example.com", "email_verified": True}),
        ("realm.user.id", {"realm": {"user.id": "ann@example.com"}}),
        ("https://app.example/id", {"https://app.example/id": "ann@example.com"}),
    ],
)
def test_an_end_user_of_another_claim_sees_themselves(
    browser: Browser, settings: Settings, claim: str, claims: dict[str, object]
) -> None:
    settings.JWT_USER_CLAIM = claim
    make_user(UserId("ann@example.com"), display_name="Ann")
    make_user(UserId("auth0|7"), display_name="Somebody else")
    scope, exp = " ".join(SCOPES[:-1]), int(time.time()) + 600
    token = jwt.encode(
        {"sub": "auth0|7", "scope": scope, "exp": exp, **claims},
        settings.JWT_SECRET,
        algorithm="HS256",
    )
    opened(browser, token=token)
    assert "Ann" in browser.read("#token-button")
    browser.click("#tab-people")
    browser.wait(lambda: len(browser.all("#people h3")) == 1)
    assert browser.read("#people h3") == "Ann"


@pytest.mark.parametrize("is_admin", [True, False])
@pytest.mark.parametrize(
    ("names", "prefix", "claim"),
    [
        (["scope", "scp"], "", lambda scopes: {"scp": scopes}),
        (["realm.roles"], "facesvc/", lambda scopes: {"realm": {"roles": scopes}}),
    ],
    ids=["scp", "roles"],
)
def test_scopes_of_another_claim(
    browser: Browser,
    settings: Settings,
    names: list[str],
    prefix: str,
    claim: Callable[[list[str]], dict[str, object]],
    is_admin: bool,
) -> None:
    """Who may search everybody can choose that."""
    settings.JWT_SCOPE_CLAIM, settings.JWT_SCOPE_PREFIX = names, prefix
    scopes = [prefix + each for each in SCOPES if is_admin or each != "face:admin"]
    own = {"sub": "app", "client_id": "app", "exp": int(time.time()) + 600}
    token = jwt.encode({**own, **claim(scopes)}, settings.JWT_SECRET, algorithm="HS256")
    opened(browser, token=token)
    browser.click("#tab-tag")
    browser.wait(lambda: bool(browser.all("#tag option[value=public]")))
    assert bool(browser.all("#tag option[value=all]")) == is_admin


# --- for everybody --------------------------------------------------------------------------------


def test_by_keyboard_alone(open_browser: Open, collins: Path) -> None:
    browser = opened(open_browser(collins))
    press(browser, Keys.TAB)
    assert focused(browser) == "Skip to the content"
    tab_to(browser, "Enrol")
    press(browser, Keys.ARROW_LEFT)
    assert focused(browser) == "People" and browser.find("#people h2")
    press(browser, Keys.HOME)
    press(browser, Keys.TAB)
    assert focused(browser) == "Turn on the camera"
    press(browser, Keys.ENTER)
    browser.find("#enrol .meter", "Good picture")
    assert focused(browser) == "Turn off"
    tab_to(browser, "enrol-name")
    press(browser, NAME, Keys.ENTER)
    browser.find("#enrol .outcome.good")
    tab_to(browser, "Now log in by face")
    press(browser, Keys.ENTER)
    assert "Log in" in focused(browser)
    browser.find("#login .meter", "Good picture")
    tab_to(browser, "Basic")  # the field with the levels
    press(browser, Keys.TAB)
    log_in(browser, lambda: press(browser, Keys.ENTER))


def test_faces_of_a_photo_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    opened(browser, "tag")
    choose(browser, "tag", photo(tmp_path, "group.jpg", jpeg(six_people())))
    browser.find("#tag .outcome", "6 faces")
    browser.click("#tab-tag")
    tab_to(browser, "2")  # the second face
    assert "Face 2: unknown" in browser.run("return document.activeElement.ariaLabel")
    press(browser, Keys.ENTER)
    assert focused(browser) == "tag-name"
    press(browser, "Guest", Keys.ENTER)
    browser.find("#tag .outcome", "6 faces, 1 known.")
    browser.wait(lambda: "Guest is enrolled" in said(browser))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_tab_can_be_used_by_all(
    open_browser: Open, collins: Path, tmp_path: Path, theme: str, size: tuple[int, int]
) -> None:
    """axe-core finds nothing serious, also with results on the page, and nothing is cut off."""
    enrolled()
    enrol_face(FRIEND, jpeg(six_people()), face_index=0)
    User.objects.filter(pk=FRIEND).update(display_name="Guest", privacy_level="public")
    browser = open_browser(collins, size=size)
    browser.theme(theme)
    opened(browser, "enrol")
    browser.click("#enrol button", "Turn on the camera")
    browser.find("#enrol .meter", "Good picture")
    name = f"{theme} {size}"
    for tab in TABS:
        browser.click(f"#tab-{tab}")
        if tab == "login":
            select(browser, "#login-who", OWNER)
            log_in(browser, lambda: browser.click("#login form button.primary"))
        if tab == "tag" and name in SHOWN:
            # NASA's photo is in the public domain, the one of the group is not.
            choose(browser, "tag", photo(tmp_path, "collins.jpg", jpeg(astronaut())))
            browser.find("#tag .outcome", "1 face, 1 known.")
            browser.screenshot(f"page-{tab}{SHOWN[name]}")
        if tab == "tag":
            choose(browser, "tag", photo(tmp_path, "group.jpg", jpeg(six_people())))
            browser.find("#tag .outcome", "6 faces")
        if tab == "live":
            select(browser, "#live-who", OWNER)
            browser.click("#live form button.primary")
            browser.find("#live .state", "is there")
        if tab == "people":
            browser.click("#people summary")
            browser.find("#people .facelist li", "face_")
        if name in SHOWN and tab != "tag":
            browser.screenshot(f"page-{tab}{SHOWN[name]}")
        browser.click(".requests summary")
        assert browser.overflow() <= 0, tab
        assert browser.axe() == [], tab
        browser.click(".requests summary")
