"""Connections to PostgreSQL: set to what is relied on, bounded, and refused with a 503."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import (
    OperationalError,
    ProgrammingError,
    close_old_connections,
    connection,
    transaction,
)
from django.db import connections as connections_of_django
from django.test import Client
from pytest_django import Settings

from facesvc.postgres import base
from recognition.processes import connections
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    refusal,
    vector,
)

pytestmark = pytest.mark.django_db(transaction=True)

ODD = {
    "DateStyle": ["German, DMY", "SQL, DMY"],
    "IntervalStyle": ["iso_8601"],
    "bytea_output": ["escape"],
    "extra_float_digits": ["-15"],
    "standard_conforming_strings": ["off"],
    "plan_cache_mode": ["force_generic_plan", "force_custom_plan"],
    "work_mem": ["64kB"],
    "default_transaction_isolation": ["serializable", "repeatable read"],
}


@contextmanager
def database_set_to(name: str, value: str) -> Iterator[None]:
    """The setting holds for connections that begin now, as an administrator's ALTER DATABASE."""
    database = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {database} SET {name} = %s", [value])
    connection.close()
    try:
        yield
    finally:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(f"ALTER DATABASE {database} RESET {name}")
        connection.close()


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in ODD.items() for value in values]
)
def test_odd_settings_of_a_server_change_nothing(
    name: str, value: str, admin: Person, fake: FakePipeline, settings: Settings
) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    fake.show(vector(1))
    picture: dict[str, Any] = {"image": PICTURE_BASE64}
    with database_set_to(name, value):
        data_of(admin.post("register", user_id=str(OWNER), **picture), 201)
        assert data_of(admin.post("verify", user_id=str(OWNER), **picture))["is_match"]
        found = data_of(admin.post("identify", search_scope={"scope": "all"}, **picture))
        assert [each["user_id"] for each in found["candidates"]] == [str(OWNER)]
        data_of(admin.post("sessions", user_id=str(OWNER), purpose="login"), 201)
        batch = {"images": [{"image_id": "a", **picture}], "processing_options": {"async": True}}
        data_of(admin.post("batch-identify", **batch), 202)
        assert data_of(admin.get("batch-jobs"))["jobs"]
        data_of(admin.delete(f"users/{OWNER}"))


def test_each_setting_is_made_right() -> None:
    for name, values in ODD.items():
        with database_set_to(name, values[0]), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s)", [name])
            expected = connections._RELIED_ON.get(name, connections._LEAST_WORK_MEM)
            assert cursor.fetchone() == (expected,)


def test_more_memory_for_sorting_is_left_alone() -> None:
    with database_set_to("work_mem", "64MB"), connection.cursor() as cursor:
        cursor.execute("SHOW work_mem")
        assert cursor.fetchone() == ("64MB",)


# --- limits ---------------------------------------------------------------------------------------


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connections, "_limits", {})
    connections.limit(statement_seconds=0.5, lock_seconds=0.2)
    connection.close()
    yield
    connection.close()


def test_commands_have_no_limit() -> None:
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
        )
        assert cursor.fetchone() == ("0", "0")


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Another connection has the table for itself, as an ALTER TABLE would."""
    held, done = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                held.set()
                done.wait(60)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(hold)
        try:
            assert held.wait(60)
            yield
        finally:
            done.set()
            holding.result()


@pytest.mark.usefixtures("limits")
def test_a_locked_table_is_a_503(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(1))
    with locked("recognition_user"):
        for answer in (
            service.get(f"users/{OWNER}"),
            service.post("register", user_id=str(OWNER), image=PICTURE_BASE64),
        ):
            assert refusal(answer) == (503, "unavailable")
            assert answer["Retry-After"]
    assert service.get(f"users/{OWNER}").status_code == 200


@pytest.mark.usefixtures("limits")
def test_a_statement_that_takes_too_long_is_passing() -> None:
    with connection.cursor() as cursor, pytest.raises(OperationalError) as caught:
        cursor.execute("SELECT pg_sleep(60)")
    assert connections.is_passing(caught.value)


# --- a read-only database -------------------------------------------------------------------------


def test_a_read_only_database_is_a_503(service: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    with database_set_to("default_transaction_read_only", "on"):
        answer = service.post("register", user_id=str(OWNER), image=PICTURE_BASE64)
        assert refusal(answer) == (503, "unavailable")
        assert answer["Retry-After"]
    assert service.post("register", user_id=str(OWNER), image=PICTURE_BASE64).status_code == 201


def test_a_read_only_database_is_alive_and_not_ready(client: Client) -> None:
    with database_set_to("default_transaction_read_only", "on"):
        ready = client.get("/health/ready")
        checks = {"migrations": "ok", "search": "ok", "inference": "ok"} | {"database": "failed"}
        assert (ready.status_code, ready.json()["checks"]) == (503, checks)
        assert client.get("/health/live").status_code == 200


def become_read_only() -> None:
    """For this connection alone: one that begins now takes writes, as that to a new primary."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    connections_of_django["default"]._usable_until = 0  # a second later


def test_a_connection_to_a_read_only_database_is_dropped(
    service: Person, fake: FakePipeline
) -> None:
    fake.show(vector(1))
    become_read_only()
    answer = service.post("register", user_id=str(OWNER), image=PICTURE_BASE64)
    assert refusal(answer) == (503, "unavailable")
    close_old_connections()  # as between two requests
    data_of(service.post("register", user_id=str(OWNER), image=PICTURE_BASE64), 201)


def test_readiness_finds_the_server_that_takes_writes(client: Client) -> None:
    become_read_only()
    close_old_connections()
    assert client.get("/health/ready").json()["checks"]["database"] == "ok"


@pytest.mark.parametrize(("seconds", "found"), [(0, "off"), (60, "on")])
def test_a_connection_is_not_asked_again_at_once(
    seconds: float, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many requests come in a second, and each would ask whether its connection takes writes."""
    monkeypatch.setattr(base, "_ASKED_AGAIN_AFTER", seconds)
    connection.close()
    for statement in ("SELECT 1", "SET default_transaction_read_only = on"):
        close_old_connections()  # as between two requests
        with connection.cursor() as cursor:
            cursor.execute(statement)
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only')")
        assert cursor.fetchone() == (found,)
    connection.close()


def test_other_errors_are_not_passing() -> None:
    with connection.cursor() as cursor, pytest.raises(ProgrammingError) as caught:
        cursor.execute("SELECT nonsense")
    assert not connections.is_passing(caught.value)
