"""A disk that is full for a while: the service answers 503, stays up, and goes on by itself."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psycopg
import pytest

from facesvc.postgres import cluster, database
from facesvc.postgres.cluster import DatabaseError
from facesvc.running.supervisor import keep_reviving, revive
from tests.facesvc.running.test_run import facesvc_run, free_port
from tests.support.builders import PREFIX, service_token
from tests.support.patience import PATIENCE, wait_until


class Disk:
    """A file system of its own, in memory, that a test can fill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        with (self.folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0" * 65536)

    def empty(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o755)  # PostgreSQL may run as another user
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system of its own needs the rights to mount one")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_a_503_and_not_the_end(disk: Disk) -> None:
    port = free_port()
    log = disk.folder.with_name("log")
    with log.open("w") as output:
        process = facesvc_run(disk.folder, port, output)
    try:
        wait_until(lambda: get(port, "/health/ready") == 200)
        disk.fill()
        break_database(disk.folder)
        wait_until(lambda: "The next try is in" in log.read_text())
        assert get(port, "/health/live") == 200
        assert get(port, "/health/ready") == 503
        assert get(port, f"{PREFIX}users") == 503
        disk.empty()
        wait_until(lambda: get(port, "/health/ready") == 200)
        assert get(port, f"{PREFIX}users") == 200
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


def get(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {service_token()}"})
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0  # nobody listens
    finally:
        connection.close()


def break_database(data_dir: Path) -> None:
    """It needs another file of its log, for which there is no room, and panics."""
    with suppress(psycopg.OperationalError):
        for _ in range(50):
            with psycopg.connect(
                host=str(cluster.socket_folder(data_dir)),
                port=cluster.PORT,
                user=cluster.SUPERUSER,
                dbname=database.NAME,
                autocommit=True,
            ) as connection:
                connection.execute("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000))")
                connection.execute("SELECT pg_switch_wal()")


# --- the reviver ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [DatabaseError("no room"), subprocess.CalledProcessError(1, "no room")]
)
def test_the_next_try_comes_later_and_later(
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures, waited = [3], []

    def join(data_dir: Path) -> int:
        if failures[0]:
            failures[0] -= 1
            raise error
        return 0

    class Stop(threading.Event):
        """Set once the database has run for two looks, and down for one more try."""

        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            if len(waited) == 6:
                failures[0] = 1
            return len(waited) == 8

    monkeypatch.setattr(database, "join", join)
    monkeypatch.setattr(database, "is_running", lambda data_dir: failures[0] == 0)
    keep_reviving(tmp_path, Stop())
    assert capsys.readouterr().out.count("no room") == 4
    # Three tries in vain, two looks at what runs; it ends, and the first delay is short again.
    assert waited == [1.0, 1.0, 2.0, 4.0, 1.0, 1.0, 1.0, 1.0]


def test_the_caller_goes_on_while_the_database_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, started = threading.Event(), threading.Event()

    def join(data_dir: Path) -> int:
        begun.set()
        return started.wait(PATIENCE)

    monkeypatch.setattr(database, "is_running", lambda data_dir: False)
    monkeypatch.setattr(database, "join", join)
    stop = revive(tmp_path)  # returns
    assert begun.wait(PATIENCE)
    stop.set()
    started.set()
