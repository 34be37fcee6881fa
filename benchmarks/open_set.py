"""How often people who are not enrolled are taken for somebody, and how often the others are found.

`max_false_positive_rate` promises that a person who is not in the gallery gets a candidate in at
most that share of the searches. Here are photos of real people searched in galleries of other real
people, and in large ones that are filled up with made-up templates (benchmarks.resampled):

    FACESVC_PACKS=ml_models:tests/packs python -m benchmarks.open_set FOLDER [--pack scrfd-arcface]
    python -m benchmarks.open_set FOLDER --sizes 1000 --photos 3 --match-on face user

FOLDER has labelled photos, one subfolder a person; those that are not enrolled search. Searches are
the product's, in a database of their own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.search.server import own_database

if TYPE_CHECKING:
    from benchmarks.search.open_gallery import OpenGallery
    from benchmarks.templates import Floats

SIZES = (100, 1_000, 100_000)
RATES = (0.3, 0.1, 0.03, 0.01)
# Ways to choose who is enrolled, in galleries of real people only.
DIVISIONS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.open_set")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", default="dlib")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument(
        "--real",
        type=int,
        default=1_000,
        help="people of FOLDER who are enrolled, at most",
    )
    parser.add_argument("--photos", type=int, default=1, help="enrolled of each, at most")
    parser.add_argument("--match-on", nargs="+", default=["face"], choices=["face", "user"])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with own_database():
        rows = list(measure(options))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    # After the settings are there.
    from django.core.management.base import OutputWrapper

    from benchmarks.search.open_gallery import OpenGallery
    from recognition.measuring.folders import embed, find_labelled, open_pack

    pack = open_pack(options.pack)
    photos = find_labelled(options.folder, OutputWrapper(sys.stderr))
    faces = embed(photos, pack, workers=options.workers).found()
    print(f"{pack.name}: {len(faces.embeddings):,} faces; of the searches for strangers the share")
    print(f"that returns anybody, asked for {' / '.join(map(str, RATES))}, and of those for people")
    print("who are enrolled the share that finds them first")
    for size in options.sizes:
        galleries = (
            OpenGallery(pack, faces, size, seed=seed, photos=options.photos, most_real=options.real)
            for seed in range(DIVISIONS)
        )
        for row in rows_of(galleries, options.match_on):
            row = {"enrolled": size, "photos": options.photos, **row}
            print("  ".join(f"{name}: {value}" for name, value in row.items()), flush=True)
            yield row


def rows_of(galleries: Iterator[OpenGallery], ways: Sequence[str]) -> list[dict[str, Any]]:
    """One for each way to match: means over the galleries, of which one that is made up is enough.

    Loading a large one takes a minute.
    """
    shares: dict[str, list[Floats]] = {way: [] for way in ways}
    searches, made_up = np.zeros(2, int), 0
    for gallery in galleries:
        searches, made_up = searches + gallery.searches, gallery.made_up
        for way, rows in shares.items():
            rows.append(gallery.shares(RATES, by_user=way == "user"))
        if made_up:
            break
    means = {way: np.mean(rows, axis=0) for way, rows in shares.items()}
    return [
        {
            "made_up": made_up,
            "searches": searches.tolist(),
            "match_on": way,
            "strangers": _by_rate(mean[:, 0]),
            "found": _by_rate(mean[:, 1]) if searches[1] else None,
        }
        for way, mean in means.items()
    ]


def _by_rate(shares: Floats) -> dict[float, float]:
    return dict(zip(RATES, np.round(shares, 4).tolist(), strict=True))


if __name__ == "__main__":
    main()
