"""Folders of labelled photos: one subfolder a person, or the person's name in the file name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
# `Jane_Doe_0001.jpg`, `jane-doe (2).png`: what follows the name is a number.
_NUMBER = re.compile(r"[\s_.-]*\(?\d+\)?$")
# Names that cameras and phones give every picture: they do not say who is in it.
_CAMERA = re.compile(
    r"(?:IMG|DSCN?|DSCF|PXL|MVIMG|P|WP|GOPR|image|photo|picture|screenshot|untitled)?[\W\d_]*",
    re.IGNORECASE,
)


class PhotosError(ValueError):
    """The photos cannot be measured; the message says why."""


@dataclass(frozen=True)
class Photo:
    path: Path
    person: str  # empty where the name tells nothing


def find_photos(folder: Path) -> Iterator[Photo]:
    """All pictures below `folder` in a stable order, hidden files left out."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix.lower() in _SUFFIXES and path.is_file() and not hidden:
            yield Photo(path, person_of(relative))


def person_of(relative: Path) -> str:
    """Who is in a photo, by its path below the folder of photos; empty where that tells nothing."""
    if len(relative.parts) > 1:
        return relative.parts[0].replace("_", " ").strip()
    if _CAMERA.fullmatch(relative.stem):
        return ""
    return _NUMBER.sub("", relative.stem).replace("_", " ").strip()
