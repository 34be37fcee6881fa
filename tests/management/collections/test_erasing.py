from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test import Client
from django.utils import timezone
from django_q.models import Task

from batch import tasks
from management import collections
from recognition.collections import erasing, schemas
from recognition.collections.current import Entered, entered, here, schema_of
from recognition.collections.models import Collection
from recognition.errors import ServiceError
from recognition.models import AuditEvent, User
from tests.support.builders import OWNER, make_face, make_user, refusal, vector
from tests.support.collections.callers import has_schema, service_of
from tests.support.servers.schemas import connect

pytestmark = pytest.mark.django_db(transaction=True)

_OTHERS = """
SELECT pg_class.oid::regclass::text, mode FROM pg_locks
JOIN pg_class ON pg_class.oid = relation
WHERE pid = pg_backend_pid() AND relnamespace <> %s::regnamespace
    AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
"""


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    for row in Collection.objects.exclude(pk=1):
        schemas.drop(row.entered)
        row.delete()


def filled(name: str) -> Collection:
    row = collections.make(name, actor="system")
    with entered(row.entered):
        make_face(make_user(OWNER), vector(1))
    return row


@contextmanager
def locked(*statements: str) -> Iterator[None]:
    """Another connection holds what these statements lock."""
    to = connection.get_connection_params()
    names = {key: to[key] for key in ("dbname", "host", "port", "user", "password") if key in to}
    with connect(**names) as other:
        for statement in statements:
            other.execute(statement)
        yield
        other.rollback()


def tables_of(schema: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = %s::regnamespace",
            [schema],
        )
        text: str = cursor.fetchone()[0]
    return ", ".join(f"{schema}.{name.rpartition('.')[2]}" for name in text.split(", "))


def test_it_works(client: Client) -> None:
    row = filled("shop")
    make_user(OWNER)
    person = service_of(row, client)
    assert person.get("users").status_code == 200
    gone = collections.erase("shop", actor="service:crm")
    assert (gone.users, gone.faces) == (1, 1)
    assert not has_schema(row.pk) and not Collection.objects.filter(pk=row.pk).exists()
    assert refusal(person.get("users")) == (401, "invalid_token")
    event = AuditEvent.objects.get(action="collection.erase")
    assert event.details == {"collection": "shop", "users": 1, "faces": 1}
    assert User.objects.count() == 1  # that of `default`


def test_what_a_failed_task_quotes_goes() -> None:
    filled("shop")
    Task.objects.create(
        id="1" * 32,
        name="a",
        func="batch.tasks.work",
        started="2026-01-01T00:00Z",
        stopped="2026-01-01T00:00Z",
        success=False,
        result=f"Key (id)=({OWNER}) already exists",
    )
    collections.erase("shop", actor="system")
    assert not Task.objects.filter(success=False).exists()


def test_default_stays() -> None:
    for act in (collections.erase, collections.suspend):
        with pytest.raises(ServiceError) as refused:
            act("default", actor="system")
        assert refused.value.code == "default_collection"
    with pytest.raises(ServiceError) as refused:
        collections.erase("nobody", actor="system")
    assert refused.value.code == "collection_not_found"


def test_whoever_works_in_it_holds_up_the_tables_alone(client: Client) -> None:
    """The name is free at once, and the sweep drops the tables when they leave."""
    row = filled("shop")
    with locked(f"SELECT FROM {schema_of(row.pk)}.recognition_face"):
        collections.erase("shop", actor="system")
        assert has_schema(row.pk)
        assert refusal(service_of(row, client).get("users")) == (401, "invalid_token")
        again = collections.make("shop", actor="system")
        tasks.sweep()
        assert has_schema(row.pk)
    tasks.sweep()
    assert not has_schema(row.pk) and has_schema(again.pk)
    assert not Collection.objects.filter(pk=row.pk).exists()


def test_a_process_that_dies_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    row = filled("shop")
    with monkeypatch.context() as patched:
        patched.setattr(erasing, "finish", lambda row: False)
        collections.erase("shop", actor="system")
    tasks.sweep()
    assert not has_schema(row.pk) and not Collection.objects.filter(pk=row.pk).exists()


def test_a_migration_of_it_holds_up_its_tables() -> None:
    """Without its schema, a migration makes tables in what all share."""
    row = filled("shop")
    with locked(f"SELECT pg_advisory_lock_shared({schemas._TABLES_STAY}, {row.pk})"):
        collections.erase("shop", actor="system")
        tasks.sweep()
        assert has_schema(row.pk)
    tasks.sweep()
    assert not has_schema(row.pk)


def test_one_that_cannot_be_erased_holds_up_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database may refuse it, as where somebody else made a table in it."""
    swept, drop = [], schemas.drop
    first, second = filled("shop"), filled("bank")
    Collection.objects.exclude(pk=1).update(erasing_at=timezone.now())

    def refused(collection: Entered) -> None:
        if collection.number == first.pk:
            raise ProgrammingError("must be owner of schema collection")
        drop(collection)

    with monkeypatch.context() as patched:
        patched.setattr(schemas, "drop", refused)
        patched.setattr(tasks, "_sweep", lambda: swept.append(here().name))
        with pytest.raises(ProgrammingError):
            tasks.sweep()
    assert swept == ["default"]
    assert has_schema(first.pk) and not has_schema(second.pk)


def test_locks_of_others_do_not_delay_it() -> None:
    """Another collection is locked, and others write into all that is shared."""
    row, other = filled("shop"), filled("bank")
    writing = f"{tables_of('collection_1')}, {tables_of('public')}"
    with locked(
        f"LOCK TABLE {tables_of(schema_of(other.pk))} IN ACCESS EXCLUSIVE MODE",
        f"LOCK TABLE {writing} IN ROW EXCLUSIVE MODE",
        "LOCK TABLE public.auth_user, public.auth_group IN ACCESS EXCLUSIVE MODE",
        f"SELECT FROM public.collections_collection WHERE id <> {row.pk} FOR UPDATE",
    ):
        collections.erase("shop", actor="system")
        assert not has_schema(row.pk)


def test_it_locks_nothing_of_others() -> None:
    """In its long transaction: readers and writers elsewhere go on."""
    row = filled("shop")
    with connection.cursor() as cursor, transaction.atomic():
        schema = row.entered.search_path.partition(",")[0]
        cursor.execute("SELECT %s::regnamespace::oid", [schema])
        number = cursor.fetchone()[0]
        erasing._drop(row)
        cursor.execute(_OTHERS, [number])
        assert strong(cursor.fetchall()) == []


def strong(found: list[Any]) -> list[Any]:
    """What is dropped has no namespace any more, and its locks no class."""
    return [each for each in found if not each[0].startswith("pg_")]


def test_a_suspended_one_can_be_erased() -> None:
    row = filled("shop")
    collections.suspend("shop", actor="system")
    collections.erase("shop", actor="system")
    assert not has_schema(row.pk)
