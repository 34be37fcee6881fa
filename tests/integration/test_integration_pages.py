"""The code on the pages of docs/integration is the code that is run."""

import re
from pathlib import Path

import pytest

from tests.integration.conftest import EXAMPLES

PAGES = sorted(EXAMPLES.glob("*.md"))
# A block of code, and the file that the line above it names.
BLOCK = re.compile(
    r"(?:^\[[^\n]*\]\(([^)\n]*)\):\n\n)?^```(\w+)\n(.*?)\n```$", re.DOTALL | re.MULTILINE
)
COMMANDS = {"sh", "json"}


def strange(page: Path) -> list[str]:
    """The blocks of code that no file has, by their first lines."""
    return [
        code.partition("\n")[0]
        for file, language, code in BLOCK.findall(page.read_text())
        if language not in COMMANDS
        and not (file and f"{code}\n" in f"{(page.parent / file).read_text()}\n")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_it_works(page: Path) -> None:
    assert strange(page) == []


def test_other_code_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = 2\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a.py](a.py):\n\n```python\ny = 2\n```\n\n[a.py](a.py):\n\n```python\ny = 3\n```\n\n"
        "```python\nx = 1\n```\n\n```sh\nls\n```\n"
    )
    assert strange(page) == ["y = 3", "x = 1"]


def test_each_file_is_named_by_a_page() -> None:
    """A reader who begins with the page finds each file of an example."""
    text = "".join(page.read_text() for page in PAGES)
    files = [path for path in EXAMPLES.rglob("*.*") if path.suffix in {".py", ".js", ".html"}]
    folders = {path.relative_to(EXAMPLES).parts[0] for path in files}
    assert {folder for folder in folders if f"]({folder}" not in text} == set()
