"""How often people who are not enrolled are taken for somebody, beside what was asked for.

`max_false_positive_rate` promises that a person who is not in the gallery gets a candidate in at
most that share of the searches. Here are photos of real people searched in galleries of other real
people, and in large ones that are filled up with made-up templates (benchmarks.resampled):

    python -m benchmarks.open_set FOLDER [--pack scrfd-arcface]

FOLDER has labelled photos, one subfolder a person. Searches are the product's, in a database of
their own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.server import own_database

SIZES = (100, 1_000, 100_000)
RATES = (0.3, 0.1, 0.03, 0.01)
# Ways to choose who is enrolled, in galleries of real people only.
DIVISIONS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.open_set")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", default="dlib")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
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
    from recognition.folder_embedding import embed, find_labelled, open_pack

    pack = open_pack(options.pack)
    photos = find_labelled(options.folder, OutputWrapper(sys.stderr))
    faces = embed(photos, pack, workers=options.workers).found()
    print(f"{pack.name}: {len(faces.embeddings):,} faces; the share of strangers' searches that")
    print(f"return anybody, asked for {' / '.join(map(str, RATES))}")
    for size in options.sizes:
        shares = []
        for seed in range(DIVISIONS):
            gallery = OpenGallery(pack, faces, size, seed=seed)
            shares.append([gallery.share_found(rate) for rate in RATES])
            if gallery.made_up:
                break  # large enough; loading it takes a minute
        mean = np.mean(shares, axis=0)
        searches = len(shares) * gallery.searches
        row = {"enrolled": size, "made_up": gallery.made_up, "searches": searches}
        row |= {str(rate): round(float(share), 4) for rate, share in zip(RATES, mean, strict=True)}
        print("  ".join(f"{name}: {value}" for name, value in row.items()), flush=True)
        yield row


if __name__ == "__main__":
    main()
