"""How well a pack's anti-spoofing tells faces from the same on a (simulated) screen or print.

    FACESVC_MODEL_SOURCE=<folder with the weights> python -m benchmarks.liveness <folder of photos>

APCER is the share of attacks that pass, of each kind of attack; BPCER is the share of real faces
that are refused (ISO/IEC 30107-3). A face that is not detected cannot be judged and is counted
apart.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import django
import numpy as np
from tqdm import tqdm

from benchmarks.attacks import as_camera, as_print, as_screen
from recognition.inference.arrays import Image
from recognition.inference.pack.declaration import load_pack, pack_file
from recognition.inference.pipeline import FacePipeline
from recognition.measuring.pairs import rate

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
Kind = Callable[[Image, np.random.Generator], Image]
KINDS: dict[str, Kind] = {
    "photo file": lambda photo, random: photo,
    "camera": as_camera,
    "screen with frame": lambda photo, random: as_screen(photo, random, close=False),
    "screen, close": lambda photo, random: as_screen(photo, random, close=True),
    "print with margin": lambda photo, random: as_print(photo, random, close=False),
    "print, close": lambda photo, random: as_print(photo, random, close=True),
}
REAL = ("photo file", "camera")


def open_pack(name: str) -> FacePipeline:
    from django.conf import settings

    from recognition.packs import downloads

    pack = load_pack(pack_file(name, settings.PACK_FOLDERS).parent)
    if pack.liveness is None:
        raise SystemExit(f"The pack {name!r} has no anti-spoofing.")
    downloads.pull(pack, settings.MODELS_DIR, settings.FACESVC_MODEL_SOURCE)
    return FacePipeline(pack, settings.MODELS_DIR, threads=1)


def one_photo_a_person(folder: Path, count: int) -> list[Path]:
    from recognition.measuring.photos import find_photos

    first: dict[str, Path] = {}
    for photo in find_photos(folder):
        first.setdefault(photo.person, photo.path)
    every = max(1, len(first) // count)
    return list(first.values())[::every][:count]


def scores(pipeline: FacePipeline, photos: list[Path]) -> Iterator[tuple[str, float | None]]:
    for number, path in enumerate(tqdm(photos, unit="photo")):
        photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if photo is None:
            continue
        for kind, make in KINDS.items():
            picture = make(photo.astype(np.uint8), np.random.default_rng(number))
            faces = pipeline.describe(picture, pipeline.detect(picture)[:1], attributes=False)
            yield kind, faces[0].liveness if faces else None


def report(found: dict[str, list[float | None]]) -> None:
    total = {kind: len(values) for kind, values in found.items()}
    print("\n| threshold |" + "".join(f" {_error(kind)} {kind} |" for kind in KINDS))
    print("|" + "---|" * (len(KINDS) + 1))
    for threshold in THRESHOLDS:
        cells = []
        for kind, values in found.items():
            judged = [value for value in values if value is not None]
            wrong = [(value < threshold) == (kind in REAL) for value in judged]
            share = rate(sum(wrong), len(judged))
            cells.append(f" {share.value:.3f} ({share.low:.3f} to {share.high:.3f}) |")
        print(f"| {threshold:g} |" + "".join(cells))
    missed = {kind: values.count(None) for kind, values in found.items()}
    print("\nNo face was found in: " + ", ".join(f"{k} {missed[k]} of {total[k]}" for k in KINDS))
    for kind, values in found.items():
        judged = [value for value in values if value is not None]
        shown = ", ".join(f"{q:.0%} {np.quantile(judged, q):.3f}" for q in (0.05, 0.5, 0.95))
        print(f"{kind}: quantiles {shown}")


def _error(kind: str) -> str:
    return "BPCER" if kind in REAL else "APCER"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="photos, a subfolder a person")
    parser.add_argument("--pack", default="permissive")
    parser.add_argument("--faces", type=int, default=300)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    django.setup()
    pipeline = open_pack(options.pack)
    found: dict[str, list[float | None]] = {kind: [] for kind in KINDS}
    for kind, score in scores(pipeline, one_photo_a_person(options.folder, options.faces)):
        found[kind].append(score)
    report(found)


if __name__ == "__main__":
    main()
