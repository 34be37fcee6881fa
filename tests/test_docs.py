"""README and docs: every link leads somewhere, and every command that they show exists."""

import argparse
import re
import shlex
from functools import cache
from pathlib import Path

from django.core.management import get_commands, load_command_class

from facesvc.__main__ import WORDS
from facesvc.home import BASE_DIR

PAGES = [*sorted(BASE_DIR.glob("*.md")), *sorted((BASE_DIR / "docs").rglob("*.md"))]
# A link or a picture of Markdown, as far as it leads to a file of the repository.
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")
BLOCK = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(
    r"(?:manage\.py|^ *facesvc|[`(|] ?facesvc) ([a-z]\w+)((?: (?!#)[^\s`|&;)]+)*)", re.MULTILINE
)
README_LINES = 150
# How no sentence begins, and words that have to be read twice.
BEGINNING = (
    r"(?:^|[.!?:;]\)?\s|\n\n|\n *(?:-|\d+\.) |\| )(Of|And|Or|Also|Not|Whoever|Whatever|Nobody)\b"
)
AVOIDED = r"\b(whom|anew|told|meanwhile|whoever)\b"
GENERATED = {"settings.md", "errors.md"}


def named(path: Path) -> str:
    return str(path.relative_to(BASE_DIR))


def anchors(page: str) -> set[str]:
    """Of the headings, spelled as the places spell them where repositories are read."""
    headings = re.findall(r"^#+ (.+)", BLOCK.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(page: Path) -> list[str]:
    found = []
    for target in LINK.findall(page.read_text()):
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text())):
            found.append(target)
    return found


def test_links_lead_somewhere() -> None:
    assert {named(page): found for page in PAGES if (found := dead(page))} == {}


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Who, what: *this*\n\n[1](page.md#who-what-this) [2](#who) [3](none.md)\n\n"
        "```\n# No heading\n```\n[4](#no-heading) [5](https://example.com/#x)\n"
    )
    assert dead(page) == ["#who", "none.md", "#no-heading"]


def test_the_contents_name_every_page() -> None:
    contents = BASE_DIR / "docs" / "README.md"
    linked = {(contents.parent / target).resolve() for target in LINK.findall(contents.read_text())}
    pages = {page for page in PAGES if page.is_relative_to(contents.parent)} - {contents}
    assert sorted(pages - linked) == []


def test_readme_is_short() -> None:
    assert len((BASE_DIR / "README.md").read_text().splitlines()) <= README_LINES


def test_the_thai_readme_keeps_in_step() -> None:
    """The same sections, commands, answers, names in code and links, in the same order."""
    thai, english = ((BASE_DIR / name).read_text() for name in ("README.th.md", "README.md"))
    assert re.findall(r"^#+ |^\*\*\d", thai, re.MULTILINE) == re.findall(
        r"^#+ |^\*\*\d", english, re.MULTILINE
    )
    assert _without_comments(thai) == _without_comments(english)
    for each in (r"`[^`\n]+`", r"\]\((?!docs/screenshots|README)([^)]+)\)", r"^\|.*\| (.*) \|$"):
        ours, theirs = (re.findall(each, BLOCK.sub("", page), re.M) for page in (thai, english))
        assert ours == theirs or (each.startswith("^") and ours[1:] == theirs[1:])
    assert "](README.th.md)" in english and "](README.md)" in thai


def _without_comments(page: str) -> list[str]:
    blocks = BLOCK.findall(page)
    return [re.sub(r" *# .*", "", block) for block in blocks]


@cache
def options(command: str) -> set[str]:
    command = of_manage(command)
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", "")
    parsers = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parsers += action.choices.values()
    return {
        option for each in parsers for action in each._actions for option in action.option_strings
    }


def of_manage(command: str) -> str:
    """The command of manage.py that a short name of `facesvc` stands for."""
    return WORDS[command].command if command in WORDS else command


def code(page: str) -> str:
    """What a page shows as code, without the lines that it is broken into."""
    text = BLOCK.sub("", page)
    shown = BLOCK.findall(page) + [f"`{each}`" for each in re.findall(r"`([^`]+)`", text)]
    return re.sub(r"\\\n\s*", "", "\n".join(shown))


def unknown_options(page: Path) -> list[str]:
    found = []
    for command, words in COMMAND.findall(code(page.read_text())):
        if command in WORDS and not of_manage(command):
            continue  # a command of `facesvc` alone
        if of_manage(command) not in get_commands():
            found.append(command)
        else:
            given = {word.partition("=")[0] for word in shlex.split(words) if word[:2] == "--"}
            found += sorted(given - options(command))
    return found


def test_commands_and_their_options_exist() -> None:
    assert {named(page): found for page in PAGES if (found := unknown_options(page))} == {}


def test_an_unknown_option_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`manage.py nothing` and `facesvc issue_token x --scopes all --user=1  # --no`\n"
        "```sh\nfacesvc token --nothing\nX=$(facesvc never)\nfacesvc run --port 1\n```\n"
    )
    assert unknown_options(page) == ["--nothing", "never", "nothing", "--scopes"]


def test_pages_show_the_command_that_everybody_has() -> None:
    """An installed package has no manage.py."""
    shown = {
        named(page) for page in PAGES if ".venv/bin/python manage.py" in code(page.read_text())
    }
    assert shown == set()


def made(page: str) -> set[str]:
    """What a page tells to make: in a block of commands, or between backticks."""
    blocks = "\n".join(BLOCK.findall(page))
    in_blocks = re.findall(r"^ *(?:.*\()?make ([a-z-]+)", blocks, re.MULTILINE)
    return {*in_blocks, *re.findall(r"`make ([a-z-]+)", page)}


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
    shown = {named(page): made(page.read_text()) for page in PAGES}
    assert {page: strange for page, found in shown.items() if (strange := found - targets)} == {}
    assert {"run", "test", "doctor"} <= shown["README.md"]


def hard_words(page: str) -> list[str]:
    text = BLOCK.sub("", page)
    return re.findall(BEGINNING, text) + re.findall(AVOIDED, text, re.IGNORECASE)


def test_the_english_is_plain() -> None:
    pages = [page for page in PAGES if page.name not in GENERATED]
    found = {named(page): words for page in pages if (words := hard_words(page.read_text()))}
    assert found == {}


def test_hard_words_are_found() -> None:
    page = (
        "One. Of two, nobody is told.\n\nNot this.\n\n- And that\n\n```\nOr\n```\nHe or she may.\n"
    )
    assert hard_words(page) == ["Of", "Not", "And", "told"]
