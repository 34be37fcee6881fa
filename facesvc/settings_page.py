"""`python -m facesvc.settings_page` writes docs/settings.md, the list of all settings."""

import re
from itertools import groupby, starmap
from operator import attrgetter
from typing import Any

from facesvc.settings import DECLARED
from facesvc.settings.table import BASE_DIR, Setting

PAGE = BASE_DIR / "docs" / "settings.md"

ABOVE = """\
# Settings

Made from the code by `make docs`: to change a description, change it in facesvc/settings.

A setting comes from the environment or else from the file `.env` beside `manage.py`. `NAME_FILE`
names a file that holds the value, whatever the name, and counts before `NAME`: secrets best come
so. Space around what the file holds does not count. A secret has 32 random characters or more.
Commas separate what is in a list. `manage.py check` says what cannot work; `migrate` refuses it.

Other programs read variables of their own: OpenTelemetry ([operations.md](operations.md#traces)),
PostgreSQL's client and the allocator ([deployment.md](deployment.md#the-web-server)).
"""

_LINK = re.compile(r"\bdocs/(\w+\.md)")


def page() -> str:
    """The text of docs/settings.md."""
    topics = {topic: list(rows) for topic, rows in groupby(DECLARED, attrgetter("topic"))}
    contents = " · ".join(f"[{topic}](#{_anchor(topic)})" for topic in topics)
    return "\n".join([ABOVE, f"{contents}\n", *starmap(_table, topics.items())])


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _table(topic: str, settings: list[Setting[Any]]) -> str:
    rows = "\n".join(map(_row, settings))
    return f"## {topic}\n\n| name | type | default | |\n|---|---|---|---|\n{rows}\n"


def _row(setting: Setting[Any]) -> str:
    name = f"`{setting.name}`"
    if setting.kind.startswith("secret"):
        name += f" or `{setting.name}_FILE`"
    text = _LINK.sub(r"[\1](\1)", setting.text).replace("|", r"\|")
    return f"| {name} | {setting.kind} | {setting.default} | {text} |"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"All {len(DECLARED)} settings are in {PAGE.relative_to(BASE_DIR)}.")
