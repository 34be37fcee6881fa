"""The HNSW index: built by a worker where a gallery is large, and dropped where it is small."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.db.models.signals import pre_migrate
from pytest_django import Settings

from recognition.collections.current import DEFAULT, schema_of
from recognition.gallery import indexes
from recognition.gallery.indexes import IndexState
from recognition.models import Face, SketchCentre, User
from tests.support.builders import OWNER, make_templates, vector
from tests.support.patience import PATIENCE, wait_until
from tests.support.processes import PROJECT, environment

pytestmark = pytest.mark.django_db(transaction=True)
VERSION = "dlib_v1"
FROM = 8


@pytest.fixture(autouse=True)
def size(settings: Settings) -> Iterator[None]:
    """A gallery of eight faces is large, and one of five is small."""
    settings.FACESVC_HNSW_FROM = FROM
    yield
    for name in there():
        indexes.drop(name)


def enrol(count: int, version: str = VERSION) -> None:
    user, _ = User.objects.get_or_create(pk=OWNER)
    make_templates([(user, vector(number), version) for number in range(count)])


def keep() -> None:
    indexes.keep(VERSION)


def there() -> dict[str, bool]:
    """The HNSW indexes in the database, and whether they are valid."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, indisvalid FROM pg_index "
            "WHERE pg_get_indexdef(indexrelid) LIKE '%hnsw%'"
        )
        return dict(cursor.fetchall())


def valid() -> dict[str, bool]:
    return {indexes.name_of(VERSION): True}


def state(version: str = VERSION) -> IndexState:
    return indexes.look(version).state


def test_it_works() -> None:
    enrol(FROM)
    assert indexes.is_work(VERSION) and state() == "waiting" and not indexes.is_valid(VERSION)
    keep()
    assert there() == valid()
    assert not indexes.is_work(VERSION) and state() == "ready" and indexes.is_valid(VERSION)
    assert indexes.look(VERSION).templates == FROM


def test_a_small_gallery_has_none() -> None:
    enrol(FROM - 1)
    assert not indexes.is_work(VERSION) and state() == "not_needed"
    keep()
    assert not there()


def test_it_is_dropped_once_the_gallery_is_clearly_smaller() -> None:
    enrol(FROM)
    keep()
    for left, kept in ((6, True), (5, False)):
        Face.objects.exclude(pk__in=Face.objects.order_by("pk")[:left]).delete()
        assert indexes.is_work(VERSION) is not kept
        keep()
        assert there() == (valid() if kept else {})
    assert state() == "not_needed"


def test_one_that_an_older_version_made_is_dropped() -> None:
    enrol(1)
    indexes.build(VERSION)
    assert state() == "ready"
    keep()
    assert not there()


def test_each_version_has_its_own() -> None:
    """The one of a former model stays until its templates go: somebody may return to it."""
    enrol(FROM)
    keep()
    enrol(FROM, "other_v1")
    assert indexes.is_work("other_v1")
    indexes.keep("other_v1")
    both = {indexes.name_of(version): True for version in (VERSION, "other_v1")}
    assert there() == both and not indexes.is_work("other_v1")
    for face in Face.objects.all():
        face.templates.filter(embedding_version=VERSION).delete()
    indexes.keep("other_v1")
    assert there() == {indexes.name_of("other_v1"): True}


def test_what_others_made_is_left_alone() -> None:
    name = f"{indexes.name_of(VERSION)}_ccnew"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE INDEX {name} ON recognition_template USING hnsw (embedding halfvec_l2_ops)"
        )
    try:
        enrol(1)
        assert not indexes.is_work(VERSION)
        keep()
        assert there() == {name: True}
    finally:
        indexes.drop(name)


# --- a build that takes long ----------------------------------------------------------------------


@contextmanager
def building(of: Callable[[], None] = keep) -> Iterator[Any]:
    """A block in which another thread builds: it waits for an old transaction, which ends after."""

    def build() -> None:
        try:
            of()
        finally:
            connection.close()

    def write() -> Any:
        other = connections.create_connection("default")
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK recognition_template IN ROW EXCLUSIVE MODE")
        return other

    with ThreadPoolExecutor(1) as threads:
        old = write()
        try:
            future = threads.submit(build)
            wait_until(lambda: indexes.look(VERSION).building or future.done())
            yield future
        finally:
            old.close()


def test_its_state_is_shown() -> None:
    enrol(FROM)
    with building() as future:
        found = indexes.look(VERSION)
        assert (found.state, found.building) == ("building", "waiting for writers before build, 0%")
        assert not indexes.is_valid(VERSION) and not indexes.is_work(VERSION)
    future.result(PATIENCE)
    assert state() == "ready"


def test_it_is_stopped_by_no_limit() -> None:
    """Neither by that of the workers nor by one of the role."""
    enrol(FROM)
    left: list[str] = []

    def build() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1ms'; SET statement_timeout = '1h'")
            keep()
            cursor.execute("SELECT current_setting('statement_timeout')")
            left.extend(cursor.fetchone())

    with building(build):
        assert state() == "building"
    wait_until(lambda: left)
    assert left == ["0"] and there() == valid()


def test_a_second_worker_has_nothing_to_do() -> None:
    enrol(FROM)
    with building() as future:
        keep()
        assert not future.done()
    future.result(PATIENCE)
    assert there() == valid()


def test_what_another_role_builds_is_left_alone() -> None:
    """Its progress is hidden. Dropping the index would wait for its end, and take it away then."""
    enrol(FROM)
    with building(), as_another_role():
        assert (state(), indexes.look(VERSION).building) == ("building", "by another role")
        assert not indexes.is_work(VERSION)
        keep()  # would fail: this role does not own the table
    assert there() == valid()


def test_what_another_role_left_broken_is_work() -> None:
    enrol(FROM)
    with building() as future:
        indexes.break_off()
        future.exception(PATIENCE)
    with as_another_role():
        assert state() == "waiting" and indexes.is_work(VERSION)


@contextmanager
def as_another_role() -> Iterator[None]:
    """A block in which this thread sees of other connections what a role without rights sees."""
    role = f"{connection.settings_dict['NAME']}_role"  # all databases of a server share its roles
    schema = schema_of(DEFAULT.number)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA {schema} TO {role}")
        cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public, {schema} TO {role}")
        try:
            cursor.execute(f"SET ROLE {role}")
            yield
        finally:
            cursor.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
def test_what_a_broken_build_leaves_is_dropped_and_built_again(end: str) -> None:
    enrol(FROM)
    with building() as future:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {end}(pid) FROM pg_stat_progress_create_index")
        assert isinstance(future.exception(PATIENCE), OperationalError)
    assert there() == {indexes.name_of(VERSION): False}
    assert state() == "waiting" and indexes.is_work(VERSION)
    keep()
    assert there() == valid()


def test_what_a_broken_build_leaves_costs_a_small_gallery_nothing() -> None:
    enrol(FROM)
    with building() as future:
        indexes.break_off()
        future.exception(PATIENCE)
    Face.objects.all().delete()
    assert state() == "not_needed" and indexes.is_work(VERSION)
    keep()
    assert not there()


def test_a_build_is_in_no_migrations_way() -> None:
    enrol(FROM)
    arguments = {"app_config": apps.get_app_config("recognition"), "using": "default"}
    sender = arguments["app_config"]
    with building() as future:
        pre_migrate.send(sender, **arguments, plan=[])
        assert not future.done()  # nothing is to be migrated
        pre_migrate.send(sender, **arguments, plan=[object()])
        assert isinstance(future.exception(PATIENCE), OperationalError)
    assert not any(there().values())


# --- migrate --------------------------------------------------------------------------------------


def test_migrate_builds_none() -> None:
    enrol(FROM)
    call_command("migrate", verbosity=0)
    assert not there() and state() == "waiting"


_MIGRATE_ANOTHER = """
import django
from django.conf import settings

django.setup()
settings.DATABASES["other"] = settings.DATABASES["default"] | {"NAME": NAME}

from django.core.management import call_command
from django.db import connections

from recognition.collections import current

current.enter(current.DEFAULT)
call_command("migrate", database="other", verbosity=0)
with connections["other"].cursor() as cursor:
    cursor.execute("SELECT embedding_version FROM recognition_sketchcentre")
    print(*cursor.fetchone())
"""


def test_migrate_prepares_the_database_that_it_migrates() -> None:
    """No other one, whatever the process works with."""
    SketchCentre.objects.all().delete()
    name = f"{connection.settings_dict['NAME']}_other"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            done = subprocess.run(
                [sys.executable, "-c", _MIGRATE_ANOTHER.replace("NAME}", f"{name!r}}}")],
                cwd=PROJECT,
                env=environment(DJANGO_SETTINGS_MODULE="facesvc.settings"),
                capture_output=True,
                text=True,
            )
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert done.stdout.split() == [VERSION], done.stderr
    assert not SketchCentre.objects.exists()
