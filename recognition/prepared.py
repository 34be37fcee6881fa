"""Statements that the ORM makes once in a process, and that PostgreSQL plans once a connection.

To make a statement takes the ORM longer than to run one that looks up some rows, and PostgreSQL
plans it for as long as it runs it. So what every request asks is kept: the statement with blanks in
it, and in each connection its plan. Only the values are new.

A pooler in front of PostgreSQL has to be in session mode, see docs/decisions/0004-search-plans.md.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, update_wrapper
from typing import Any

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import BooleanField, Expression, F, Func, QuerySet
from psycopg import sql

Row = tuple[Any, ...]
# A statement for each kind of search. What a caller may choose freely, such as a limit, makes more.
_MOST_KEPT = 256


class Blank(Expression):
    """A value that a kept query gets with each call, by its name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]

    def get_group_by_cols(self) -> list[Any]:
        return []  # as of any value


def is_any(field: str, values: Any) -> Func:
    """A condition: the field is one of the values, a list or a Blank. One statement for any number
    of values, as `__in` is not.
    """
    template = "%(expressions)s)"
    return Func(
        F(field), values, arg_joiner=" = ANY(", template=template, output_field=BooleanField()
    )


def kept(make: Callable[..., QuerySet[Any, Any]]) -> "_Kept":
    """Have a function make its query once for each choice of its arguments, and not for each call.

    What is called then has first the values of the blanks, and returns the rows. The arguments say
    which query it is. So they must say everything that makes a difference to the statement.
    """
    return _Kept(make)


class _Kept:
    def __init__(self, make: Callable[..., QuerySet[Any, Any]]) -> None:
        update_wrapper(self, make)
        self._statement = lru_cache(_MOST_KEPT)(lambda **which: Statement.of(make(**which)))

    def __call__(self, values: Mapping[str, Any] = {}, /, **which: Hashable) -> list[Any]:
        statement: Statement = self._statement(**which)
        return statement.rows(values)


@dataclass(frozen=True)
class Statement:
    """A compiled query; `text` is None if it never has a row. The constants are part of the text,
    for the planner. With a `kind`, each row is an object of this model, with these `columns`.
    """

    text: str | None
    blanks: Sequence[str] = ()
    kind: Any = None
    columns: Sequence[str] = ()
    converters: Any = None

    @classmethod
    def of(cls, query: QuerySet[Any, Any]) -> "Statement":
        compiler = query.query.get_compiler(DEFAULT_DB_ALIAS)
        try:
            text, values = compiler.as_sql()
        except EmptyResultSet:
            return cls(None)
        blanks = [value.name for value in values if isinstance(value, Blank)]
        converters = compiler.get_converters(each for each, *_ in compiler.select)
        kind, columns = None, []
        if query._iterable_class is QuerySet(query.model)._iterable_class:  # objects, and no values
            kind, columns = query.model, [each.target.attname for each, *_ in compiler.select]
        return cls(_with_constants(text, values), blanks, kind, columns, (compiler, converters))

    def rows(self, values: Mapping[str, Any]) -> list[Any]:
        if self.text is None:
            return []
        rows: list[Any] = fetched(self.text, [values[name] for name in self.blanks])
        compiler, converters = self.converters
        if converters:
            rows = list(map(tuple, compiler.apply_converters(rows, converters)))
        if self.kind:
            return [self.kind.from_db(DEFAULT_DB_ALIAS, self.columns, row) for row in rows]
        return rows


def _with_constants(text: str, values: Sequence[Any]) -> str:
    """The statement with blanks for the values that are to come, and with all others in it."""
    left = iter(values)

    def filled(found: re.Match[str]) -> str:
        if found[0] == "%%" or isinstance(value := next(left), Blank):
            return found[0]
        return sql.Literal(value).as_string(connection.connection).replace("%", "%%")

    connection.ensure_connection()
    return re.sub("%s|%%", filled, text)


def fetched(text: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
    """The rows that a statement returns. It stays prepared in the connection of this thread."""
    connection.ensure_connection()
    raw = connection.connection
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with _preparing(raw), wrap(psycopg.Cursor(raw)) as cursor:  # type: ignore[arg-type]
        cursor.execute(text, values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def _preparing(raw: "psycopg.Connection[Any]") -> Iterator[None]:
    """A block in which psycopg prepares statements. Outside of it psycopg would keep the last
    hundred statements of Django, with the templates in them, and would forget what it has prepared
    whenever a savepoint is rolled back."""
    raw.prepare_threshold = 0
    try:
        yield
    finally:
        raw.prepare_threshold = None
