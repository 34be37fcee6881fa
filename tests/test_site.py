"""The site of the docs: it has every page, nothing in it is broken, and it needs no network."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from facesvc.home import BASE_DIR
from tests.browser.driving import Browser, start

pytestmark = pytest.mark.slow
# What a browser fetches when a page is opened.
FETCHED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src")}
# Marks of Markdown that are no marks any more: a list or a table behind a line of text, a link.
UNREAD = re.compile(r"<p>[^<]*\n(?:- |\d+\. |\|)|\]\(\w+\.md|^\|[^\n]*\|$|```", re.MULTILINE)


def build(config: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "--site-dir", target],
        cwd=BASE_DIR,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(BASE_DIR / "mkdocs.yml", target)
    assert done.returncode == 0, done.stderr
    return target


class Fetched(HTMLParser):
    """The addresses that a page fetches."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if (tag, name) in FETCHED]


def test_it_works(site: Path) -> None:
    """Each page of docs/ is there, the README first, and a page for code that a page links to."""
    assert "Two commands" in (site / "index.html").read_text()
    for page in (BASE_DIR / "docs").rglob("*.md"):
        place = page.relative_to(BASE_DIR / "docs").with_suffix(".html")
        assert (site / ("contents.html" if page.name == "README.md" else place)).exists()
    assert "def exchange" in re.sub(
        "<[^>]*>", "", (site / "code/facesvc/client/exchange.py.html").read_text()
    )
    assert 'href="code/facesvc/client/exchange.py.html"' in (site / "architecture.html").read_text()


def test_it_needs_no_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        for address in Fetched(page.read_text()).addresses:
            assert not re.match(r"(?:https?:)?//", address), f"{page.name} fetches {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", style.read_text()), style


def test_all_marks_are_read(site: Path) -> None:
    """The site and the places where repositories are read understand Markdown differently."""
    broken = {}
    for page in site.glob("*.html"):
        article = page.read_text().partition("<article")[2].partition("</article>")[0]
        text = re.sub(r"<(pre|code)\b.*?</\1>", "", article, flags=re.DOTALL)
        if found := UNREAD.findall(text):
            broken[page.name] = found
    assert broken == {}


def test_a_broken_link_and_a_page_without_a_place_fail(tmp_path: Path) -> None:
    for name in (
        "mkdocs.yml",
        "docs",
        "deployment",
        *(path.name for path in BASE_DIR.glob("*.md")),
    ):
        path = BASE_DIR / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / name)
    icon = Path("facesvc/page/static/page/icon.svg")
    (tmp_path / icon).parent.mkdir(parents=True)
    shutil.copy(BASE_DIR / icon, tmp_path / icon)
    (tmp_path / "docs" / "new.md").write_text("# New\n\n[1](none.md) [2](api.md#no-such-heading)\n")
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    for problem in ("none.md", "#no-such-heading", "not included in the"):
        assert problem in done.stderr


def test_it_can_be_searched_without_a_server(site: Path, tmp_path: Path) -> None:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("chromium or chromedriver is not installed")
    driver = start(chromium, chromedriver, tmp_path / "profile", camera=None)
    try:
        browser = Browser(driver, site.as_uri())
        browser.open("/index.html?q=crop_not_found")
        words = "return document.querySelector('.md-search-result__list').innerText"
        browser.wait(lambda: "crop_not_found" in driver.execute_script(words))
        errors = [each for each in driver.get_log("browser") if each["level"] == "SEVERE"]
        assert json.dumps(errors) == "[]"
    finally:
        driver.quit()
