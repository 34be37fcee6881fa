"""Folders of labelled photos: one subfolder a person, or the person's name in the file name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
# `Jane_Doe_0001.jpg`, `jane-doe (2).png`: what follows the name is a number.
_NUMBER = re.compile(r"[\s_.-]*\(?\d+\)?$")


@dataclass(frozen=True)
class Photo:
    path: Path
    person: str


def find_photos(folder: Path) -> Iterator[Photo]:
    """All pictures below `folder` in a stable order, hidden files left out."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix.lower() in _SUFFIXES and path.is_file() and not hidden:
            yield Photo(path, person_of(relative))


def person_of(relative: Path) -> str:
    """Who is in the photo, by its path below the folder of photos."""
    name = relative.parts[0] if len(relative.parts) > 1 else _NUMBER.sub("", relative.stem)
    return name.replace("_", " ").strip() or relative.stem
