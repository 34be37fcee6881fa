"""How many faces of large group photos each pack finds, and what that costs.

    python -m benchmarks.small_faces ../shared/faces/lfw-a --pack dlib --pack permissive

The photos are made by benchmarks.group_photos out of a folder of portraits, with a subfolder for
each person. Every line is the mean of some photos: the share of faces found, the boxes that show
none or the same face again, for each face; then the CPU milliseconds of the first look (as of all
verbs before there was a closer one) and of both together. `nobody` counts the boxes in a background
without faces. FACESVC_SMALLEST_FACE counts.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path

import cv2
import django
import numpy as np

from recognition.inference.arrays import Image
from recognition.inference.detection.tiles import FIRST_LOOK, CloserLook
from recognition.inference.pipeline import FacePipeline

# Megapixels, people, and the pixels of their faces.
PHOTOS = (
    (2, 60, 60),
    (12, 192, 100),
    (12, 70, 160),
    (12, 192, 60),
    (12, 192, 40),
    (24, 192, 100),
    (24, 192, 60),
    (24, 192, 40),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="portraits, a subfolder for each person")
    parser.add_argument("--pack", action="append", required=True, help="can be repeated")
    parser.add_argument("--rounds", type=int, default=3, help="photos of each kind")
    options = parser.parse_args()
    django.setup()
    from recognition.packs import engine

    for name in options.pack:
        pipeline = engine.open_pipeline(engine.pack(name))
        for megapixels, people, face in PHOTOS:
            measure(pipeline, options, megapixels, people, face)
        nobody(pipeline, options.rounds)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name}: {peak:.0f} MB at most in this process", flush=True)


def measure(
    pipeline: FacePipeline, options: argparse.Namespace, megapixels: int, people: int, face: int
) -> None:
    from benchmarks import group_photos

    rows = []
    for seed in range(options.rounds):
        portraits = group_photos.portraits(options.folder, people, seed)
        size = group_photos.SIZES[megapixels]
        photo = group_photos.photographed(portraits, size, float(face), seed)
        (before, first), (after, closer) = (look(pipeline, photo.image, at) for at in looks())
        found = [photo.hits(each) for each in (before, after)]
        rows.append([*np.ravel(found) / people, first, closer])
    was, was_false, _, now, false, again, first, closer = np.mean(rows, axis=0)
    print(
        f"{pipeline.pack.name}, {megapixels} MP, {people} faces of {face}: found {was:.1%} at "
        f"first, {now:.1%} closer; false {was_false:.1%}, {false:.1%}; again {again:.1%}; "
        f"{first:.0f} ms, {closer:.0f} ms",
        flush=True,
    )


def looks() -> tuple[CloserLook, CloserLook]:
    from django.conf import settings

    return FIRST_LOOK, CloserLook(settings.FACESVC_SMALLEST_FACE, lambda _: True)


def look(pipeline: FacePipeline, image: Image, closer: CloserLook) -> tuple[Image, float]:
    """The boxes (N, 4) of all faces, and the CPU milliseconds of the detection."""
    start = time.process_time()
    faces = pipeline.detect(image, closer=closer)
    taken = 1000 * (time.process_time() - start)
    return np.array([face.box for face in faces]).reshape(-1, 4), taken


def nobody(pipeline: FacePipeline, rounds: int) -> None:
    from benchmarks import group_photos

    for megapixels, size in group_photos.SIZES.items():
        boxes, taken = zip(
            *(look(pipeline, group_photos.empty(size, seed), looks()[1]) for seed in range(rounds)),
            strict=True,
        )
        false = sum(map(len, boxes)) / rounds
        print(
            f"{pipeline.pack.name}, {megapixels} MP, nobody: {false:.2f} boxes a photo; "
            f"{np.mean(taken):.0f} ms",
            flush=True,
        )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    cv2.setNumThreads(1)
    main()
