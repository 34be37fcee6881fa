"""Embeds many photos, in several processes; without Django, so that these start quickly."""

import math
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from recognition.inference.arrays import Floats
from recognition.inference.images import ImageError, decode
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import FacePipeline
from recognition.measuring.photo_folders import Photo
from recognition.processes.orphans import end_with_parent

# Photos handed to a process at a time.
_CHUNK = 4


@dataclass(frozen=True)
class PhotoLimits:
    max_bytes: int
    max_pixels: int


@dataclass(frozen=True)
class EmbeddedPhoto:
    """The main face of a photo, or why there is none."""

    photo: Photo
    embedding: Floats | None = None  # (dimensions,) of length 1
    quality: float = math.nan
    problem: str = ""


@dataclass(frozen=True)
class _Work:
    """The pipeline and the limits of a process, which opens them once."""

    pipeline: FacePipeline
    limits: PhotoLimits

    def embed(self, photo: Photo) -> EmbeddedPhoto:
        try:
            data = photo.path.read_bytes()
            image = decode(data, max_bytes=self.limits.max_bytes, max_pixels=self.limits.max_pixels)
        except ImageError as error:
            return EmbeddedPhoto(photo, problem=str(error))
        except OSError as error:
            return EmbeddedPhoto(photo, problem=f"{error.strerror}.")
        for face in self.pipeline.embed(self.pipeline.detect(image)[:1]):
            return EmbeddedPhoto(photo, face.embedding, face.quality.score)
        return EmbeddedPhoto(photo, problem="No face was found.")


_work: _Work | None = None


def embed_photos(
    photos: Sequence[Photo], pack: ModelPack, cache: Path, limits: PhotoLimits, *, workers: int = 1
) -> Iterator[EmbeddedPhoto]:
    """The main face of each photo, in order; the pack must be prepared in `cache`."""
    if workers == 1:
        work = _Work(FacePipeline(pack, cache), limits)
        yield from map(work.embed, photos)
        return
    # A fork would leave onnxruntime and OpenCV without their threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _open, (pack, cache, limits)) as pool:
        try:
            yield from pool.map(_embed, photos, chunksize=_CHUNK)
        finally:
            pool.shutdown(cancel_futures=True)


def _open(pack: ModelPack, cache: Path, limits: PhotoLimits) -> None:
    global _work
    end_with_parent()
    _work = _Work(FacePipeline(pack, cache), limits)


def _embed(photo: Photo) -> EmbeddedPhoto:
    if _work is None:
        raise RuntimeError("the process was not prepared")
    return _work.embed(photo)
