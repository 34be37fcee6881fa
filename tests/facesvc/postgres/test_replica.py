"""A standby of the embedded server: it follows, refuses writes, is started again and promoted."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg.errors import ReadOnlySqlTransaction

from facesvc.home import BASE_DIR
from facesvc.postgres import cluster, database, replica
from tests.support.patience import PATIENCE, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "primary"
    execute(folder, "CREATE TABLE note AS SELECT 1 AS number")
    yield folder
    for each in [*database._handles]:
        if each.is_relative_to(tmp_path):
            database.release(each)


@pytest.fixture
def standby(primary: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "standby"
    replica.copy(database.embedded_url(primary), folder)
    return folder


def execute(folder: Path, statement: str) -> None:
    with psycopg.connect(database.embedded_url(folder), autocommit=True) as connection:
        connection.execute(statement)


def numbers(folder: Path) -> set[int]:
    with psycopg.connect(database.embedded_url(folder)) as connection:
        return {number for (number,) in connection.execute("SELECT number FROM note")}


def test_it_works(primary: Path, standby: Path) -> None:
    execute(primary, "INSERT INTO note VALUES (2)")
    wait_until(lambda: numbers(standby) == {1, 2})
    with pytest.raises(ReadOnlySqlTransaction):
        execute(standby, "INSERT INTO note VALUES (3)")
    database.release(standby)
    execute(primary, "INSERT INTO note VALUES (4)")
    wait_until(lambda: numbers(standby) == {1, 2, 4})
    for _ in range(2):  # a second time it is so already
        replica.promote(standby)
        execute(standby, "INSERT INTO note VALUES (5)")
    assert numbers(primary) == {1, 2, 4}


def test_checkpoints_between_the_copy_and_its_start(primary: Path, standby: Path) -> None:
    """Each throws away the log before it, unless the server is to keep some. A copy makes one."""
    for number in (2, 3, 4):
        execute(primary, f"INSERT INTO note VALUES ({number})")
        execute(primary, "SELECT pg_switch_wal()")
        execute(primary, "CHECKPOINT")
    wait_until(lambda: numbers(standby) == {1, 2, 3, 4})


def test_two_copies_at_once(primary: Path, tmp_path: Path) -> None:
    url, folders = database.embedded_url(primary), [tmp_path / name for name in ("one", "two")]
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda folder: replica.copy(url, folder), folders))
    assert [numbers(folder) for folder in folders] == [{1}, {1}]


def test_a_copy_that_fails_leaves_nothing_that_looks_like_a_server(
    primary: Path, tmp_path: Path
) -> None:
    of_nobody = database.embedded_url(primary).replace("//postgres@", "//nobody@")
    with pytest.raises(cluster.DatabaseError, match="pg_basebackup failed:"):
        replica.copy(of_nobody, tmp_path / "standby")
    assert not cluster.folder(tmp_path / "standby").exists()


def test_a_former_primary_does_not_start_again(primary: Path, standby: Path) -> None:
    replica.remember_primary(standby, primary)
    with pytest.raises(CommandError, match=f"^the primary in {primary} runs: both would take"):
        call_command("replica", "promote", str(standby))
    database.release(primary)
    call_command("replica", "promote", str(standby))
    execute(standby, "INSERT INTO note VALUES (2)")
    with pytest.raises(cluster.DatabaseError, match=f"the standby in {standby} was promoted in"):
        numbers(primary)
    (cluster.folder(primary) / "replaced_by").unlink()  # as the message says
    assert numbers(primary) == {1}


def test_another_database_that_is_where_the_primary_was(primary: Path, standby: Path) -> None:
    replica.remember_primary(standby, primary)
    database.release(primary)
    shutil.rmtree(cluster.folder(primary))
    replica.promote(standby)  # nothing is there
    database.release(standby)
    execute(primary, "CREATE TABLE note AS SELECT 9 AS number")
    replica.promote(standby)
    database.release(primary)
    assert numbers(primary) == {9}


def test_a_folder_without_a_standby(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"^There is no standby in {tmp_path}.$"):
        call_command("replica", "promote", str(tmp_path))


@pytest.mark.parametrize("action", ["start", "promote"])
def test_a_folder_whose_database_takes_writes(primary: Path, standby: Path, action: str) -> None:
    replica.promote(standby)
    for each in (primary, standby):  # `start` would say that it is a standby, and run on
        with pytest.raises(CommandError, match=f"^The database in {each} is no standby: it takes"):
            call_command("replica", action, str(each))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_until_it_is_interrupted(
    primary: Path, tmp_path: Path, signum: signal.Signals
) -> None:
    """It may inherit that Ctrl-C is ignored, from a shell that starts it with `&`."""
    standby = tmp_path / "standby"
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "replica", "start", str(standby)],
        cwd=BASE_DIR,
        env=environment | {"FACESVC_DATA": str(primary), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout
    try:
        lines = [process.stdout.readline().rstrip() for _ in range(4)]
        url = replica.address(primary, standby)
        assert lines[0] == "Copying the database ..."
        assert lines[1:3] == ["The standby runs until Ctrl-C.", f"DATABASE_URL={url}"]
        assert lines[3] == f"FACESVC_SEARCH_DATABASE_URL={replica.address(standby)}"
        with psycopg.connect(url, target_session_attrs="standby") as connection:
            assert connection.info.host == str(cluster.socket_folder(standby))
        execute(primary, "INSERT INTO note VALUES (2)")
        wait_until(lambda: numbers(standby) == {1, 2})
        assert replica._primary(standby) == primary
        database.release(standby)
        process.send_signal(signum)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    assert not database.is_running(standby)
