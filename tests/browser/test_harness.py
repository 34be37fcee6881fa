"""That the tests of the pages would see what is wrong with one."""

import pytest
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.driving import PHONE, Browser

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def test_it_works(browser: Browser) -> None:
    browser.open("/admin/login/")
    assert browser.find("#id_username")
    assert browser.problems() == []
    with pytest.raises(TimeoutException):
        browser.wait(lambda: browser.all("h7"), seconds=0.3)


def test_errors_and_forbidden_scripts_are_seen(browser: Browser) -> None:
    browser.open("/health/live")
    browser.run("console.error('a word that the test looks for')")
    script = "const it = document.createElement('script'); it.textContent = '1';"
    browser.run(f"{script} document.body.append(it)")
    problems = "\n".join(browser.problems())
    assert "a word that the test looks for" in problems
    assert "Content Security Policy" in problems


def test_what_is_hard_to_use_is_seen(browser: Browser) -> None:
    browser.open("/admin/login/")
    browser.find("#id_username")
    browser.run("document.querySelectorAll('label').forEach((label) => label.remove())")
    assert any("label" in finding for finding in browser.axe())


def test_a_phone_is_narrow(browser: Browser) -> None:
    browser.resize(*PHONE)
    browser.open("/admin/login/")
    assert browser.run("return window.innerWidth") == 360 and browser.overflow() == 0
    browser.run("document.body.style.minWidth = '500px'")
    assert browser.overflow() > 0
    browser.theme("dark")
    assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches")


def test_what_the_page_replaces_is_still_used(browser: Browser) -> None:
    """A page shows its news in a new element, perhaps between finding one and reading it."""
    browser.open("/admin/login/")
    found: list[WebElement] = []

    def name(element: WebElement) -> str | None:
        if not found:
            browser.run("arguments[0].replaceWith(arguments[0].cloneNode())", element)
        found.append(element)
        return element.get_attribute("name")

    assert browser._with_first("#id_username", "", name) == "username"
    assert len(found) == 2


def test_what_cannot_be_used_is_named(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = browser.wait
    monkeypatch.setattr(browser, "wait", lambda condition: wait(condition, seconds=0.3))
    browser.open("/admin/login/")
    with pytest.raises(TimeoutException, match="label with 'Username': element not interactable"):
        browser._with_first("label", "Username", lambda element: element.send_keys("a"))
    with pytest.raises(TimeoutException, match="label with 'Colour': not seen"):
        browser.find("label", "Colour")
