"""A CSV file that says which user of your app each id of the other service is."""

import csv
from dataclasses import dataclass
from pathlib import Path

from facesvc.moving.source import NotMovedError, StopError

_COLUMNS = {"id", "user_id", "name", "photo"}
_NEEDED = {"id", "user_id"}


@dataclass(frozen=True)
class Row:
    user_id: str
    name: str
    photo: str


class UserMap:
    """The rows by id. Without a file, ids are taken as they are."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises StopError."""
        self.path = path
        self.rows = _read(path) if path else {}

    def row(self, *ids: str) -> Row | None:
        """That of the first id that has one."""
        return next((self.rows[each] for each in ids if each in self.rows), None)

    def require(self, *ids: str) -> Row | None:
        """None without a file. Raises NotMovedError if there is a file, and it gives no user: a
        forgotten row must not make a user that your app does not know."""
        found = self.row(*ids)
        if self.path and not (found and found.user_id):
            raise NotMovedError("not_in_the_map", f"{self.path.name} gives no user_id for it.")
        return found


def _read(path: Path) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            if not columns >= _NEEDED or not columns <= _COLUMNS:
                known = "id and user_id, and may have name and photo"
                raise StopError(f"{path} needs the columns {known}.")
            for cells in reader:
                if None in cells or None in cells.values():
                    raise StopError(f"{path}, line {reader.line_num}: not as many cells as columns")
                if cells["id"] in rows:
                    raise StopError(f"{path}, line {reader.line_num}: its id is there twice")
                name, photo = cells.get("name", ""), cells.get("photo", "")
                rows[cells["id"]] = Row(cells["user_id"], name, photo)
    except OSError as error:
        raise StopError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise StopError(f"{path} is no CSV file in UTF-8: {error}") from error
    return rows
