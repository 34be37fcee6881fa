"""What a pack sees of photos, and of the same photos made worse."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from recognition.inference.arrays import Floats
from recognition.inference.flaws import figures
from recognition.inference.images import ImageError, decode
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pack.specs import CAUTIOUS
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.inference.pose import eye_distance
from recognition.inference.quality import light_of
from recognition.measuring.photos import Photo, in_processes, open_once
from recognition.measuring.quality.spoiling import spoilt

PLAIN = "plain"


@dataclass(frozen=True)
class Sighting:
    """The main face of a photo, or of what was made of it (spoiling.Spoilt)."""

    photo: Photo
    kind: str
    rung: float
    embedding: Floats
    figures: Floats  # flaws.figures
    agreement: float | None
    eyes: float  # pixels between them
    light: float
    contrast: float


def look(
    photos: Sequence[Photo],
    chosen: frozenset[Photo],
    pack: ModelPack,
    cache: Path,
    limits: dict[str, int],
    *,
    workers: int,
) -> Iterator[list[Sighting]]:
    """For each photo its face, and of the chosen ones what is made of them; none if none is found.

    The pack must be prepared in `cache`. `limits` are those of images.decode.
    """
    # What the pack says of flaws until now does not count.
    work = partial(_look, replace(pack, quality_ranges=CAUTIOUS), cache, limits)
    items = [(number, photo, photo in chosen) for number, photo in enumerate(photos)]
    return in_processes(work, items, workers)


def _look(
    pack: ModelPack, cache: Path, limits: dict[str, int], item: tuple[int, Photo, bool]
) -> list[Sighting]:
    number, photo, is_chosen = item
    pipeline = open_once(pack, cache)
    try:
        image = decode(photo.path.read_bytes(), **limits)
    except (ImageError, OSError):
        return []
    plain = pipeline.detect(image)[:1]
    if not plain:
        return []
    seen = [_seen(pipeline, photo, PLAIN, 0, plain)]
    if is_chosen and plain[0].rotation == 0:
        names = pack.detector.landmark_names
        for made in spoilt(image, plain[0], names, np.random.default_rng(number)):
            found = pipeline.detect(made.image, rotate=made.rotate)[:1]
            if found:
                seen.append(_seen(pipeline, photo, made.kind, made.rung, found))
    return seen


def _seen(
    pipeline: FacePipeline, photo: Photo, kind: str, rung: float, found: list[DetectedFace]
) -> Sighting:
    (face,) = pipeline.embed(found)
    if face.embedding is None:
        raise ValueError("the face was not embedded")
    (values,) = figures([face.crop], face.embedding[None])
    eyes = eye_distance(face.landmarks, pipeline.pack.detector.landmark_names)
    embedding = face.embedding
    return Sighting(
        photo, kind, rung, embedding, values, face.agreement, eyes, *light_of(face.crop)
    )
