"""Labelled photos: finds them in folders, and embeds the main face of each.

One subfolder is a person, or the person's name is in the file name. There is no Django here, so
that the processes that embed start quickly.
"""

import math
import multiprocessing
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from recognition.inference.arrays import Floats
from recognition.inference.images import ImageError, decode
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import FacePipeline
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


# --- Embeddings -----------------------------------------------------------------------------------


class PhotoLimits(NamedTuple):
    max_bytes: int
    max_pixels: int


@dataclass(frozen=True)
class EmbeddedPhoto:
    """The main face of a photo, or why there is none."""

    photo: Photo
    embedding: Floats | None = None  # (dimensions,) of length 1
    quality: float = math.nan
    problem: str = ""


def embed_photos(
    photos: Sequence[Photo], pack: ModelPack, cache: Path, limits: PhotoLimits, *, workers: int = 1
) -> Iterator[EmbeddedPhoto]:
    """The main face of each photo, in order; the pack must be prepared in `cache`."""
    embed = partial(_embed, pack, cache, limits)
    if workers == 1:
        yield from map(embed, photos)
        return
    # A fork would leave onnxruntime and OpenCV without their threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, end_with_parent) as pool:
        try:
            yield from pool.map(embed, photos, chunksize=_CHUNK)
        finally:
            pool.shutdown(cancel_futures=True)


# Each process has one.
_pipeline = lru_cache(maxsize=1)(FacePipeline)


def _embed(pack: ModelPack, cache: Path, limits: PhotoLimits, photo: Photo) -> EmbeddedPhoto:
    pipeline = _pipeline(pack, cache)
    try:
        image = decode(photo.path.read_bytes(), **limits._asdict())
    except ImageError as error:
        return EmbeddedPhoto(photo, problem=str(error))
    except OSError as error:
        return EmbeddedPhoto(photo, problem=f"{error.strerror}.")
    for face in pipeline.embed(pipeline.detect(image)[:1]):
        return EmbeddedPhoto(photo, face.embedding, face.quality.score)
    return EmbeddedPhoto(photo, problem="No face was found.")
