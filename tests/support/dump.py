"""All that the database holds, as bytes to look for something in, and what it is asked."""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection

_BASE64 = re.compile(rb"[A-Za-z0-9+/=_-]{16,}")
Dump = Mapping[str, list[bytes]]


def dump() -> Dump:
    """Every table of every schema of ours: its rows as text and in the binary form, and what is in
    base64 there opened, as the pickles of tasks are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(table_name) FROM information_schema.tables "
            "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN "
            "('pg_catalog', 'information_schema')"
        )
        tables = [name for (name,) in cursor.fetchall()]
        return {table: _forms_of(table, cursor) for table in tables}


def _forms_of(table: str, cursor: object) -> list[bytes]:
    forms = []
    for options in ("", "(FORMAT binary)"):
        with cursor.copy(f"COPY {table} TO STDOUT {options}") as rows:  # type: ignore[attr-defined]
            forms.append(b"".join(bytes(row) for row in rows))
    # COPY doubles backslashes.
    forms.append(forms[0].replace(rb"\\", b"\\"))
    forms.append(b"\n".join(_opened(forms[0])))
    return forms


def _opened(text: bytes) -> Iterable[bytes]:
    for found in _BASE64.findall(text):
        plain = found.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        try:
            data = base64.b64decode(plain + b"=" * (-len(plain) % 4))
        except binascii.Error:
            continue
        yield data
        try:
            yield zlib.decompress(data)
        except zlib.error:
            continue


def tables_with(dumped: Dump, needles: Iterable[bytes]) -> set[str]:
    looked_for = [needle.lower() for needle in needles]
    return {
        table
        for table, forms in dumped.items()
        if any(needle in form.lower() for form in forms for needle in looked_for)
    }


def is_empty(dumped: Dump, table: str) -> bool:
    return not dumped[table][0]


@contextmanager
def noted() -> Iterator[list[str]]:
    """A block whose statements are in the list, without BEGIN and COMMIT."""
    made: list[str] = []

    def note(execute: Any, sql: Any, *rest: Any) -> Any:
        made.append(str(sql))
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield made
