"""Writes a collection into a file: one state of it, while the service runs."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management import CommandError
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

from batch.models import Job
from facesvc import __version__
from facesvc.collection_files import sealed, tables
from facesvc.collection_files.tables import Table
from recognition.collections.current import Entered, here
from recognition.collections.models import Collection
from recognition.collections.schemas import SHARED_APPS
from recognition.inference.arrays import Floats
from recognition.models import ActiveModel
from recognition.packs import engine, protection, versions
from recognition.privacy import sealing

FORMAT = 1
BATCH = 1000  # templates
# A large collection takes minutes, whatever else the server allows.
UNLIMITED = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"


def export(file: Path, passphrase: str) -> dict[str, int]:
    """Write the current collection; returns how many rows each table has in the file.

    The file has its name only when it is whole. Raises CommandError, UnreadableError.
    """
    if file.exists():
        raise CommandError(f"{file} exists already.")
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.touch(mode=0o600)
    try:
        with unfinished.open("wb") as content, _one_state():
            writer = sealed.Writer(content, passphrase)
            counts = _write(writer, here())
            writer.close()
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return counts


@contextmanager
def _one_state() -> Iterator[None]:
    """The file has nothing that is changed while it is written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT")  # the connection looks into the collection before the transaction
        with transaction.atomic():
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(UNLIMITED)
            yield


def _write(writer: sealed.Writer, collection: Entered) -> dict[str, int]:
    if waiting := Job.objects.unfinished().count():
        raise CommandError(
            f"{waiting} jobs are not finished: wait for them, or suspend the collection and cancel"
            " them. Nothing is written."
        )
    active = ActiveModel.objects.get()
    writer.write(_head(collection, active))
    counts = {}
    for table in tables.CARRIED:
        writer.write({"table": table.name, "columns": table.columns})
        counts[table.name] = _count(writer, _rows(table))
    writer.write({"table": tables.TEMPLATES._meta.db_table, "columns": TEMPLATE_COLUMNS})
    version = versions.version_of(engine.pack(active.pack), active.template_key)
    counts[tables.TEMPLATES._meta.db_table] = _count(writer, _templates(version))
    writer.write({"end": counts})
    return counts


def _count(writer: sealed.Writer, rows: Iterator[list[Any]]) -> int:
    count = 0
    for row in rows:
        writer.write(row)
        count += 1
    return count


def _head(collection: Entered, active: ActiveModel) -> dict[str, Any]:
    row = Collection.objects.get(pk=collection.number)
    return {
        "format": FORMAT,
        "facesvc": __version__,
        "migrations": migrations(),
        "name": row.name,
        "made_by": row.made_by,
        "rules": row.rules,
        "pack": active.pack,
        "embedding_version": engine.pack(active.pack).embedding_version,
    }


def migrations() -> list[str]:
    """Those of the tables of the current collection."""
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied if app not in SHARED_APPS)


def _rows(table: Table) -> Iterator[list[Any]]:
    """Each value as PostgreSQL writes it; what is sealed in base64, and open."""
    emptied = {table.columns.index(name) for name in table.emptied}
    at = table.columns.index("sealed") if table.sealed else None
    for row in _copied(table.name, table.columns, table.only):
        values = ["" if place in emptied else value for place, value in enumerate(row)]
        if at is not None:
            picture = sealing.unseal(bytes.fromhex(str(values[at])[2:]))
            values[at] = base64.b64encode(picture).decode()
        yield values


def _copied(name: str, columns: list[str], only: str) -> Iterator[tuple[str | None, ...]]:
    listed = ", ".join(f'"{column}"' for column in columns)
    where = f" WHERE {only}" if only else ""
    with connection.cursor() as cursor:
        statement = f"COPY (SELECT {listed} FROM {name}{where}) TO STDOUT"
        with cursor.copy(statement) as copy:
            yield from copy.rows()


# --- templates ------------------------------------------------------------------------------------

# The last one is written as base64 of 512 numbers, without the key.
TEMPLATE_COLUMNS = ["id", "face_id", "user_id", "model_version", "created_at", "embedding"]


def _templates(version: str) -> Iterator[list[Any]]:
    """Those of the model that serves; those of former ones stay."""
    if "'" in version:
        raise ValueError(version)
    name = tables.TEMPLATES._meta.db_table
    waiting: list[list[Any]] = []
    for row in _copied(name, TEMPLATE_COLUMNS, f"embedding_version = '{version}'"):
        waiting.append([*row])
        if len(waiting) == BATCH:
            yield from _revealed(waiting, versions.key_of(version))
            waiting = []
    yield from _revealed(waiting, versions.key_of(version))


def _revealed(rows: list[list[Any]], key: str) -> Iterator[list[Any]]:
    if not rows:
        return
    stored: Floats = np.array([row[-1][1:-1].split(",") for row in rows], np.float32)
    for row, vector in zip(rows, protection.reveal(stored, key), strict=True):
        yield [*row[:-1], base64.b64encode(vector.astype("<f4").tobytes()).decode()]
