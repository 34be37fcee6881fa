"""Labelled photos: finds them in folders and lists, and embeds the main face of each.

One subfolder is a person, or the person's name is in the file name. There is no Django here, so
that the processes that embed start quickly.
"""

import csv
import math
import multiprocessing
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from recognition.inference.arrays import Floats
from recognition.inference.images import ImageError, decode
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import FacePipeline
from recognition.measuring.pairs import Numbers
from recognition.processes.orphans import end_with_parent

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
# `Jane_Doe_0001.jpg`, `jane-doe (2).png`: what follows the name is a number.
_NUMBER = re.compile(r"[\s_.-]*\(?\d+\)?$")
# Names that cameras and phones give every picture: they do not say who is in it.
_CAMERA = re.compile(
    r"(?:IMG|DSCN?|DSCF|PXL|MVIMG|P|WP|GOPR|image|photo|picture|screenshot|untitled)?[\W\d_]*",
    re.IGNORECASE,
)
# Photos handed to a process at a time.
_CHUNK = 4
# Lists of pairs to be compared are CSV files.
_SAME = {"1": True, "true": True, "0": False, "false": False}
_COLUMNS = ["path_a", "path_b", "same"]

T = TypeVar("T")
R = TypeVar("R")


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
    return name_in(relative).replace("_", " ").strip()


def name_in(relative: Path) -> str:
    """The name as the path has it: that of the subfolder, or of the file without a number."""
    if len(relative.parts) > 1:
        return relative.parts[0].strip()
    if _CAMERA.fullmatch(relative.stem):
        return ""
    return _NUMBER.sub("", relative.stem).strip()


# --- Lists of pairs -------------------------------------------------------------------------------


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


# --- Embeddings -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EmbeddedPhoto:
    """The main face of a photo, or why there is none."""

    photo: Photo
    embedding: Floats | None = None  # (dimensions,) of length 1
    quality: float = math.nan
    problem: str = ""


def embed_photos(
    photos: Sequence[Photo], pack: ModelPack, cache: Path, limits: dict[str, int], *, workers: int
) -> Iterator[EmbeddedPhoto]:
    """The main face of each photo, in order; the pack must be prepared in `cache`.

    `limits` are those of images.decode.
    """
    yield from in_processes(partial(_embed, pack, cache, limits), photos, workers)


def in_processes(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """The results in the order of the items; a single worker is this process."""
    if workers == 1:
        yield from map(work, items)
        return
    # A fork would leave onnxruntime and OpenCV without their threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, end_with_parent) as pool:
        try:
            yield from pool.map(work, items, chunksize=_CHUNK)
        finally:
            pool.shutdown(cancel_futures=True)


# Each process has one.
open_once = lru_cache(maxsize=1)(FacePipeline)


def _embed(pack: ModelPack, cache: Path, limits: dict[str, int], photo: Photo) -> EmbeddedPhoto:
    pipeline = open_once(pack, cache)
    try:
        image = decode(photo.path.read_bytes(), **limits)
    except ImageError as error:
        return EmbeddedPhoto(photo, problem=str(error))
    except OSError as error:
        return EmbeddedPhoto(photo, problem=f"{error.strerror}.")
    for face in pipeline.embed(pipeline.detect(image, only_main=True)):
        if face.quality.is_misread:  # no verb compares it
            return EmbeddedPhoto(photo, problem="The face lies on its side or upside down.")
        return EmbeddedPhoto(photo, face.embedding, face.quality.score)
    return EmbeddedPhoto(photo, problem="No face was found.")
