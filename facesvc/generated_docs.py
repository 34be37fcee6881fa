"""`make docs` writes docs/settings.md and docs/errors.md, the lists of settings and error codes.

It makes the tables of docs/accuracy.md and their picture again, too, out of docs/accuracy/*.json.
"""

import re
from itertools import groupby, starmap
from operator import attrgetter
from typing import Any

from facesvc.home import BASE_DIR
from facesvc.http.error_codes import CODES, table, topics
from facesvc.settings import DECLARED
from facesvc.settings.table import Setting
from recognition.measuring import comparison

DOCS = BASE_DIR / "docs"
# The packs of docs/accuracy.md, in this order; `evaluate --json` wrote the files of the first ones.
PACKS = ("dlib", "permissive", "scrfd-arcface", "opencv", "buffalo_sc", "buffalo_l", "antelopev2")

_ABOVE_SETTINGS = """\
# Settings

Made from the code by `make docs`: to change a description, change it in facesvc/settings.

A setting comes from the environment, or else from the file `.env` beside `manage.py`, or
in the current folder where facesvc is installed as a package. For every
name, `NAME_FILE` may name a file that holds the value, and counts before `NAME`: give secrets this
way. Space around the value in the file does not count. A secret has at least 32 random characters.
Commas separate the entries of a list. `manage.py check` says what cannot work, and `migrate`
refuses it.

A setting with ◦ behind its name may have another value in a [collection](collections.md#rules).

Other programs read variables of their own: OpenTelemetry ([operations.md](operations.md#traces)),
PostgreSQL's client and the allocator ([deployment.md](deployment.md#the-web-server)).
"""

_ABOVE_ERRORS = """\
# Errors

Made from the code by `make docs`: to change a text, change it in facesvc/http/error_codes.py.

A refusal is answered as `{"success": false, "error": {"code", "message", "details"}, "metadata"}`.
Programs decide by `code`, which never changes its meaning; `message` is for people and may change.
`details` has what a program needs beside the code. The items of a batch have the same codes.
"""

_LINK = re.compile(r"\bdocs/(\w+\.md)")


def settings_page() -> str:
    """The text of docs/settings.md."""
    topics = {topic: list(rows) for topic, rows in groupby(DECLARED, attrgetter("topic"))}
    contents = " · ".join(f"[{topic}](#{_anchor(topic)})" for topic in topics)
    return "\n".join([_ABOVE_SETTINGS, f"{contents}\n", *starmap(_table, topics.items())])


def errors_page() -> str:
    """The text of docs/errors.md."""
    tables = [f"## {topic}\n\n{table(topic)}\n" for topic in topics()]
    return "\n".join([_ABOVE_ERRORS, *tables])


def accuracy_page() -> str:
    """The text of docs/accuracy.md: as it is, with its tables made again."""
    before = (DOCS / "accuracy.md").read_text()
    return comparison.fill(before, _measured(), "accuracy/det.svg")


def accuracy_chart() -> str:
    """The text of docs/accuracy/det.svg."""
    return comparison.chart(_measured())


def _measured() -> list[comparison.Report]:
    return comparison.read_reports([DOCS / "accuracy" / f"{pack}.json" for pack in PACKS])


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _table(topic: str, settings: list[Setting[Any]]) -> str:
    rows = "\n".join(map(_row, settings))
    return f"## {topic}\n\n| name | type | default | |\n|---|---|---|---|\n{rows}\n"


def _row(setting: Setting[Any]) -> str:
    name = f"`{setting.name}`"
    if setting.kind.startswith("secret"):
        name += f" or `{setting.name}_FILE`"
    if setting.is_rule:
        name += " ◦"
    text = _LINK.sub(r"[\1](\1)", setting.text).replace("|", r"\|")
    return f"| {name} | {setting.kind} | {setting.default} | {text} |"


if __name__ == "__main__":
    (DOCS / "settings.md").write_text(settings_page())
    (DOCS / "errors.md").write_text(errors_page())
    (DOCS / "accuracy" / "det.svg").write_text(accuracy_chart())
    (DOCS / "accuracy.md").write_text(accuracy_page())
    print(f"docs/ has all {len(DECLARED)} settings and {len(CODES)} error codes.")
