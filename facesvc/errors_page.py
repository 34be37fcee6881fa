"""`python -m facesvc.errors_page` writes docs/errors.md, the list of all error codes."""

from pathlib import Path

from facesvc.http.error_codes import CODES, table, topics

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"

ABOVE = """\
# Errors

Made from the code by `make docs`: to change a text, change it in facesvc/http/error_codes.py.

A refusal is answered as `{"success": false, "error": {"code", "message", "details"}, "metadata"}`.
Programs decide by `code`, which never changes its meaning; `message` is for people and may change.
`details` has what a program needs beside the code. Pictures of a batch carry the same codes, each
as the error of its item.
"""


def page() -> str:
    """The text of docs/errors.md."""
    return "\n".join([ABOVE, *(f"## {topic}\n\n{table(topic)}\n" for topic in topics())])


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"All {len(CODES)} error codes are in docs/{PAGE.name}.")
