"""The texts of the page, one file of `words` for each language."""

import json
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "words"
# The part that only the template shows. The scripts need all others.
TEMPLATE = "html"


@cache
def of(language: str) -> dict[str, dict[str, str | list[str]]]:
    """The texts of a language of settings.LANGUAGES by their parts and names.

    `errors` has two texts for each code: what happened, and what to do.
    """
    found: dict[str, dict[str, str | list[str]]] = json.loads(
        (_FOLDER / f"{language}.json").read_text()
    )
    return found
