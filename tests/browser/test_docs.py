"""The page of the API description: a token, a file, Execute."""

from pathlib import Path
from uuid import UUID

import pytest

from facesvc.openapi import examples
from tests.browser.driving import PHONE, Browser
from tests.support.builders import enrol_face, service_token

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
GET_USER = "[id$=-get_user]"
REGISTER = "#operations-recognition-register"


def authorize(browser: Browser) -> None:
    browser.click(".auth-wrapper .authorize")
    browser.type(".modal-ux input", service_token())
    browser.click(".modal-ux button.authorize")
    browser.click(".modal-ux button.btn-done")


def opened(browser: Browser, css: str) -> None:
    """An operation, with its form."""
    browser.click(f"{css} .opblock-summary-control")
    browser.find(f"{css} button.execute")


def status(browser: Browser, css: str) -> str:
    browser.click(f"{css} button.execute")
    return browser.read(f"{css} .live-responses-table tbody .response-col_status").split()[0]


def test_it_works(browser: Browser, tmp_path: Path) -> None:
    browser.open("/docs")
    authorize(browser)
    photo = tmp_path / "face.webp"
    photo.write_bytes(examples.PICTURE)
    opened(browser, REGISTER)
    browser.type(f"{REGISTER} input[type=file]", str(photo))
    assert status(browser, REGISTER) == "201", browser.read(REGISTER)
    assert browser.problems() == []


def test_the_example_in_json_can_be_sent_as_it_is(browser: Browser) -> None:
    browser.open("/api/docs")
    authorize(browser)
    opened(browser, REGISTER)
    browser.click(f"{REGISTER} .content-type option[value='application/json']")
    assert status(browser, REGISTER) == "201", browser.read(REGISTER)


def test_a_refusal_is_a_documented_answer(browser: Browser) -> None:
    """Whatever its status is: without a token, and of a user who is not there."""
    browser.open("/docs")
    opened(browser, GET_USER)
    assert status(browser, GET_USER) == "401"
    browser.find(f"{GET_USER} .live-responses-table", "not_authenticated")
    assert not browser.all(".response-undocumented")
    authorize(browser)
    browser.click(f"{GET_USER} button.execute")
    browser.find(f"{GET_USER} .live-responses-table", "user_not_found")
    assert not browser.all(".response-undocumented")


@pytest.mark.parametrize("verb", ["verify", "compare", "identify", "detect"])
def test_a_form_needs_no_more_than_files(browser: Browser, tmp_path: Path, verb: str) -> None:
    """A field that is left empty is not sent."""
    user_id = UUID(str(examples.BODIES["verify"]["user_id"]))
    enrol_face(user_id, examples.PICTURE)
    browser.open("/api/docs")
    authorize(browser)
    css = f"#operations-recognition-{verb}"
    opened(browser, css)
    photo = tmp_path / "face.webp"
    photo.write_bytes(examples.PICTURE)
    choosers = browser.wait(lambda: browser.all(f"{css} input[type=file]"))
    if verb == "identify":
        del choosers[1:]  # those of `images`, which stand in place of `image`
    for chooser in choosers:
        chooser.send_keys(str(photo))
    assert status(browser, css) == "200", browser.read(css)


def test_files_can_be_chosen_for_a_batch(browser: Browser) -> None:
    browser.open("/api/docs")
    css = "#operations-batches-batch_identify"
    opened(browser, css)
    browser.find(f"{css} input[type=file]")


def test_the_page_begins_with_recognition(browser: Browser) -> None:
    browser.open("/api/docs")
    assert browser.read(".opblock-tag").startswith("recognition")
    assert browser.read(".opblock-summary-description").startswith("Enrol")
    browser.screenshot("api-description")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(browser: Browser, theme: str) -> None:
    browser.resize(*PHONE)
    browser.theme(theme)
    browser.open("/api/docs")
    browser.find(REGISTER)
    assert browser.overflow() == 0
    browser.screenshot(f"api-description-phone-{theme}")
    opened(browser, REGISTER)
    assert browser.overflow() == 0
