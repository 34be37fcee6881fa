"""Statements that the ORM makes once in a process, and that PostgreSQL plans once a connection.

To make a statement takes the ORM longer than to run one that looks up some rows, and PostgreSQL
plans it for as long as it runs it. So what every request asks is kept: the statement with blanks in
it, and in each connection its plan. Only the values are new. After a transaction that was rolled
back, such as that of a refused enrolment, psycopg has the connection prepare everything once more.

A pooler in front of PostgreSQL has to be in session mode, see docs/decisions/0004-search-plans.md.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache, update_wrapper
from typing import Any

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connection, connections
from django.db.models import AutoField, BooleanField, Expression, F, Func, Model, QuerySet
from django.db.transaction import TransactionManagementError
from psycopg import sql

Row = tuple[Any, ...]
# A statement for each kind of search. What a caller may choose freely, such as a limit, makes more.
_MOST_KEPT = 256
# In a connection: a dozen kinds of searches and what else is asked, in some dozen collections. Each
# takes 60 kilobytes of the database's memory in the mean, see docs/deployment.md.
_MOST_PREPARED = 600


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

    def has_rows(self, values: Mapping[str, Any] = {}, /, **which: Hashable) -> "Scalar":
        """Whether the query has any rows, for `answered`."""
        statement: Statement = self._statement(**which)
        if statement.text is None:
            return Scalar("false")
        return Scalar(f"EXISTS({statement.text})", [values[name] for name in statement.blanks])


@dataclass(frozen=True)
class Scalar:
    """An expression of SQL with one value."""

    text: str
    values: Sequence[Any] = ()


def answered(questions: Mapping[str, Scalar]) -> dict[str, Any]:
    """The answers by the names of the questions, from one statement: to exchange a statement takes
    longer than to look into an index.
    """
    texts = [each.text for each in questions.values()]
    values = [value for each in questions.values() for value in each.values]
    (answers,) = fetched(f"SELECT {', '.join(texts)}", values)
    return dict(zip(questions, answers, strict=True))


@dataclass(frozen=True)
class Statement:
    """A compiled query; `text` is None if it never has a row. The constants are part of the text,
    for the planner. With a `kind`, each row is an object of this model, with these `columns` and
    then the values that were annotated.
    """

    text: str | None
    blanks: Sequence[str] = ()
    kind: Any = None
    columns: Sequence[str] = ()
    annotated: Sequence[str] = ()
    converters: Mapping[int, Any] = field(default_factory=dict)
    is_locking: bool = False

    @classmethod
    def of(cls, query: QuerySet[Any, Any]) -> "Statement":
        compiler = query.query.get_compiler(DEFAULT_DB_ALIAS)
        try:
            text, values = compiler.as_sql()
        except EmptyResultSet:
            return cls(None)
        blanks = [value.name for value in values if isinstance(value, Blank)]
        converters = compiler.get_converters(each for each, *_ in compiler.select)
        text, is_locking = _with_constants(text, values), query.query.select_for_update
        if query._iterable_class is not QuerySet(query.model)._iterable_class:
            # Values, and no objects.
            return cls(text, blanks, converters=converters, is_locking=is_locking)
        columns = [each.attname for each in query.model._meta.concrete_fields]
        annotated = [*query.query.annotation_select]
        return cls(text, blanks, query.model, columns, annotated, converters, is_locking)

    def rows(self, values: Mapping[str, Any]) -> list[Any]:
        if self.text is None:
            return []
        if self.is_locking and connection.get_autocommit():  # the ORM asks only when it compiles
            raise TransactionManagementError("What is locked would be free again at once.")
        rows: list[Any] = fetched(self.text, [values[name] for name in self.blanks])
        if self.converters:
            rows = [self._converted(row) for row in rows]
        return [self._object(row) for row in rows] if self.kind else rows

    def _converted(self, row: Row) -> Row:
        """As fields do, such as those of JSON, which comes as text."""
        converted = list(row)
        for at, (converters, expression) in self.converters.items():
            for convert in converters:
                converted[at] = convert(converted[at], expression, connection)
        return tuple(converted)

    def _object(self, row: Row) -> Any:
        made = self.kind.from_db(DEFAULT_DB_ALIAS, self.columns, row[: len(self.columns)])
        vars(made).update(zip(self.annotated, row[len(self.columns) :], strict=True))
        return made


def _with_constants(text: str, values: Sequence[Any]) -> str:
    """The statement with blanks for the values that are to come, and with all others in it."""
    left = iter(values)

    def filled(found: re.Match[str]) -> str:
        if found[0] == "%%" or isinstance(value := next(left), Blank):
            return found[0]
        return sql.Literal(value).as_string(connection.connection).replace("%", "%%")

    connection.ensure_connection()
    return re.sub("%s|%%", filled, text)


def insert(row: Model) -> None:
    """Store a new row, as `save` does. No signals are sent."""
    meta = row._meta
    text, fields = _insertion(type(row))
    values = [field.get_db_prep_save(field.pre_save(row, True), connection) for field in fields]
    ((key,),) = fetched(text, values)
    setattr(row, meta.pk.attname, key)
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


@cache
def _insertion(kind: type[Model]) -> tuple[str, list[Any]]:
    meta = kind._meta
    fields = [field for field in meta.concrete_fields if not isinstance(field, AutoField)]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    blanks = ", ".join(["%s"] * len(fields))
    text = f'INSERT INTO "{meta.db_table}" ({columns}) VALUES ({blanks})'
    return f'{text} RETURNING "{meta.pk.column}"', fields


def update(row: Model, names: tuple[str, ...]) -> None:
    """Store these fields of a row, as `save` does. No signals are sent."""
    text, fields = _updating(type(row), names)
    values = [field.get_db_prep_save(field.pre_save(row, False), connection) for field in fields]
    fetched(text, [*values, row.pk])


@cache
def _updating(kind: type[Model], names: tuple[str, ...]) -> tuple[str, list[Any]]:
    meta = kind._meta
    fields: list[Any] = [meta.get_field(name) for name in names]
    columns = ", ".join(f'"{field.column}" = %s' for field in fields)
    return f'UPDATE "{meta.db_table}" SET {columns} WHERE "{meta.pk.column}" = %s', fields


@contextmanager
def raw_cursor() -> Iterator[psycopg.Cursor[Any]]:
    """A cursor of psycopg itself, for binary results, which Django's has not.

    It looks into the collection that is current at the beginning of the block.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    database.go()
    with database.wrap_database_errors, psycopg.Cursor(database.connection) as cursor:
        yield cursor


def fetched(text: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
    """The rows that a statement returns. It stays prepared in the connection of this thread."""
    database: Any = connections[DEFAULT_DB_ALIAS]
    database.close_if_health_check_failed()  # as Django does for its own statements
    database.ensure_connection()
    raw = database.connection
    wrap = database.make_debug_cursor if database.queries_logged else database.make_cursor
    # psycopg prepares statements from here to the end. Otherwise it would keep the last hundred
    # statements of Django, with the templates in them, and would forget what it has prepared
    # whenever a savepoint is rolled back.
    raw.prepare_threshold, raw.prepared_max = 0, _MOST_PREPARED
    try:
        cursor = psycopg.Cursor(raw)
        # In words of its own for each collection, or its plan would be made again and again.
        wrap(cursor).execute(database.marked(text), values)
        # All rows are here, so they need no wrapper.
        return cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []
    except NotSupportedError:
        # A migration has changed the type of a column, and what is prepared fails for good.
        database.close()
        raise
    finally:
        raw.prepare_threshold = None
