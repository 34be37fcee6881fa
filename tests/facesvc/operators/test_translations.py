"""The admin pages in Thai: every text has a translation, and Django reads the newest."""

import re
from collections.abc import Sequence
from uuid import UUID

import pytest
from django.contrib.auth.models import User as Account
from django.test import Client
from django.utils import translation

from recognition.admin.kit import in_words, spaced
from recognition.models import AuditEvent, User
from tests.facesvc.operators import translations
from tests.support.builders import OWNER

THAI = {"Accept-Language": "th"}
# What a text is filled with, and the tags around it.
_VALUES = re.compile(r"%\(\w+\)s|\{\w*[^}]*\}")


@pytest.fixture
def thai(client: Client) -> Client:
    client.force_login(Account.objects.create_superuser("mia"))
    client.cookies["facesvc_language"] = "th"
    return client


@pytest.mark.django_db
def test_it_works(thai: Client) -> None:
    page = thai.get("/admin/").content.decode()
    assert '<html lang="th"' in page and "สิ่งที่รอคุณอยู่" in page and "What waits" not in page
    assert 'href="?language=en"' in page
    assert "บุคคลและการจดจำ" in page


def test_every_text_has_a_translation() -> None:
    """`make translations` adds new texts to the file, for you to translate."""
    assert translations.untranslated(translations.update()) == []


def test_no_translation_is_left_over() -> None:
    assert len(translations.read()) == len(translations.update())


def test_django_reads_what_the_translators_wrote() -> None:
    written, read = (
        {
            " | ".join(_forms(message.id)): _forms(message.string)
            for message in catalog
            if message.id
        }
        for catalog in (translations.read(), translations.read(translations.MO))
    )
    assert read == written


def _forms(text: str | Sequence[str]) -> list[str]:
    """A text, or one for each number."""
    return [text] if isinstance(text, str) else list(text)


def test_translations_have_the_values_and_the_code_of_the_text() -> None:
    for message in translations.read():
        texts = message.id if isinstance(message.id, tuple) else (message.id,)
        ours = message.string if isinstance(message.string, tuple) else (message.string,)
        for part in (_VALUES, re.compile(r"<code>.*?</code>")):
            wanted = {frozenset(part.findall(text)) for text in texts}
            assert all(frozenset(part.findall(text)) in wanted for text in ours), message.id


def test_a_text_that_nobody_marked_is_found() -> None:
    assert list(translations._marked('_("a")\n_lazy("b" "c")\ngettext(d)\nother("e")')) == [
        "a",
        "bc",
    ]


def test_codes_are_words_in_the_language_of_the_page() -> None:
    assert spaced("no_match") == "no match" and spaced("") == ""
    with translation.override("th"):
        assert spaced("no_match") == "ไม่ตรงกัน" and spaced("") == ""
        assert spaced("of_an_app") == "of an app"
        assert in_words(["a", "b", True]) == "a, b และ ใช่"


@pytest.mark.django_db
def test_what_is_stored_stays_english(thai: Client) -> None:
    """Others read the audit log and the receipt in another language."""
    User.objects.create(pk=OWNER, display_name="Zoe")
    answer = thai.post(f"/admin/recognition/user/{OWNER}/erase/", {"sure": "on"}, follow=True)
    assert "สิ่งที่ถูกลบ" in answer.content.decode()
    assert AuditEvent.objects.get(action="user.erase").details["removed"] == {"users": 1}


@pytest.mark.django_db
def test_failures_are_in_thai_too(thai: Client) -> None:
    page = thai.get(f"/admin/recognition/face/picture/{UUID(int=0)}/")
    assert page.status_code == 404 and "ไม่มีหน้านี้" in page.content.decode()
    thai.cookies.clear()
    refused = thai.post("/admin/login/", b"x" * 10**6, content_type="text/plain", headers=THAI)
    assert refused.status_code == 413 and "ยาวเกินไป" in refused.content.decode()
