"""A streaming standby in a folder of its own, for tests and for trying out: docs/operations.md."""

from pathlib import Path
from urllib.parse import quote

import psycopg

from facesvc.postgres import cluster, database

_PRIMARY = "primary"  # a file in the folder of a standby


def copy(primary: str, data_dir: Path, password: str = "") -> None:
    """Copy the server of a connection string into `data_dir`. Raises DatabaseError.

    Once it is started (`database.join`), the copy follows that server.
    """
    cluster.fill(
        data_dir,
        *("pg_basebackup", f"--dbname={primary}", "--write-recovery-conf"),
        *("--checkpoint=fast", "--wal-method=stream", "--no-password"),
        password=password,
    )


def remember_primary(data_dir: Path, primary: Path) -> None:
    """Note in the folder of a standby which embedded server it follows."""
    (data_dir / _PRIMARY).write_text(str(primary.resolve()))


def is_standby(data_dir: Path) -> bool:
    """Whether the server in `data_dir` follows another one. It need not run."""
    return (cluster.folder(data_dir) / "standby.signal").exists()


def address(*data_dirs: Path) -> str:
    """The DATABASE_URL of embedded servers, of which one takes writes. It starts none of them."""
    sockets = [str(cluster.socket_folder(each)) for each in data_dirs]
    hosts = ",".join(f"{quote(each, safe='')}:{cluster.PORT}" for each in sockets)
    return f"postgresql://{cluster.SUPERUSER}@{hosts}/{database.NAME}"


def promote(data_dir: Path) -> None:
    """Have the standby take writes, and return when it does. Raises DatabaseError.

    If it follows an embedded server, that one must have ended, and does not start again.
    """
    primary = _primary(data_dir)
    if primary and database.is_running(primary):
        raise cluster.DatabaseError(
            f"the primary in {primary} runs: both would take writes. End it first."
        )
    with psycopg.connect(database.embedded_url(data_dir), autocommit=True) as connection:
        promoted = connection.execute("SELECT pg_promote() WHERE pg_is_in_recovery()").fetchone()
    if promoted == (False,):
        raise cluster.DatabaseError("the standby has not begun to take writes for a minute")
    if primary:
        cluster.replace(primary, data_dir)


def _primary(data_dir: Path) -> Path | None:
    """The folder of the embedded server that the standby follows, if that server is still there."""
    note = data_dir / _PRIMARY
    if not note.exists():
        return None
    primary = Path(note.read_text())
    is_there = cluster.folder(primary).exists()
    return primary if is_there and cluster.identity(primary) == cluster.identity(data_dir) else None
