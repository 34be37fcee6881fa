"""A collection has the same tables as every other one, and sees no other's."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User as Operator
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import AutoField, BigAutoField, Model

from recognition.collections import current, schemas
from recognition.collections.current import (
    DEFAULT,
    SHARED,
    CollectionGoneError,
    Entered,
    NoCollectionError,
    entered,
    nowhere,
)
from recognition.collections.models import Collection
from recognition.errors import ServiceError
from recognition.models import AuditEvent, User
from recognition.prepared import fetched

pytestmark = pytest.mark.django_db

# What a schema holds, in words that name no schema.
CONTENT = {
    "columns": """
        SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
            attstorage, attcompression, attgenerated, pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = %s::regnamespace AND relkind = 'r' AND attnum > 0
            AND NOT attisdropped""",
    "options": """
        SELECT relname, reloptions FROM pg_class
        WHERE relnamespace = %s::regnamespace AND relkind = 'r'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(con.oid)
        FROM pg_constraint con LEFT JOIN pg_class other ON other.oid = confrelid
        WHERE connamespace = %s::regnamespace AND contype <> 'n'
            AND coalesce(other.relnamespace = connamespace, true)""",
    "indexes": """
        SELECT pg_get_indexdef(indexrelid, 0, true), indisprimary FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = %s::regnamespace""",
    "triggers": """
        SELECT pg_get_triggerdef(pg_trigger.oid, true) FROM pg_trigger
        JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relnamespace = %s::regnamespace AND NOT tgisinternal""",
    "functions": """
        SELECT proname, pg_get_function_identity_arguments(oid), prosrc, proconfig FROM pg_proc
        WHERE pronamespace = %s::regnamespace""",
    "migrations": "SELECT app, name FROM {}.django_migrations",
}


def made(name: str) -> Entered:
    collection = Collection.objects.create(name=name).entered
    schemas.make(collection)
    return collection


def content(collection: Entered) -> dict[str, list[str]]:
    schema = current.schema_of(collection.number)
    found = {}
    with entered(collection), connection.cursor() as cursor:
        for what, statement in CONTENT.items():
            cursor.execute(statement.format(schema), [schema] if "%s" in statement else None)
            found[what] = sorted(str(row) for row in cursor.fetchall())
    return found


def test_it_works() -> None:
    shop = made("shop")
    with entered(shop):
        User.objects.create()
        assert User.objects.count() == 1
    assert User.objects.count() == 0


def test_the_tables_are_those_of_default() -> None:
    mine, theirs = content(DEFAULT), content(made("shop"))
    assert all(mine.values())
    assert mine == theirs


def test_no_row_comes_along() -> None:
    User.objects.create()
    with entered(made("shop")):
        left = {kind.__name__: kind.objects.count() for kind in owned()}
    assert not {name: count for name, count in left.items() if count}


def test_a_restore_of_as_many_as_there_may_be_has_enough_locks() -> None:
    """It makes all tables in one transaction. Each takes a lock, and so do the indexes, the
    sequences and what holds the long values of the table.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) + 2 * count(nullif(reltoastrelid, 0)),"
            " current_setting('max_locks_per_transaction')::int"
            " * current_setting('max_connections')::int"
            " FROM pg_class WHERE relnamespace = %s::regnamespace",
            [current.schema_of(1)],
        )
        needed, there = cursor.fetchone()
    assert needed * settings.FACESVC_MOST_COLLECTIONS <= there


def test_numbers_are_counted_by_each() -> None:
    """The numbers of rows that answers show, as those of events, do not count other collections."""
    shop = made("shop")
    numbered = [
        (kind._meta.db_table, kind._meta.pk.column)
        for kind in owned()
        if isinstance(kind._meta.pk, AutoField | BigAutoField)
    ]
    assert ("recognition_auditevent", "id") in numbered
    for place in (DEFAULT, shop):
        with entered(place):
            sequences = {
                fetched("SELECT pg_get_serial_sequence(%s, %s)", [*each])[0][0] for each in numbered
            }
        schema = current.schema_of(place.number)
        assert {str(name).partition(".")[0] for name in sequences} == {schema}
    for _ in range(3):
        AuditEvent.objects.create(actor="test", action="face.view")
    with entered(shop):
        assert AuditEvent.objects.create(actor="test", action="face.view").pk == 1


def owned() -> list[type[Model]]:
    return [
        kind
        for kind in apps.get_models()
        if kind._meta.managed and kind._meta.app_label not in schemas.SHARED_APPS
    ]


def test_every_table_is_shared_or_in_each_collection() -> None:
    """By the apps, and in the database: a new app has to be on one of the two sides."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relnamespace::regnamespace::text, relname FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_)'"
        )
        found = set(cursor.fetchall())
    mine = current.schema_of(1)
    expected = {(mine, "django_migrations")}
    for kind in apps.get_models(include_auto_created=True):
        is_shared = kind._meta.app_label in schemas.SHARED_APPS
        expected.add((SHARED if is_shared else mine, kind._meta.db_table))
    assert found == expected


def test_nowhere_no_row_can_be_seen() -> None:
    User.objects.create()
    with nowhere():
        for kind in owned():
            with pytest.raises(NoCollectionError), transaction.atomic():
                kind.objects.exists()
        with pytest.raises(NoCollectionError), transaction.atomic():
            fetched("SELECT 1 FROM recognition_user")
        assert not Operator.objects.exists()  # which is shared


def test_a_statement_that_is_prepared_finds_the_tables_of_each() -> None:
    shop = made("shop")
    User.objects.create()
    counts = []
    for _ in range(4):
        for each in (DEFAULT, shop):
            with entered(each):
                counts.append(fetched("SELECT count(*) FROM recognition_user")[0][0])
    assert counts == [1, 0] * 4


def test_a_rollback_leads_nowhere_else() -> None:
    """PostgreSQL takes the schema back that a transaction had changed to."""
    shop = made("shop")
    User.objects.create()
    with entered(shop):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            with entered(DEFAULT):
                assert User.objects.count() == 1
            raise ZeroDivisionError
        assert User.objects.count() == 0
    with pytest.raises(ZeroDivisionError), transaction.atomic(), entered(shop):
        assert User.objects.count() == 0
        raise ZeroDivisionError
    assert User.objects.count() == 1


def test_a_copy_goes_to_the_current_one() -> None:
    shop = made("shop")
    with connection.cursor() as cursor, entered(shop):
        with cursor.copy("COPY recognition_group (name, created_at) FROM STDIN") as stream:
            stream.write_row(["club", "2026-01-01"])
        cursor.execute("SELECT count(*) FROM recognition_group")
        assert cursor.fetchone() == (1,)
    assert not fetched("SELECT 1 FROM recognition_group")


def test_triggers_write_into_their_own_tables() -> None:
    """The audit log of each takes no change, as that of `default`."""
    with entered(made("shop")):
        AuditEvent.objects.create(actor="test", action="face.view")
        with pytest.raises(Exception, match="append"), transaction.atomic():
            AuditEvent.objects.update(actor="other")


def test_dropped() -> None:
    shop = made("shop")
    schemas.drop(shop)
    with entered(shop), pytest.raises(CollectionGoneError), transaction.atomic():
        User.objects.exists()
    assert not fetched(
        "SELECT 1 FROM pg_namespace WHERE nspname = %s", [current.schema_of(shop.number)]
    )


def test_no_key_leads_into_what_is_shared() -> None:
    """Such a key would have the end of a collection lock tables of all."""
    shop = made("shop")
    rows = fetched(
        "SELECT conrelid::regclass::text FROM pg_constraint"
        " JOIN pg_class ON pg_class.oid = confrelid WHERE connamespace = %s::regnamespace"
        " AND relnamespace = %s::regnamespace",
        [current.schema_of(shop.number), SHARED],
    )
    assert not rows
    assert LogEntry._meta.app_label not in schemas.SHARED_APPS


def test_a_migration_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is copied before and after it does not fit together."""
    copies = schemas._copies

    def migrated(source: str, schema: str) -> Iterator[str]:
        yield from copies(source, schema)
        MigrationRecorder(connection).record_applied("recognition", "9999_newer")

    monkeypatch.setattr(schemas, "_copies", migrated)
    with pytest.raises(ServiceError) as refused, transaction.atomic():
        made("shop")
    assert refused.value.code == "unavailable"
    assert not Collection.objects.filter(name="shop").exists()
