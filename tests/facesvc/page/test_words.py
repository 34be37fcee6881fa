"""The texts of the page at /: each language has all of them, and nothing is written elsewhere."""

import json
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client
from pytest_django import Settings

from facesvc.http.error_codes import STATUS
from facesvc.page import catalogues
from recognition.inference.quality import REASONS
from recognition.verification.risk import RULES

PAGE = Path(catalogues.__file__).parent
TEMPLATE = (PAGE / "templates" / "page" / "index.html").read_text()
STATIC = PAGE / "static" / "page"
# api.js belongs to apps, and api_docs.js to the description of the API: both are English.
SCRIPTS = [p for p in sorted(STATIC.rglob("*.js")) if p.name not in ("api.js", "api_docs.js")]
CODE = "\n".join(path.read_text() for path in SCRIPTS)
LANGUAGES = [code for code, _ in settings.LANGUAGES]
ENGLISH = catalogues.of("en")
# A language that has one form for all numbers has the same text twice.
_FORM = re.compile(r"_(one|other)$")
# Names that stay as they are in every language.
_NAMES = re.compile(
    r"API|JavaScript|TOKEN|JPEG|PNG|WebP|HEIC|iPhone|https|localhost|docs/deployment\.md"
    r"|metadata\.consent|FACESVC_CROP_KEYS|`make run`|\.env|\bms\b|\{\w+\}"
)


def texts(language: str) -> dict[str, str]:
    """All texts by their part and name; what happened and what to do are two."""
    found: dict[str, str] = {}
    for part, entries in catalogues.of(language).items():
        for name, text in entries.items():
            several = [text] if isinstance(text, str) else text
            found |= {f"{part}.{name}.{at}": each for at, each in enumerate(several)}
    return found


def test_it_works(client: Client) -> None:
    answer = client.get("/", headers={"Accept-Language": "th-TH,th;q=0.9,en;q=0.8"})
    page = answer.content.decode()
    assert '<html lang="th">' in page and "ลงทะเบียนใบหน้า" in page
    embedded = re.search(r'<script id="texts" type="application/json">(.*?)</script>', page)
    assert embedded
    thai = catalogues.of("th")
    assert json.loads(embedded[1]) == {part: thai[part] for part in thai if part != "html"}
    assert 'href="?language=en"' in page and 'href="?language=th"' not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_all_texts_with_all_values(language: str) -> None:
    ours, english = texts(language), texts("en")
    assert list(ours) == list(english)
    for name, text in ours.items():
        assert text, name
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[name])), name


def test_thai_texts_are_thai() -> None:
    for name, text in texts("th").items():
        left = re.findall(r"[A-Za-z]{2,}", _NAMES.sub("", text))
        assert not left, (name, left)
        assert re.search(r"[\u0e00-\u0e7f]", text) or not _NAMES.sub("", text).strip(" :,"), name


def test_the_template_has_no_text_of_its_own() -> None:
    shown = re.sub(
        r"<code[^>]*>[^<]*</code>|{%.*?%}|<title>facesvc</title>|> facesvc<", "", TEMPLATE
    )
    assert not re.search(r">[^<>{}]*[A-Za-z]{2,}[^<>{}]*<", shown)
    assert not re.search(r'(aria-label|placeholder|title|alt)="[^"{]*[A-Za-z]', shown)


def test_the_template_has_each_of_its_texts() -> None:
    assert set(re.findall(r"words\.(\w+)", TEMPLATE)) == set(ENGLISH["html"])


def test_the_scripts_have_each_of_their_texts() -> None:
    names = {_FORM.sub("", name) for name in ENGLISH["page"]}
    assert set(re.findall(r'\bt\("(\w+)"', CODE)) <= names
    # Some are chosen by a condition, and the three risks by their level.
    written = set(re.findall(r'"(\w+)"', CODE)) | {
        f"risk_{each}" for each in ("low", "medium", "high")
    }
    assert names <= written


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_have_no_text_of_their_own(path: Path) -> None:
    """A text that a person reads begins with a capital, or has several words."""
    code = re.sub(r"^\s*(//|/?\*).*$|// .*$", "", path.read_text(), flags=re.MULTILINE)
    found = re.findall(r"\"[A-Z][a-z]+[ ….\"]|[\"`][a-z]+ [a-z]+ [a-z ]+[\"`]|`[A-Z][a-z]+ ", code)
    known = {'"Home"', '"Authorization"', '"Escape"'}
    assert set(found) <= known


def test_no_text_is_for_a_code_that_does_not_exist() -> None:
    ours = {
        *("unreachable", "no_json", "unreadable_file"),
        *("insecure_context", "camera_refused", "camera_missing", "camera_taken"),
    }
    assert set(ENGLISH["errors"]) - ours <= set(STATUS)


def test_all_reasons_and_factors_have_texts() -> None:
    assert set(ENGLISH["reasons"]) == set(REASONS.values())
    assert set(ENGLISH["factors"]) == {rule.name for rule in RULES}


def test_what_an_erasure_may_remove_has_a_text() -> None:
    """A receipt names tables by the plural names of their models."""
    kept = {
        model._meta.verbose_name_plural.lower().replace(" ", "_")  # type: ignore[union-attr]
        for label in ("recognition", "batch", "admin")
        for model in apps.get_app_config(label).get_models()
    }
    assert set(ENGLISH["removed"]) - {"users"} <= kept


def test_the_default_is_a_setting(client: Client, settings: Settings) -> None:
    settings.FACESVC_LANGUAGE = "th"
    for asked in ({}, {"Accept-Language": "fr"}, {"Accept-Language": "*"}):
        assert client.get("/", headers=asked)["Content-Language"] == "th"
    assert client.get("/", headers={"Accept-Language": "en-GB"})["Content-Language"] == "en"
