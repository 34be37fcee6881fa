"""Lists of pairs of photos to be compared: CSV with the columns path_a, path_b, same."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recognition.measuring.pairs import Numbers
from recognition.measuring.photos import Photo, PhotosError, person_of

_SAME = {"1": True, "true": True, "0": False, "false": False}
_COLUMNS = ["path_a", "path_b", "same"]


@dataclass(frozen=True)
class ListedPair:
    path_a: Path  # absolute
    path_b: Path
    same: bool
    line: int


def read_pairs(path: Path, folder: Path) -> list[ListedPair]:
    """The pairs in their order; relative paths are below `folder`. Raises PhotosError."""
    pairs = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            rows = ((reader.line_num, [cell.strip() for cell in row]) for row in reader)
            for number, (line, row) in enumerate((n, row) for n, row in rows if any(row)):
                if number == 0 and _is_header(row, folder):
                    continue
                try:
                    pairs.append(_read_row(row, folder, line))
                except PhotosError as error:
                    raise PhotosError(f"{path}, line {line}: {error}") from None
    except OSError as error:
        raise PhotosError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise PhotosError(f"{path} is no CSV file in UTF-8: {error}") from error
    if not pairs:
        raise PhotosError(f"{path} has no pairs")
    return pairs


def _is_header(row: list[str], folder: Path) -> bool:
    """The first row of a list, unless it says something of a photo that exists."""
    if [cell.lower() for cell in row] == _COLUMNS:
        return True
    return row[-1].lower() not in _SAME and not any((folder / cell).is_file() for cell in row[:2])


def _read_row(row: list[str], folder: Path, line: int) -> ListedPair:
    if len(row) != len(_COLUMNS):
        raise PhotosError(f"{len(row)} columns instead of {len(_COLUMNS)}: {', '.join(_COLUMNS)}")
    same = _SAME.get(row[2].lower())
    if same is None:
        raise PhotosError(f"same is {row[2]!r} and must be 1, 0, true or false")
    photos = [_absolute(folder / cell) for cell in row[:2]]
    for cell, photo in zip(row, photos, strict=False):
        if not cell or not photo.is_file():
            raise PhotosError(f"there is no photo {cell!r}")
    if photos[0] == photos[1] and not same:
        raise PhotosError(f"{row[0]!r} is said to differ from itself")
    return ListedPair(photos[0], photos[1], same, line)


def _absolute(path: Path) -> Path:
    """Without `..`, but not resolved: behind a link the name of the person may be lost."""
    return Path(os.path.normpath(path.absolute()))


def photos_of(pairs: Iterable[ListedPair], folder: Path) -> list[Photo]:
    """All photos that the pairs name, each once."""
    paths = dict.fromkeys(path for pair in pairs for path in (pair.path_a, pair.path_b))
    relatives = [(path, relative_to(path, folder)) for path in paths]
    # Only the list says who is in photos elsewhere.
    return [Photo(path, person_of(below) if below else "") for path, below in relatives]


def relative_to(path: Path, folder: Path) -> Path | None:
    """The path below the folder, which may be a link; None elsewhere."""
    for start in (_absolute(folder), folder.resolve()):
        if path.is_relative_to(start):
            return path.relative_to(start)
    return None


@dataclass(frozen=True)
class People:
    """Who is who in the photos of a list."""

    numbers: Numbers  # (N,) of the person in each photo
    contradiction: ListedPair | None  # why folders and file names are not believed


def people_of(photos: Sequence[Photo], pairs: Sequence[ListedPair]) -> People:
    """People by folder or file name, and as the list joins them.

    If the list says that two photos with one name show two people, names are not people, and only
    the list counts.
    """
    joined = {photo.path: photo.path for photo in photos}
    first: dict[str, Path] = {}
    names = [
        (first.setdefault(photo.person, photo.path), photo.path) for photo in photos if photo.person
    ]
    listed = [(pair.path_a, pair.path_b) for pair in pairs if pair.same]
    by_name = _join(joined, [*names, *listed])
    # The first pair of different people who would be one.
    apart = (pair for pair in pairs if not pair.same)
    contradiction = next((p for p in apart if by_name[p.path_a] == by_name[p.path_b]), None)
    if contradiction:
        by_name = _join(joined, listed)
    order = {who: number for number, who in enumerate(dict.fromkeys(by_name.values()))}
    return People(np.array([order[by_name[photo.path]] for photo in photos]), contradiction)


def _join(members: dict[Path, Path], links: Iterable[tuple[Path, Path]]) -> dict[Path, Path]:
    """A representative of each member's group, when linked ones belong together (union-find)."""
    parents = dict(members)

    def root(member: Path) -> Path:
        while parents[member] != member:
            parents[member] = member = parents[parents[member]]
        return member

    for a, b in links:
        parents[root(a)] = root(b)
    return {member: root(member) for member in parents}
