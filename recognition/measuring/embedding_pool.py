"""Embeds many photos, in several processes; without Django, so that these start quickly."""

import math
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from recognition.inference.arrays import Floats
from recognition.inference.images import ImageError, decode
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import FacePipeline
from recognition.measuring.photo_folders import Photo
from recognition.processes.orphans import end_with_parent

# Photos handed to a process at a time.
_CHUNK = 4


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


# A process of the pool has one.
_pipeline: FacePipeline


def embed_photos(
    photos: Sequence[Photo], pack: ModelPack, cache: Path, limits: PhotoLimits, *, workers: int = 1
) -> Iterator[EmbeddedPhoto]:
    """The main face of each photo, in order; the pack must be prepared in `cache`."""
    if workers == 1:
        pipeline = FacePipeline(pack, cache)
        yield from (_embed(pipeline, limits, photo) for photo in photos)
        return
    # A fork would leave onnxruntime and OpenCV without their threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _open, (pack, cache)) as pool:
        try:
            yield from pool.map(partial(_embed_in_pool, limits), photos, chunksize=_CHUNK)
        finally:
            pool.shutdown(cancel_futures=True)


def _open(pack: ModelPack, cache: Path) -> None:
    global _pipeline
    end_with_parent()
    _pipeline = FacePipeline(pack, cache)


def _embed_in_pool(limits: PhotoLimits, photo: Photo) -> EmbeddedPhoto:
    return _embed(_pipeline, limits, photo)


def _embed(pipeline: FacePipeline, limits: PhotoLimits, photo: Photo) -> EmbeddedPhoto:
    try:
        image = decode(photo.path.read_bytes(), **limits._asdict())
    except ImageError as error:
        return EmbeddedPhoto(photo, problem=str(error))
    except OSError as error:
        return EmbeddedPhoto(photo, problem=f"{error.strerror}.")
    for face in pipeline.embed(pipeline.detect(image)[:1]):
        return EmbeddedPhoto(photo, face.embedding, face.quality.score)
    return EmbeddedPhoto(photo, problem="No face was found.")
