"""The choice of a collection in the header of the admin, in a real browser, in both languages."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from recognition.collections import schemas
from recognition.collections.current import Entered, entered
from recognition.collections.models import OperatorOf
from tests.browser.driving import DESKTOP, PHONE, Browser
from tests.browser.moderators import check, log_in
from tests.support.builders import OWNER, make_user
from tests.support.servers.schemas import make_collection

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def shop(settings: Settings) -> Iterator[Entered]:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    make_user(OWNER, display_name="Ann of default")
    made = make_collection("shop")
    with entered(made):
        make_user(OWNER, display_name="Bob of the shop")
    yield made
    schemas.drop(made)


def test_an_operator_chooses_a_collection(browser: Browser, shop: Entered) -> None:
    log_in(browser, "administrator")
    assert "Ann of default" in browser.read("#content")
    browser.click("#collection-choice option", "shop")
    browser.click(".collection button")
    browser.open("/admin/recognition/user/")
    assert "Bob of the shop" in browser.read("#content")
    for name, path in {"people": "recognition/user/", "list": "collections/collection/"}.items():
        check(browser, f"/admin/{path}", f"admin-{name}-of-a-collection")


def test_an_operator_who_is_bound_reads_where(browser: Browser, shop: Entered) -> None:
    account = log_in(browser, "viewer")
    OperatorOf.objects.create(operator=account, collection_id=shop.number)
    browser.open("/admin/")
    assert browser.read(".collection").split() == ["Collection", "shop"]
    check(browser, "/admin/", "admin-bound")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_choice_in_thai(browser: Browser, shop: Entered, size: tuple[int, int]) -> None:
    log_in(browser, "administrator")
    browser.resize(*size)
    browser.open("/admin/?language=th")
    label = browser.read(".collection label")
    assert label == "คอลเลกชัน" and browser.read(".collection button") == "แสดง"
    assert browser.overflow() <= 0
    browser.screenshot(f"admin-collection-thai-{size[0]}")


def test_the_page_of_a_collection(browser: Browser, shop: Entered) -> None:
    log_in(browser, "administrator")
    page = f"/admin/collections/collection/{shop.number}/change/"
    check(browser, page, "admin-collection")
    for language, button in (("th", "ลบคอลเลกชันถาวร"), ("en", "Erase the collection for ever")):
        browser.resize(*PHONE)
        browser.open(f"{page}?language={language}")
        assert browser.find(".deletelink").get_attribute("value") == button
        assert browser.overflow() <= 0
        browser.screenshot(f"admin-collection-phone-{language}")
    browser.type("[name=name]", "shop")
    browser.click(".deletelink")
    browser.find(".messagelist", "The collection shop is erased, with 1 users and 0 faces.")
