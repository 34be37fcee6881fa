"""GET /: the page to try things on, as it comes; tests/browser/test_page.py uses it."""

import re
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from tests.support.builders import refusal

PAGE = Path(__file__).parents[3] / "facesvc" / "page"
STATIC = PAGE / "static" / "page"
FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]


def named(path: Path) -> str:
    return str(path.relative_to(STATIC))


def test_it_works(client: Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert answer["Cache-Control"] == "no-cache"
    assert "camera=(self)" in answer["Permissions-Policy"]
    assert not answer.cookies
    text = answer.content.decode()
    assert 'data-min-quality="0.6"' in text and 'data-frames-per-second="5"' in text
    assert client.head("/").status_code == 200
    assert client.post("/").status_code == 405


def test_it_can_be_switched_off(client: Client, settings: Settings) -> None:
    settings.FACESVC_PAGE = False
    assert refusal(client.get("/")) == (404, "not_found")


@pytest.mark.parametrize("path", FILES, ids=named)
def test_its_files_are_served(client: Client, path: Path) -> None:
    answer = client.get(f"/static/page/{named(path)}")
    assert answer.status_code == 200 and b"".join(answer) == path.read_bytes()
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    kinds[".ts"] = "text/plain"
    assert answer["Content-Type"].partition(";")[0] == kinds[path.suffix]
    assert "max-age=" in answer["Cache-Control"] and answer["Last-Modified"]
    asked = {"If-Modified-Since": answer["Last-Modified"]}
    assert client.get(f"/static/page/{named(path)}", headers=asked).status_code == 304


def test_browsers_find_an_icon(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert answer.status_code == 200 and b"".join(answer).startswith(b"\0\0\1\0")


@pytest.mark.parametrize("path", [*FILES, PAGE / "templates/page/index.html"], ids=lambda p: p.name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    """An address may be named in a comment."""
    code = re.sub(r"^(//| \*|/\*).*$", "", path.read_text(), flags=re.MULTILINE)
    code = code.replace('xmlns="http://www.w3.org/2000/svg"', "").replace("// ---", "")
    assert not re.search(r"https?://|[\"'(]//\w", code)


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_scripts_make_no_html_of_texts(path: Path) -> None:
    """A person's name must not become a part of the page."""
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", path.read_text()
    )
    # But for the table that `make docs` makes: it has a line for each operation.
    written = re.sub(r"^// --- made .*?^// --- end", "", path.read_text(), flags=re.M | re.S)
    assert len(written.splitlines()) <= 300
