"""Fits the numbers that `benchmarks.templates` draws people from, to a folder of labelled photos.

    FACESVC_MODEL_SOURCE=... FACESVC_PACKS=ml_models:tests/packs \
        python -m benchmarks.fit_templates FOLDER --pack scrfd-arcface \
        --kind arcface

Means and variances are counted. What is left (how much photos of one person vary in quality, how
many looks there are and how alike they make people) is searched for, so that the cosines of
made-up pairs have the quantiles of the real ones.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.templates import FITTED, Fit, Floats, Numbers

# Quantiles that are compared: of non-mated pairs from above, of mated pairs from below.
NON_MATED = (0.5, 0.1, 1e-2, 1e-3, 1e-4, 1e-5)
MATED = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
# The outermost rest on few pairs, and wrong labels are among them.
_NON_MATED_WEIGHTS = (1, 1, 1, 1, 1, 0.5)
_MATED_WEIGHTS = (0.3, 0.7, 1, 1, 1, 1, 1)
_ROUNDS = 8
_DIGITS = 5


@dataclass(frozen=True)
class Cosines:
    """What the cosines of all pairs look like."""

    mean: float  # of non-mated pairs, like the next two
    deviation: float
    non_mated: npt.NDArray[np.float64]
    mated: npt.NDArray[np.float64]

    @classmethod
    def of(cls, vectors: Floats, people: Numbers) -> "Cosines":
        upper = np.triu_indices(len(vectors), 1)
        cosines = (vectors @ vectors.T)[upper]
        same = (people[:, None] == people)[upper]
        others = cosines[~same]
        return cls(
            float(others.mean()),
            float(others.std()),
            np.quantile(others, 1 - np.array(NON_MATED)),
            np.quantile(cosines[same], MATED),
        )

    def as_row(self) -> dict[str, object]:
        return {
            "non_mated_mean": round(self.mean, 4),
            "non_mated_deviation": round(self.deviation, 4),
            "cosine_at_fmr": dict(zip(map(str, NON_MATED), self.non_mated.round(4), strict=True)),
            "mated_quantiles": dict(zip(map(str, MATED), self.mated.round(4), strict=True)),
        }


def count(vectors: Floats, people: Numbers) -> Fit:
    """Mean and variances along the principal axes; the rest is a first guess.

    People of one photo say nothing about the spread within a person; the means of few photos vary
    more than the people themselves, by a known amount.
    """
    photos = np.bincount(people)
    mean = vectors.mean(0)
    centred = vectors.astype(np.float64) - mean
    axes = np.linalg.eigh(np.cov(centred.T))[1][:, ::-1]
    sums = np.zeros((len(photos), vectors.shape[1]))
    np.add.at(sums, people, centred)
    means = sums / photos[:, None]
    several = photos[people] > 1
    unbiased = np.sqrt(photos / np.maximum(photos - 1, 1))[people, None]
    within = (((centred - means[people]) * unbiased)[several] @ axes).var(0)
    spread = (means @ axes).var(0)
    between = np.maximum(spread - within * np.mean(1 / photos), spread / 20)
    return Fit(*_single(mean @ axes, between, within), photo_spread=0.3, looks=100, likeness=0.8)


def _single(*arrays: npt.NDArray[np.float64]) -> list[Floats]:
    return [array.astype(np.float32) for array in arrays]


def made_up(fit: Fit, photos: Numbers, seed: int) -> Cosines:
    """The cosines of drawn people with so many photos each."""
    random = np.random.default_rng(seed)
    people = np.repeat(np.arange(len(photos)), photos)
    centres = fit.draw_people(random, fit.draw_looks(random), len(photos))
    return Cosines.of(fit.draw_photos(random, centres[people]), people)


def average(fit: Fit, photos: Numbers, seeds: range) -> Cosines:
    drawn = [made_up(fit, photos, seed) for seed in seeds]
    return Cosines(
        float(np.mean([one.mean for one in drawn])),
        float(np.mean([one.deviation for one in drawn])),
        np.mean([one.non_mated for one in drawn], axis=0),
        np.mean([one.mated for one in drawn], axis=0),
    )


def distance(found: Cosines, real: Cosines) -> float:
    """Squared differences of the quantiles, in deviations."""
    non_mated = (found.non_mated - real.non_mated) / real.deviation
    mated = (found.mated - real.mated) / real.mated.std()
    moments = ((found.mean - real.mean) ** 2 + (found.deviation - real.deviation) ** 2) / (
        real.deviation**2
    )
    weighted = (_NON_MATED_WEIGHTS * non_mated**2).sum() + (_MATED_WEIGHTS * mated**2).sum()
    return float(weighted + moments)


def _moved(fit: Fit, name: str, factor: float) -> Fit:
    value = getattr(fit, name) * factor
    if name == "looks":
        value = round(value)
    return replace(fit, **{name: min(value, 1.0) if name == "likeness" else value})


def search(fit: Fit, real: Cosines, photos: Numbers) -> Fit:
    """Moves one number after the other up or down while that helps, in ever smaller steps."""
    steps = {"within": 0.2, "between": 0.1, "photo_spread": 0.2, "looks": 0.7, "likeness": 0.2}
    best = distance(average(fit, photos, range(2)), real)
    for number in range(_ROUNDS):
        for name, step in steps.items():
            for factor in (np.exp(step), np.exp(-step)):
                moved = _moved(fit, name, factor)
                found = distance(average(moved, photos, range(2)), real)
                if found < best:
                    fit, best = moved, found
                    break
        steps = {name: 0.7 * step for name, step in steps.items()}
        print(f"round {number + 1} of {_ROUNDS}: distance {best:.4f}", flush=True)
    return fit


def embed(folder: Path, name: str) -> tuple[Floats, Numbers]:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    django.setup()
    from django.core.management.base import OutputWrapper

    from recognition.measuring import folders

    output = OutputWrapper(sys.stderr)
    photos = folders.find_labelled(folder, output)
    found = folders.embed(photos, folders.open_pack(name), workers=1).found()
    return found.embeddings, np.unique(found.people, return_inverse=True)[1]


def load(folder: Path, pack: str, cache: Path | None) -> tuple[Floats, Numbers]:
    """(N, D) of length 1, and (N,) numbers of the people."""
    if cache and cache.exists():
        stored = np.load(cache)
        return stored["embeddings"], stored["people"]
    embeddings, people = embed(folder, pack)
    if cache:
        np.savez(cache, embeddings=embeddings, people=people)
    return embeddings, people


def describe(fit: Fit, real: Cosines, found: Cosines, photos: Numbers) -> dict[str, object]:
    arrays = {
        name: [round(float(value), _DIGITS + 2) for value in getattr(fit, name)]
        for name in ("mean", "between", "within")
    }
    return {
        "photos": int(photos.sum()),
        "people": len(photos),
        "photo_spread": round(fit.photo_spread, _DIGITS),
        "looks": fit.looks,
        "likeness": round(fit.likeness, _DIGITS),
        "real": real.as_row(),
        "made_up": found.as_row(),
        **arrays,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", required=True)
    parser.add_argument("--kind", required=True, help="the name in benchmarks/templates.json")
    parser.add_argument("--cache", type=Path, help="keep the embeddings in this file (private!)")
    options = parser.parse_args()
    embeddings, people = load(options.folder, options.pack, options.cache)
    photos = np.bincount(people)
    real = Cosines.of(embeddings, people)
    fit = search(count(embeddings, people), real, photos)
    # Other random numbers than those that the search looked at.
    found = average(fit, photos, range(100, 104))
    described = describe(fit, real, found, photos)
    print(json.dumps({name: described[name] for name in ("real", "made_up")}, indent=1))
    fitted = json.loads(FITTED.read_text()) if FITTED.exists() else {}
    # One line a kind: nobody reads the numbers, and a change of them is one line.
    kinds = sorted((fitted | {options.kind: described}).items())
    lines = ",\n".join(f"{json.dumps(kind)}: {json.dumps(values)}" for kind, values in kinds)
    FITTED.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
