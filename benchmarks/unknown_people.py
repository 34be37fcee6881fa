"""How well faces of nobody are put together, beside DBSCAN as immich does it.

    python -m benchmarks.unknown_people FOLDER [--pack permissive]

FOLDER has labelled photos, one subfolder a person. One half of the people calibrates the pack, and
the faces of the other half are grouped as a batch job with `group_unknown` groups them, and by
DBSCAN with immich's defaults: a distance of 0.5 and three faces. Then the halves change places.

A pair of photos in one group is right if both are of one person: precision is the share of these
pairs that are right, recall the share of the pairs of one person that are in one group.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.search.server import own_database

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Groups = list[list[int]]

_SEED = 15  # as in docs/accuracy.md
# immich's machine learning settings `maxDistance` and `minFaces`. It counts a face as its own
# neighbour, as DBSCAN does.
IMMICH_DISTANCE, IMMICH_FACES = 0.5, 3


class Rates(NamedTuple):
    precision: float
    recall: float
    falsely_joined: float  # the share of people with one photo who are not alone


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.unknown_people")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", default="permissive")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with own_database():
        for row in measure(options.folder, options.pack, options.workers):
            print(row, flush=True)


def measure(folder: Path, name: str, workers: int) -> Iterator[str]:
    # After the settings are there.
    from django.core.management.base import OutputWrapper

    from recognition.identification.unknown_people import grouped, least_score
    from recognition.measuring.calibration import calibrate
    from recognition.measuring.folders import embed, find_labelled, open_pack
    from recognition.packs.scores import ScoreScale

    pack = open_pack(name)
    photos = find_labelled(folder, OutputWrapper(sys.stderr))
    faces = embed(photos, pack, workers=workers).found()
    names = [photo.person for photo in faces.photos]
    first, _ = halves(sorted({photo.path.parent.name for photo in photos}))
    is_first = np.array([photo.path.parent.name in set(first) for photo in faces.photos])
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int64)
    for calibrates, title in ((is_first, "second half"), (~is_first, "first half")):
        known = (faces.embeddings[calibrates], numbers[calibrates])
        scores = ScoreScale(calibrate(*known, data=title, model_version=pack.model_version))
        templates, people = faces.embeddings[~calibrates], numbers[~calibrates]
        yield f"{pack.name}, {title}: {len(templates)} photos of {len(np.unique(people))} people"
        least = least_score(scores, len(templates))
        ways: dict[str, Callable[[], Groups]] = {
            "group_unknown": partial(grouped, templates, range(len(templates)), least),
            "DBSCAN of immich's kind": partial(dbscan, templates, IMMICH_DISTANCE),
            f"DBSCAN at {1 - least:.2f}": partial(dbscan, templates, 1 - least),
        }
        yield from (_row(title, way, people) for title, way in ways.items())


def halves(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The people in sorted order, divided as in docs/accuracy.md."""
    people = list(names)
    random.Random(_SEED).shuffle(people)
    return people[: len(people) // 2], people[len(people) // 2 :]


def _row(title: str, group: Callable[[], Groups], people: Numbers) -> str:
    started = time.process_time()
    rates = pairwise(group(), people)
    seconds = time.process_time() - started
    return (
        f"  {title}: precision {rates.precision:.4f}, recall {rates.recall:.4f}, "
        f"falsely joined {rates.falsely_joined:.4f}, {seconds:.1f} s of CPU"
    )


def pairwise(groups: Groups, people: Numbers) -> Rates:
    """`people` (N,) says who is on each photo."""
    group = np.empty(len(people), np.int64)
    for number, members in enumerate(groups):
        group[members] = number
    together = group[:, None] == group[None]
    same = people[:, None] == people[None]
    for matrix in (together, same):
        np.fill_diagonal(matrix, False)
    right = int((together & same).sum())
    once = np.bincount(people)[people] == 1
    return Rates(
        right / max(1, int(together.sum())),
        right / max(1, int(same.sum())),
        float(together[once].any(axis=1).mean()) if once.any() else 0.0,
    )


def dbscan(embeddings: Floats, distance: float, least: int = IMMICH_FACES) -> Groups:
    """DBSCAN over cosine distances. What belongs to no core face is alone."""
    near = embeddings @ embeddings.T >= 1 - distance
    is_core = near.sum(axis=1) >= least
    is_free = np.ones(len(embeddings), np.bool_)
    groups: Groups = []
    for start in np.flatnonzero(is_core).tolist():
        if not is_free[start]:
            continue
        members, open_ones = [], [start]
        is_free[start] = False
        while open_ones:
            face = open_ones.pop()
            members.append(face)
            if is_core[face]:
                found = np.flatnonzero(near[face] & is_free)
                is_free[found] = False
                open_ones.extend(found.tolist())
        groups.append(members)
    return [*groups, *([face] for face in np.flatnonzero(is_free).tolist())]


if __name__ == "__main__":
    main()
