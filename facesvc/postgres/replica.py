"""A streaming standby in a folder of its own, for tests and for trying out: docs/operations.md."""

from pathlib import Path
from urllib.parse import quote

import psycopg

from facesvc.postgres import cluster, database


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


def is_standby(data_dir: Path) -> bool:
    """Whether the server in `data_dir` follows another one. It need not run."""
    return (cluster.folder(data_dir) / "standby.signal").exists()


def address(*data_dirs: Path) -> str:
    """The DATABASE_URL of embedded servers, of which one takes writes. It starts none of them."""
    sockets = [str(cluster.socket_folder(each)) for each in data_dirs]
    hosts = ",".join(f"{quote(each, safe='')}:{cluster.PORT}" for each in sockets)
    return f"postgresql://{cluster.SUPERUSER}@{hosts}/{database.NAME}"


def promote(data_dir: Path) -> None:
    """Have the standby take writes, and return when it does. Raises DatabaseError."""
    with psycopg.connect(database.embedded_url(data_dir), autocommit=True) as connection:
        promoted = connection.execute("SELECT pg_promote() WHERE pg_is_in_recovery()").fetchone()
    if promoted == (False,):
        raise cluster.DatabaseError("the standby has not begun to take writes for a minute")
