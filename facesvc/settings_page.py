"""`python -m facesvc.settings_page` writes docs/settings.md, the list of all settings.

It is read from the code. A setting is a call such as env.int("NAME", 1) or secret("NAME"). The
lines above it that begin with "#:" describe it, and end with "Default: ..." where no value stands
in the call. A line "# --- Topic ---" begins the topic of all that follow.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "settings.md"
PACKAGES = ("facesvc", "recognition", "management", "batch")
READERS = PROJECT / "facesvc" / "environment.py"
SETTINGS = PROJECT / "facesvc" / "settings"

KINDS = {
    "env.bool": "`true` or `false`",
    "env.float": "number",
    "env.int": "whole number",
    "env.list": "list",
    "env.str": "text",
    "required_secret": "secret",
    "secret": "secret",
    "secrets": "secrets",
}

ABOVE = """\
# Settings

Made from the code by `make docs`: to change a description, change the comment at its setting.

A setting comes from the environment or else from the file `.env` beside `manage.py`. `NAME_FILE`
names a file that holds the value, whatever the name, and counts before `NAME`: secrets best come
so. Space around what the file holds does not count. A secret has 32 random characters or more.
Commas separate what is in a list. `manage.py check` says what cannot work; `migrate` refuses it.

Other programs read variables of their own: OpenTelemetry ([operations.md](operations.md#traces)),
PostgreSQL's client and the allocator ([deployment.md](deployment.md#the-web-server)).
"""

_ENV = re.compile(r"env(\.\w+)?")
_TOPIC = re.compile(r"# --- (.+?) -+")
_LINK = re.compile(r"\bdocs/(\w+\.md)")


class PageError(ValueError):
    """The code does not say what the page needs; the message says where."""


@dataclass(frozen=True)
class Setting:
    name: str
    place: str
    topic: str
    kind: str
    default: str
    text: str


def settings_in(source: str, file: str) -> Iterator[Setting]:
    """All readings, described or not, as they stand. Raises PageError."""
    lines = source.splitlines()
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        reader = ast.unparse(call.func)
        if reader in KINDS or _ENV.fullmatch(reader):
            yield _setting(call, reader, lines[: call.lineno - 1], f"{file}:{call.lineno}")


def all_settings() -> list[Setting]:
    """Each once, from where it is described. Raises PageError."""
    readings = [
        setting
        for path in modules()
        for setting in settings_in(path.read_text(), str(path.relative_to(PROJECT)))
    ]
    return merged(readings)


def merged(readings: list[Setting]) -> list[Setting]:
    """A setting may be read in several places, if that means the same, and described in one."""
    described = {setting.name: setting for setting in readings if setting.text}
    for each in readings:
        main = described.get(each.name)
        if main is None:
            raise PageError(f'{each.place}: no line "#: ..." above it describes {each.name}.')
        if (each.kind, each.default) != (main.kind, main.default):
            raise PageError(
                f"{each.place}: {each.name} has another type or default at {main.place}."
            )
        if each.text and each is not main:
            raise PageError(f"{each.place}: {each.name} is described at {main.place}, too.")
    return list(described.values())


def page() -> str:
    topics: dict[str, list[Setting]] = {}
    for setting in all_settings():
        topics.setdefault(setting.topic, []).append(setting)
    contents = " · ".join(f"[{topic}](#{_anchor(topic)})" for topic in topics)
    tables = [_table(topic, settings) for topic, settings in topics.items()]
    return "\n".join([ABOVE, f"{contents}\n", *tables])


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def modules() -> list[Path]:
    """The settings come first, and of these what facesvc/settings/__init__.py says."""
    paths = {path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")}
    return sorted(paths - {READERS}, key=lambda path: (path.parent != SETTINGS, path))


def _setting(call: ast.Call, reader: str, above: list[str], place: str) -> Setting:
    match call.args:
        case [ast.Constant(value=str(name)), *_] if reader in KINDS:
            pass
        case _:
            raise PageError(f"{place}: {reader} without a literal name, or missing in KINDS.")
    topics = [found[1] for line in above if (found := _TOPIC.fullmatch(line))]
    if not topics:
        raise PageError(f'{place}: no line "# --- Topic ---" stands above {name}.')
    comment = takewhile(lambda line: line.lstrip().startswith("#:"), reversed(above))
    words = [line.lstrip(" #:") for line in comment]
    text, _, stated = " ".join(reversed(words)).partition("Default: ")
    default = _default(call, reader, stated, place)
    return Setting(name, place, topics[-1], KINDS[reader], default, text.strip())


def _default(call: ast.Call, reader: str, stated: str, place: str) -> str:
    """As the page shows it: the code's value, or what the comment says where there is none."""
    given = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "default")]
    if not given:
        return stated or ("" if reader in ("secret", "secrets") else "required")
    try:
        value = _shown(ast.literal_eval(given[0]))
    except ValueError:  # it is computed
        if stated:
            return stated
        raise PageError(f'{place}: the comment needs "Default: ...", as it is computed.') from None
    if stated and value:
        raise PageError(f"{place}: the comment says a default beside the one in the code.")
    return stated or value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        value = ",".join(map(str, value))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text and f"`{text}`"


def _table(topic: str, settings: list[Setting]) -> str:
    rows = "\n".join(map(_row, settings))
    return f"## {topic}\n\n| name | type | default | |\n|---|---|---|---|\n{rows}\n"


def _row(setting: Setting) -> str:
    name = f"`{setting.name}`"
    if setting.kind.startswith("secret"):
        name += f" or `{setting.name}_FILE`"
    text = _LINK.sub(r"[\1](\1)", setting.text).replace("|", r"\|")
    return f"| {name} | {setting.kind} | {setting.default} | {text} |"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"All {len(all_settings())} settings are in {PAGE.relative_to(PROJECT)}.")
