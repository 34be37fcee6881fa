"""The embedded PostgreSQL: who keeps it running, and what happens when processes die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db.utils import ConnectionHandler
from pytest_django import Settings

from facesvc.postgres import cluster, database, locks
from tests.support.patience import wait_until

MB = 1024**2
PROJECT = Path(__file__).parents[3]
JOIN_AND_WAIT = """
import sys, time
from pathlib import Path
from facesvc.postgres import database
print(database.embedded_url(Path(sys.argv[1])), flush=True)
time.sleep(100)
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def server(data_dir: Path) -> Iterator[Path]:
    """The data folder of a server that runs because this process has joined it."""
    database.join(data_dir)
    yield data_dir
    if data_dir in database._handles:
        database.release(data_dir)


@pytest.fixture
def other_user(server: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has joined the server."""
    process = subprocess.Popen(
        [sys.executable, "-c", JOIN_AND_WAIT, str(server)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline().strip() == database.embedded_url(server)
    yield process
    process.kill()
    process.communicate()


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def execute(data_dir: Path, statement: str) -> psycopg.Cursor:
    with psycopg.connect(database.embedded_url(data_dir), autocommit=True) as connection:
        return connection.execute(statement)


def has_ended(data_dir: Path) -> bool:
    return locks.is_free(data_dir / "locks" / "server")


def test_it_works(server: Path) -> None:
    execute(server, "CREATE EXTENSION vector")
    assert execute(server, "SELECT current_database()").fetchone() == ("facesvc",)
    assert execute(server, "SHOW fsync").fetchone() == ("on",)


def test_a_cluster_of_a_smaller_machine_takes_more_connections(
    data_dir: Path, settings: Settings
) -> None:
    """The service has more threads now. What an operator has raised further stays."""
    configuration = cluster.folder(data_dir) / "postgresql.conf"
    database.join(data_dir)
    database.release(data_dir)
    before = configuration.read_text()
    try:
        for there, needed, expected in ((30, 20, 30), (30, 41, 41), (50, 41, 50)):
            configuration.write_text(f"{before}\nmax_connections = {there}\n")
            settings.MOST_CONNECTIONS = needed
            database.join(data_dir)
            assert execute(data_dir, "SHOW max_connections").fetchone() == (f"{expected}",)
            database.release(data_dir)
    finally:
        configuration.write_text(before)


def test_it_listens_on_no_network_address(server: Path) -> None:
    assert execute(server, "SHOW listen_addresses").fetchone() == ("",)


def test_other_local_users_cannot_connect(server: Path) -> None:
    socket = cluster.socket_path(server)
    assert socket.stat().st_mode & 0o077 == 0
    assert socket.parent.stat().st_mode & 0o077 == 0


def test_django_connects_to_it(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", server)
    handler = ConnectionHandler({"default": {"ENGINE": "facesvc.postgres", "NAME": "facesvc"}})
    wrapper = handler["default"]
    with wrapper.get_new_connection(wrapper.get_connection_params()) as connection:
        assert connection.info.dbname == "facesvc"


def test_importing_the_settings_starts_nothing(tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "DJANGO_SETTINGS_MODULE": "facesvc.settings",
        "FACESVC_DATA": str(tmp_path),
    }
    subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        cwd=PROJECT,
        env=environment,
        check=True,
    )
    assert not (tmp_path / "postgres").exists()


def test_it_stops_with_its_last_user(server: Path) -> None:
    assert database.release(server)
    assert has_ended(server)
    assert not database.is_running(server)


def test_it_stays_while_another_process_uses_it(
    server: Path, other_user: subprocess.Popen[str]
) -> None:
    pid = postmaster(server)
    assert not database.release(server)
    database.join(server)
    assert postmaster(server) == pid


def test_a_killed_user_does_not_keep_it(server: Path, other_user: subprocess.Popen[str]) -> None:
    database.release(server)
    other_user.kill()
    wait_until(lambda: has_ended(server))


def test_a_forked_child_that_leaves_does_not_stop_it(server: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(0.3)
    assert database.is_running(server)


def test_a_forked_child_keeps_it(server: Path) -> None:
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        assert not database.release(server)
        assert database.is_running(server)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    wait_until(lambda: has_ended(server))


def test_data_survives_a_killed_server(server: Path) -> None:
    execute(server, "CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(postmaster(server), signal.SIGKILL)
    wait_until(lambda: not database.is_running(server))
    assert execute(server, "SELECT n FROM kept").fetchone() == (7,)


def test_a_killed_keeper_takes_the_server_with_it(server: Path) -> None:
    first = postmaster(server)
    os.kill(parent_of(first), signal.SIGKILL)
    wait_until(lambda: has_ended(server))
    database.join(server)
    assert postmaster(server) != first


def parent_of(pid: int) -> int:
    answer = subprocess.check_output(["ps", "-o", "ppid=", "-p", str(pid)], text=True)
    return int(answer)


def test_an_old_pid_file_with_the_number_of_a_new_process(server: Path) -> None:
    os.kill(postmaster(server), signal.SIGKILL)
    wait_until(lambda: has_ended(server))
    pid_file = server / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    database.join(server)
    assert postmaster(server) != os.getpid()


def test_a_server_that_cannot_start_says_why(server: Path) -> None:
    database.release(server)
    settings_file = server / "postgres" / "postgresql.auto.conf"
    before = settings_file.read_text()
    settings_file.write_text("shared_buffers = nonsense\n")
    try:
        with pytest.raises(cluster.DatabaseError, match="shared_buffers"):
            database.join(server)
    finally:
        settings_file.write_text(before)


def test_an_interrupted_initdb_in_a_folder_with_a_long_name(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 30)
    (data_dir / "postgres.new").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    try:
        assert execute(data_dir, "SELECT 1").fetchone() == (1,)
        assert cluster.socket_folder(data_dir).stat().st_mode & 0o077 == 0
    finally:
        database.release(data_dir)
        cluster.socket_folder(data_dir).rmdir()


@pytest.mark.parametrize(
    ("memory", "cpus", "name", "value"),
    [
        (256 * MB, 1, "shared_buffers", "128MB"),
        (4096 * MB, 2, "shared_buffers", "1024MB"),
        (65536 * MB, 32, "shared_buffers", "2048MB"),
        (256 * MB, 1, "maintenance_work_mem", "64MB"),
        (65536 * MB, 32, "max_connections", "768"),
    ],
)
def test_sizes_follow_the_machine(memory: int, cpus: int, name: str, value: str) -> None:
    assert cluster.sizes(memory, cpus)[name] == value
