"""The schemas of collections: how they are made, migrated and dropped."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connection, connections, transaction
from psycopg import sql

from recognition.collections.current import DEFAULT, SHARED, Entered, entered, here, schema_of
from recognition.errors import ServiceError

# The apps whose tables all collections share. Every other table is in each collection once.
SHARED_APPS = frozenset({"auth", "collections", "contenttypes", "django_q", "sessions"})
_EXTENSIONS = ("vector", "pg_trgm")
_RECORD = "django_migrations"


class Router:
    """Has tables that are shared made once, with the first collection."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return None if here().is_default or app_label not in SHARED_APPS else False


def place_of(app_label: str, collection: Entered) -> Entered:
    """Where the migrations of an app make their tables. They are noted in the collection."""
    if app_label not in SHARED_APPS:
        return collection
    path = f"{SHARED}, {schema_of(collection.number)}"
    return Entered(collection.number, collection.name, search_path=path)


def prepare(using: str) -> None:
    """Make the schema of `default`, before the first migration.

    Tables from before there were collections move into it.
    """
    schema = sql.Identifier(schema_of(DEFAULT.number))
    with transaction.atomic(using), connections[using].cursor() as cursor:
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
        for name in _EXTENSIONS:
            # It would be made in the schema of the collection, where others cannot use it.
            cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA {SHARED}")
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{SHARED}.{_RECORD}"])
        if cursor.fetchone()[0]:
            for kind, name in _from_before(cursor):
                cursor.execute(sql.SQL(f"ALTER {kind} {name} SET SCHEMA {{}}").format(schema))


def _from_before(cursor: Any) -> Iterator[tuple[str, str]]:
    """What belongs to `default`, and is among what is shared: kinds and names."""
    labels = {each.label for each in apps.get_app_configs()} - SHARED_APPS
    tables = {
        model._meta.db_table
        for label in labels
        for model in apps.get_app_config(label).get_models()
    }
    cursor.execute(
        "SELECT 'TABLE', oid::regclass::text FROM pg_class"
        " WHERE relnamespace = %s::regnamespace AND relkind = 'r' AND relname = ANY(%s)"
        " UNION ALL SELECT 'FUNCTION', oid::regprocedure::text FROM pg_proc"
        " WHERE pronamespace = %s::regnamespace AND NOT EXISTS"
        " (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')",
        [SHARED, [*tables, _RECORD], SHARED],
    )
    yield from cursor.fetchall()


# What `LIKE` copies of a table; keys and indexes would get other names than the migrations know.
_PARTS = "DEFAULTS", "IDENTITY", "STORAGE", "COMPRESSION", "GENERATED", "CONSTRAINTS"
_TABLES = """
SELECT relname, array_to_string(reloptions, ', ') FROM pg_class
WHERE relnamespace = %(from)s::regnamespace AND relkind = 'r'
"""
_FUNCTIONS = """
SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = %(from)s::regnamespace
"""
# Keys before those that refer to them; none that leads into what is shared: a collection that is
# dropped takes no lock there.
_KEYS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(con.oid) FROM pg_constraint con
LEFT JOIN pg_class other ON other.oid = confrelid
WHERE connamespace = %(from)s::regnamespace AND contype IN ('p', 'u', 'x', 'f')
    AND (contype <> 'f' OR other.relnamespace = %(from)s::regnamespace)
ORDER BY contype = 'f', conname
"""
# A worker builds the indexes of large galleries, see recognition.gallery.indexes.
_INDEXES = """
SELECT pg_get_indexdef(indexrelid, 0, true) FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
WHERE relnamespace = %(from)s::regnamespace AND amname <> 'hnsw'
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
_TRIGGERS = """
SELECT pg_get_triggerdef(pg_trigger.oid, true) FROM pg_trigger
JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = %(from)s::regnamespace AND NOT tgisinternal
"""


def make(collection: Entered) -> None:
    """The schema of a new collection, with the tables of `default`, and none of their rows.

    Raises unavailable if a migration has changed these in between.
    """
    source, schema = schema_of(DEFAULT.number), schema_of(collection.number)
    before = _recorded(source)
    with entered(DEFAULT):  # so that what is printed names no schema
        statements = [*_copies(source, schema)]
    with entered(collection), connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {schema}")
        for statement in statements:
            cursor.execute(statement)
        # Without the numbers of the rows: later ones would get them again.
        cursor.execute(
            f"INSERT INTO {schema}.{_RECORD} (app, name, applied)"
            f" SELECT app, name, applied FROM {source}.{_RECORD} ORDER BY id"
        )
    if _recorded(schema) != before:
        raise ServiceError("unavailable", "The tables are being migrated; try again.")


def _recorded(schema: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT app, name FROM {schema}.{_RECORD} ORDER BY app, name")
        return list(cursor.fetchall())


def _copies(source: str, schema: str) -> Iterator[str]:
    """The statements that make the tables of one schema in another one, which is looked into."""
    with connection.cursor() as cursor:

        def found(what: str) -> list[Any]:
            cursor.execute(what, {"from": source})
            rows: list[Any] = cursor.fetchall()
            return rows

        parts = " ".join(f"INCLUDING {part}" for part in _PARTS)
        for name, options in found(_TABLES):
            with_options = f" WITH ({options})" if options else ""
            yield f"CREATE TABLE {schema}.{name} (LIKE {source}.{name} {parts}){with_options}"
        for (definition,) in found(_FUNCTIONS):
            yield definition.replace(f"{source}.", f"{schema}.", 1)
        for table, name, definition in found(_KEYS):
            yield f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}'
        for (definition,) in found(_INDEXES) + found(_TRIGGERS):
            yield definition


# The first of the two numbers of an advisory lock; the second one is that of the collection.
_TABLES_STAY = 1_024


@contextmanager
def staying(collection: Entered, using: str) -> Iterator[None]:
    """A block of several transactions that make tables in a collection: its schema is not dropped.

    Without it they would be made in what is shared.
    """
    values = [_TABLES_STAY, collection.number]
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s, %s)", values)
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock_shared(%s, %s)", values)


def drop(collection: Entered) -> None:
    """All that is in a collection goes at once. It waits for all who work in it."""
    with connection.cursor() as cursor:
        values = [_TABLES_STAY, collection.number]
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", values)
        # What a transaction has still to check of its new rows is in the way.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"DROP SCHEMA IF EXISTS {schema_of(collection.number)} CASCADE")
