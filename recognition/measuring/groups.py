"""How often strangers of one group of people match, beside strangers at large.

A list says who belongs to which group; a person may be in several, or in none.
"""

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from recognition.measuring.evaluation import Acceptance
from recognition.measuring.folders import EmbeddedFolder
from recognition.measuring.pairs import Rate, false_match_rates, false_non_match_rate
from recognition.measuring.photos import PhotosError

_COLUMNS = ["person", "group"]


@dataclass(frozen=True)
class GroupRates:
    """The errors within a group, at the threshold that the whole folder has at some rate."""

    group: str
    people: int
    photos: int
    fmr: Rate  # of pairs of two people of the group
    fnmr: Rate


def read_groups(path: Path) -> dict[str, set[str]]:
    """The people of each group, in the order of the list. Raises PhotosError, OSError."""
    groups: dict[str, set[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file), start=1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or (number == 1 and [c.lower() for c in cells] == _COLUMNS):
                    continue
                if len(cells) != len(_COLUMNS) or not all(cells):
                    raise PhotosError(f"{path}, line {number}: not {','.join(_COLUMNS)}")
                groups.setdefault(cells[1], set()).add(_name(cells[0]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise PhotosError(f"{path} is no CSV file in UTF-8: {error}") from error
    if not groups:
        raise PhotosError(f"{path} has no people")
    return groups


def by_group(
    folder: EmbeddedFolder, groups: dict[str, set[str]], cosine: float
) -> Iterator[GroupRates]:
    """The rates of each group that has at least two people in the folder. Raises PhotosError."""
    found = folder.found()
    names = np.array([photo.person for photo in found.photos])
    if not any(name in people for people in groups.values() for name in names):
        raise PhotosError("nobody in the list of groups is in the folder")
    for group, members in groups.items():
        inside = found.only(np.isin(names, sorted(members)))
        people = len(np.unique(inside.people))
        if people > 1:
            (fmr,) = false_match_rates(inside.embeddings, inside.people, [cosine])
            fnmr = false_non_match_rate(inside.embeddings, inside.people, cosine)
            yield GroupRates(group, people, len(inside.photos), fmr, fnmr)


def describe(found: list[GroupRates], fmr: str, at: Acceptance) -> dict[str, object]:
    return {"fmr": fmr, "cosine": at.cosine, "groups": [asdict(rates) for rates in found]}


def _name(cell: str) -> str:
    """As the name of a folder is read."""
    return cell.replace("_", " ").strip()
