"""The embedded PostgreSQL server, for when DATABASE_URL is not set.

It lives in the data folder, starts with its first user and stops with its last. A user is a process
that holds the shared lock `locks/users`. The kernel counts them, so the number is right even after
kill -9 and fork. `facesvc.postgres.keeper` is the parent of the server and waits for the last to
leave.
"""

import logging
import os
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from urllib.parse import quote

import psycopg

from facesvc.postgres import cluster, locks
from facesvc.postgres.cluster import DatabaseError

logger = logging.getLogger(__name__)

NAME = "facesvc"
START_TIMEOUT = 300  # seconds; replaying the log after a crash takes as long as the log is big

_handles: dict[Path, int] = {}


def join(data_dir: Path) -> int:
    """Have the server run until this process ends or calls `release`.

    Returns the descriptor of the lock: children that inherit it keep the server running as well. A
    call is cheap while the server runs, and starts it again when it has died.
    """
    data_dir = data_dir.resolve()
    if data_dir not in _handles or not is_running(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locks.held(_lock(data_dir, "start"), locks.EXCLUSIVE):
            if data_dir not in _handles:
                _handles[data_dir] = locks.acquire(_lock(data_dir, "users"), locks.SHARED)
            if not is_running(data_dir):
                _start(data_dir)
    return _handles[data_dir]


def release(data_dir: Path) -> bool:
    """Leave the server and wait until it has stopped; False if others still use it."""
    data_dir = data_dir.resolve()
    users, server = _lock(data_dir, "users"), _lock(data_dir, "server")
    os.close(_handles.pop(data_dir))
    while not locks.is_free(server):
        # Once the keeper is alone, it holds the lock exclusively.
        if not locks.is_free(users) and locks.is_free(users, locks.SHARED):
            return locks.is_free(server)
        time.sleep(0.05)
    return True


def connect_parameters(data_dir: Path) -> dict[str, str | int]:
    join(data_dir)
    host = cluster.socket_folder(data_dir)
    return {"host": str(host), "port": cluster.PORT, "user": cluster.SUPERUSER}


def embedded_url(data_dir: Path, name: str = NAME) -> str:
    """The address of a database in the server, which is running when this returns."""
    to = connect_parameters(data_dir)
    return f"postgresql://{to['user']}@{quote(str(to['host']), safe='')}:{to['port']}/{name}"


def is_running(data_dir: Path) -> bool:
    """Whether anything listens on the socket; asking takes a tenth of a millisecond."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(cluster.socket_path(data_dir)))
        except OSError:
            return False
    return True


def _lock(data_dir: Path, name: str) -> Path:
    return data_dir / "locks" / name


def _start(data_dir: Path) -> None:
    """Start the server and wait until it answers. The caller holds the start lock."""
    try:
        # Server processes that outlive a kill -9 of their parent hold this lock for a moment, too.
        with locks.held(_lock(data_dir, "server"), locks.EXCLUSIVE, timeout=60) as descriptor:
            cluster.prepare(data_dir)
            _start_keeper(data_dir, descriptor)
    except locks.LockedError:
        raise DatabaseError(f"an old PostgreSQL process in {data_dir} does not end") from None
    deadline = time.monotonic() + START_TIMEOUT
    while not _is_ready(data_dir):
        if locks.is_free(_lock(data_dir, "server")):
            raise DatabaseError(f"PostgreSQL did not start:\n{_log_tail(data_dir)}")
        if time.monotonic() > deadline:
            raise DatabaseError(f"PostgreSQL is not ready yet:\n{_log_tail(data_dir)}")
        time.sleep(0.05)


def _start_keeper(data_dir: Path, server_lock: int) -> None:
    account = cluster.owner(data_dir)
    log_file = cluster.log_file(data_dir)
    log_file.touch(mode=0o600)  # the log quotes failed statements
    with log_file.open("ab") as log:
        subprocess.run(
            [
                *(sys.executable, "-m", "facesvc.postgres.keeper"),
                *("--users", str(_lock(data_dir, "users"))),
                *("--server-lock", str(server_lock)),
                *(("--owner", *map(str, account)) if account else ()),
                "--",
                *cluster.server_command(data_dir),
            ],
            check=True,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[server_lock],
            start_new_session=True,  # Ctrl-C in the terminal must not reach the database
        )


def _is_ready(data_dir: Path) -> bool:
    """Whether the server answers, with our database in it."""
    try:
        connection = psycopg.connect(
            host=str(cluster.socket_folder(data_dir)),
            port=cluster.PORT,
            user=cluster.SUPERUSER,
            dbname="postgres",
            autocommit=True,
        )
    except psycopg.OperationalError:
        return False
    with connection:
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
        if not exists.fetchone():
            connection.execute(f"CREATE DATABASE {NAME}")
    return True


def _log_tail(data_dir: Path) -> str:
    with cluster.log_file(data_dir).open(errors="replace") as lines:
        return "".join(deque(lines, maxlen=15)).rstrip()
