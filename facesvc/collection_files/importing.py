"""Makes a collection of a file that another installation wrote: all of it, or nothing."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from django.core.management import CommandError
from django.db import connection, transaction

from facesvc.collection_files import exporting, sealed, tables
from facesvc.collection_files.sealed import SealedFileError
from facesvc.collection_files.tables import Table
from management import collections
from recognition.collections.current import DEFAULT, entered
from recognition.errors import ServiceError
from recognition.gallery import indexes
from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import TEMPLATE_DIMENSIONS
from recognition.models import ActiveModel
from recognition.packs import calibrations, engine, protection, versions
from recognition.privacy import sealing

_REASON = "The collection was brought from another installation with it."


def bring(file: Path, name: str, passphrase: str) -> dict[str, int]:
    """Make the collection `name`; returns how many rows each table got. Raises CommandError."""
    try:
        with file.open("rb") as content, transaction.atomic():
            return _Import(sealed.read(content, passphrase), name).run()
    except SealedFileError as error:
        raise CommandError(f"{file} {error}. Nothing is done.") from error
    except ServiceError as error:  # there may be no such collection here
        raise CommandError(f"{error} Nothing is done.") from error


def _refuse(problem: str) -> NoReturn:
    raise CommandError(f"{problem} Nothing is done.")


@dataclass
class _Import:
    lines: Iterator[Any]
    name: str
    _line: Any = None  # the one that ended the rows of the table before

    def run(self) -> dict[str, int]:
        head = next(self.lines, None)
        if not isinstance(head, dict) or head.get("format") != exporting.FORMAT:
            _refuse("The file has a form that this version does not know.")
        with connection.cursor() as cursor:
            cursor.execute(exporting.UNLIMITED)
        pack = self._checked(head)
        with entered(DEFAULT):
            # It takes minutes, so it holds no lock, which others who make a collection wait for.
            row = collections.without_model(self.name, made_by=head["made_by"], given=head["rules"])
        with entered(row.entered):
            return self._fill(pack)

    def _checked(self, head: dict[str, Any]) -> ModelPack:
        """The pack of the file. Refuses a file that does not fit."""
        if not sealing.is_possible():
            _refuse("Kept pictures and webhook secrets need FACESVC_CROP_KEYS.")
        with entered(DEFAULT):
            mine = exporting.migrations()
        if head["migrations"] != mine:
            _refuse(
                f"The file was written by facesvc {head['facesvc']}, whose tables are others: bring"
                " both installations to one version, and export again."
            )
        pack = engine.pack(head["pack"])
        if pack.embedding_version != head["embedding_version"]:
            _refuse(
                f"The pack {pack.name} makes other embeddings here: {pack.embedding_version}, not"
                f" {head['embedding_version']}."
            )
        return pack

    def _fill(self, pack: ModelPack) -> dict[str, int]:
        counts = {}
        for table in tables.CARRIED:
            self._expect(table.name, table.columns)
            counts[table.name] = _copy(table.name, table.columns, _sealed(table, self._rows()))
        templates = tables.TEMPLATES._meta.db_table
        self._expect(templates, exporting.TEMPLATE_COLUMNS)
        counts[templates] = self._templates(pack)
        if self._line != {"end": counts} or next(self.lines, None) is not None:
            raise SealedFileError("does not hold what its end says")
        for table in tables.CARRIED:
            _go_on_after(table.name)
        _go_on_after(templates)
        connection.check_constraints()
        return counts

    def _expect(self, name: str, columns: list[str]) -> None:
        line = self._line or next(self.lines, None)
        if line != {"table": name, "columns": columns}:
            raise SealedFileError(f"does not have {name} where it should be")

    def _rows(self) -> Iterator[list[Any]]:
        for line in self.lines:
            if not isinstance(line, list):
                self._line = line
                return
            yield line

    def _templates(self, pack: ModelPack) -> int:
        """Protected with the newest key here, in batches; the database lists them."""
        key = protection.newest_key()
        in_use = calibrations.measurement_in_use(pack.name)
        ActiveModel.objects.create(
            pack=pack.name, template_key=key, reason=_REASON, measurement_id=in_use
        )
        version = versions.version_of(pack, key)
        calibration = calibrations.calibration_of(pack, in_use)
        indexes.sketch(version, engine.centre_of(calibration, key))
        columns = [*exporting.TEMPLATE_COLUMNS, "embedding_version"]
        count = 0
        read = self._rows()
        while rows := list(islice(read, exporting.BATCH)):
            made = engine.templates(pack, key, _vectors(rows)[:, : pack.recogniser.dimensions])
            written = (
                [*row[:-1], str(vector.tolist()), version]
                for row, vector in zip(rows, made, strict=True)
            )
            count += _copy(tables.TEMPLATES._meta.db_table, columns, written)
        return count


def _vectors(rows: list[list[Any]]) -> Floats:
    """(N, 512) those of the file."""
    data = b"".join(base64.b64decode(row[-1]) for row in rows)
    return np.frombuffer(data, "<f4").reshape(len(rows), TEMPLATE_DIMENSIONS).astype(np.float32)


def _sealed(table: Table, rows: Iterator[list[Any]]) -> Iterator[list[Any]]:
    if not table.sealed:
        yield from rows
        return
    at = table.columns.index("sealed")
    for row in rows:
        content = sealing.seal(base64.b64decode(row[at]))
        yield [*row[:at], rf"\x{content.hex()}", *row[at + 1 :]]


def _copy(name: str, columns: list[str], rows: Iterator[list[Any]]) -> int:
    listed = ", ".join(f'"{column}"' for column in columns)
    count = 0
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {name} ({listed}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def _go_on_after(name: str) -> None:
    """The next row of a table gets a number that no row has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attidentity <> ''",
            [name],
        )
        for (column,) in cursor.fetchall():
            cursor.execute(
                f'SELECT setval(pg_get_serial_sequence(%s, %s), max("{column}")) FROM {name}',
                [name, column],
            )
