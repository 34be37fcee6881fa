"""The pages of docs/moving: their commands exist, and their tables have every reason."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from facesvc.home import BASE_DIR
from facesvc.http.error_codes import STATUS
from facesvc.moving import command

PAGES = sorted((BASE_DIR / "docs" / "moving").glob("*.md"))
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    text = "\n".join(BLOCK.findall(page.read_text())).replace("\\\n", "")
    return [shlex.split(words) for words in re.findall(r"^facesvc move (.*)$", text, re.MULTILINE)]


def test_it_works() -> None:
    assert [page.stem for page in PAGES] == ["compreface", "rekognition"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_exist(page: Path) -> None:
    shown = commands(page)
    assert len(shown) >= 3
    for words in shown:
        assert command._parser().parse_args(words).source == page.stem


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_reason_is_explained(page: Path) -> None:
    """Those of the service are in docs/errors.md."""
    folder = BASE_DIR / "facesvc" / "moving"
    reasons = set()
    for module in ("user_map", "enrolling", page.stem):
        for node in ast.walk(ast.parse((folder / f"{module}.py").read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "NotMovedError":
                reasons |= {str(each.value) for each in node.args if isinstance(each, ast.Constant)}
    reasons = {reason for reason in reasons if reason.isidentifier()} - set(STATUS)
    explained = set(re.findall(r"`(\w+)`", page.read_text()))
    if page.stem == "compreface":  # it does not say where a face is
        reasons.discard("other_faces")
    assert reasons and reasons <= explained
