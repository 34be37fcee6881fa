"""What the networks of a pack cost, in CPU time: it says the same on a busy machine.

Another pack is measured on the same pictures in turn, because machines differ: believe the ratio.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from recognition.inference.arrays import Image
from recognition.inference.images import ImageError, decode
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import FacePipeline
from recognition.measuring.photos import Photo

# The pack that every installation has.
REFERENCE = "dlib"
# Pixels of the longer side: about what a webcam sends. What a detector costs depends on it.
SIDE = 640
_PHOTOS = 40


@dataclass(frozen=True)
class Speed:
    """Medians over photos, of one thread."""

    photos: int
    side: int
    milliseconds: dict[str, float]  # by stage; `detect` of a photo, the others of its main face
    times_reference: float  # detect and embed, beside the same of the pack REFERENCE


def measure(
    pack: ModelPack,
    reference: ModelPack,
    photos: Sequence[Photo],
    cache: Path,
    limits: dict[str, int],
) -> Speed | None:
    """None without a photo that can be decoded. `limits` are those of images.decode."""
    pictures = list(_pictures(photos, limits))
    if not pictures:
        return None
    packs = {each.name: each for each in (reference, pack)}
    pipelines = {name: FacePipeline(each, cache, threads=1) for name, each in packs.items()}
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in pipelines}
    # The first picture is seen twice, to warm up.
    for number, picture in enumerate([pictures[0], *pictures]):
        for name, pipeline in pipelines.items():
            stages = _stages(pipeline, picture)
            if number:
                spent[name].append(stages)
    medians = {name: _medians(each) for name, each in spent.items()}
    ours, theirs = (medians[each.name] for each in (pack, reference))
    ratio = (ours["detect"] + ours["embed"]) / (theirs["detect"] + theirs["embed"])
    return Speed(len(pictures), SIDE, ours, round(ratio, 3))


def _pictures(photos: Sequence[Photo], limits: dict[str, int]) -> Iterator[Image]:
    """Some of the photos, from all parts of the folder, enlarged or reduced to one size."""
    for photo in photos[:: max(1, len(photos) // _PHOTOS)][:_PHOTOS]:
        try:
            image = decode(photo.path.read_bytes(), **limits)
        except (ImageError, OSError):
            continue  # evaluating names it among the photos without a face
        scale = SIDE / max(image.shape[:2])
        yield cv2.resize(image, None, fx=scale, fy=scale).astype(np.uint8, copy=False)


def _stages(pipeline: FacePipeline, picture: Image) -> dict[str, float]:
    """CPU milliseconds of each stage."""
    start = time.process_time()
    faces = pipeline.detect(picture)[:1]
    found = time.process_time()
    pipeline.embed(faces)
    embedded = time.process_time()
    stages = {"detect": found - start, "embed": embedded - found}
    if pipeline.pack.liveness:
        pipeline.describe(picture, faces, attributes=False)
        stages["antispoofing"] = time.process_time() - embedded
    return {stage: 1000 * seconds for stage, seconds in stages.items()}


def _medians(stages: Sequence[dict[str, float]]) -> dict[str, float]:
    return {
        stage: round(float(np.median([each[stage] for each in stages])), 2) for stage in stages[0]
    }
