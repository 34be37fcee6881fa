"""That the tests of the pages would see what is wrong with one."""

import pytest
from selenium.common.exceptions import TimeoutException

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
    browser.find("#id_username")
    browser.run(
        "const place = document.body.appendChild(document.createElement('div'));"
        "place.className = 'news';"
        "setInterval(() => { place.innerHTML = '<button>words</button><input>'; }, 200);"
    )
    for _ in range(20):
        assert browser.read(".news button", "words") == "words"
        browser.click(".news button", "words")
        browser.type(".news input", "a")
