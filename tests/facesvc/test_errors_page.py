"""docs/errors.md is what the table of error codes says, and the table says something."""

import re

import pytest

from facesvc import errors_page
from facesvc.http.error_codes import CODES, table, topics


def test_it_works() -> None:
    assert errors_page.PAGE.read_text() == errors_page.page(), (
        "docs/errors.md is not what facesvc/http/error_codes.py says: run `make docs`"
    )


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_explained_in_sentences(code: str) -> None:
    """A client's author reads them without the code at hand."""
    each = CODES[code]
    for text in (each.meaning, each.advice):
        assert re.fullmatch(r"[A-Z`][^|\n]{15,}\.", text), f"{code}: a sentence, please: {text!r}"
    assert 400 <= each.status < 600


def test_every_code_stands_in_one_table() -> None:
    tables = "".join(map(table, topics()))
    for code in CODES:
        assert tables.count(f"| `{code}` |") == 1
