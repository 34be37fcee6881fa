"""The migrations, and the databases that they lead nowhere from."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from facesvc.management.commands import migrate
from recognition.collections.current import Entered, entered
from recognition.collections.models import Collection
from recognition.models import Listing, locks
from recognition.models.locks import One
from recognition.prepared import fetched
from tests.support.patience import PATIENCE, wait_until
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db


def test_they_can_be_taken_back() -> None:
    """They leave nothing that would be in their way."""
    before = made_by_us()
    assert {"batch_job", "recognition_list", "audit_append_only"} <= before
    MigrationExecutor(connection).migrate([("batch", None), ("recognition", None)])
    assert not made_by_us()
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert made_by_us() == before


def made_by_us() -> set[str]:
    """The names of tables, functions and triggers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^(batch|recognition)_' AND relkind = 'r'"
            " UNION ALL SELECT proname FROM pg_proc WHERE proname ~ '^(batch|recognition)_'"
            " UNION ALL SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE NOT tgisinternal AND relname ~ '^(batch|recognition)_'"
        )
        return {name for (name,) in cursor.fetchall()}


def test_the_indexes_are_those_of_the_models() -> None:
    """A migration may make one in words of its own, which `makemigrations --check` believes."""
    models = [each for each in apps.get_models() if each._meta.indexes]
    assert Listing in models
    with connection.schema_editor() as editor:
        for model in models:
            for index in model._meta.indexes:
                made = defined(index.name)
                editor.remove_index(model, index)
                editor.add_index(model, index)
                assert made == defined(index.name)


def defined(index: str) -> str:
    ((definition,),) = fetched("SELECT pg_get_indexdef(to_regclass(%s))", [index])
    return str(definition)


@pytest.mark.parametrize(
    "first",
    [("batch", "0001_jobs"), ("recognition", "0002_active_model")],
    ids=lambda name: name[0],
)
def test_a_database_from_before_the_first_release_is_left_alone(first: tuple[str, str]) -> None:
    recorder = MigrationRecorder(connection)
    for app, name in recorder.applied_migrations():
        if app == "batch":
            recorder.record_unapplied(app, name)
    recorder.record_applied(*first)
    before = recorder.applied_migrations().keys()
    with pytest.raises(CommandError, match=r"before the first release.*\. Start with an empty"):
        call_command("migrate", verbosity=0)
    assert recorder.applied_migrations().keys() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("before", "after", "first", "then"),
    [
        (
            ("recognition", "0008_ids_of_the_app"),
            ("recognition", "0009_fewer_indexes"),
            "SELECT FROM recognition_listing",
            "SELECT FROM recognition_face",
        ),
        (
            ("recognition", "0009_fewer_indexes"),
            ("recognition", "0010_hashes_by_user"),
            "SELECT FROM recognition_template",
            "SELECT FROM recognition_user",
        ),
        (
            ("recognition", "0010_hashes_by_user"),
            ("recognition", "0011_written_by_enrolments"),
            "SELECT FROM recognition_template",
            "SELECT FROM recognition_user",
        ),
        (
            ("recognition", "0010_hashes_by_user"),
            ("recognition", "0011_written_by_enrolments"),
            "SELECT FROM recognition_listing",
            "SELECT FROM recognition_template",
        ),
        (
            ("recognition", "0010_hashes_by_user"),
            ("recognition", "0011_written_by_enrolments"),
            "SELECT FROM recognition_template",
            "DELETE FROM recognition_template",
        ),
        (
            ("batch", "0001_initial"),
            ("batch", "0002_unknown_people"),
            "UPDATE batch_item SET attempts = attempts",
            "SELECT FROM batch_job",
        ),
    ],
    ids=["search", "erasure", "emptier", "search of few", "enrolment", "worker"],
)
def test_what_runs_while_tables_change(
    before: tuple[str, str], after: tuple[str, str], first: str, then: str
) -> None:
    """It has one table and goes on to another. Neither it nor the migration is broken off."""

    def migrate(target: tuple[str, str]) -> None:
        with closing(connection):
            MigrationExecutor(connection).migrate([target])

    migrate(before)
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(first)
            migrating = threads.submit(migrate, after)
            wait_until(
                lambda: migrating.done() or fetched("SELECT 1 FROM pg_locks WHERE NOT granted")
            )
            cursor.execute(then)
        migrating.result(PATIENCE)


class BrokenOffError(Exception):
    pass


@pytest.mark.parametrize(
    ("app", "before", "name"),
    [
        ("recognition", "0008_ids_of_the_app", "0009_fewer_indexes"),
        ("recognition", "0009_fewer_indexes", "0010_hashes_by_user"),
        ("recognition", "0010_hashes_by_user", "0011_written_by_enrolments"),
        ("batch", "0001_initial", "0002_unknown_people"),
    ],
)
def test_one_that_is_broken_off_goes_on(
    app: str, before: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of its statements, which are transactions of their own."""

    def migrate(target: str) -> None:
        MigrationExecutor(connection).migrate([(app, target)])

    def broken_off(after: int) -> bool:
        left = iter(range(after))

        def limited(step: Callable[..., None]) -> Callable[..., None]:
            def limit(*given: Any) -> None:
                if next(left, None) is None:
                    raise BrokenOffError
                step(*given)

            return limit

        with monkeypatch.context() as patched:
            for kind, step in (
                (BaseDatabaseSchemaEditor, "execute"),
                (MigrationExecutor, "record_migration"),
            ):
                patched.setattr(kind, step, limited(getattr(kind, step)))
            try:
                migrate(name)
            except BrokenOffError:
                return True
        return False

    migrate(name)
    whole = indexes()
    migrate(before)
    steps = 0
    while broken_off(steps):
        migrate(name)
        assert indexes() == whole
        migrate(before)
        steps += 1
    assert steps > 3


def indexes() -> set[str]:
    found = fetched("SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema")
    return {definition for (definition,) in found}


def test_a_database_of_a_newer_version_is_taken() -> None:
    """When an update is taken back, the version before serves what the newer one migrated."""
    MigrationRecorder(connection).record_applied("recognition", "9999_of_a_newer_version")
    call_command("migrate", verbosity=0)


def test_an_update_migrates_a_collection_that_was_made_before() -> None:
    """Its list of migrations began as a copy of that of `default`, and has to take another row."""
    shop = make_collection("shop")
    before = ("recognition", "0009_fewer_indexes")
    with entered(shop):
        MigrationExecutor(connection).migrate([before])
        lacks = MigrationExecutor(connection)
        assert lacks.migration_plan(lacks.loader.graph.leaf_nodes())
    call_command("migrate", verbosity=0)
    with entered(shop):
        has = MigrationExecutor(connection)
        assert not has.migration_plan(has.loader.graph.leaf_nodes())


@pytest.mark.django_db(transaction=True)
def test_a_collection_that_is_erased_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tables would be made again, among those that all share."""
    gone = Entered(99, "gone")
    monkeypatch.setattr(migrate, "_others", lambda using: [gone])
    before = shared_tables()
    call_command("migrate", verbosity=0)
    assert shared_tables() == before


def shared_tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        return sorted(name for (name,) in cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_a_collection_that_is_made_meanwhile() -> None:
    """Its maker may have copied the tables from before the migration, and commits them now."""

    def others() -> list[Entered]:
        with closing(connection):
            return migrate._others("default")

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            locks.wait_for(One.COLLECTION)
            found = threads.submit(others)
            wait_until(lambda: found.done() or fetched("SELECT 1 FROM pg_locks WHERE NOT granted"))
            shop = Collection.objects.create(name="shop")
        assert [each.number for each in found.result(PATIENCE)] == [shop.pk]
    shop.delete()
