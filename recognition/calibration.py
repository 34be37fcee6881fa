"""Measures what a pack's scores mean on a labelled folder of photos.

Every photo is compared with every other. A pair of photos of one person is mated, all others are
non-mated; the false match rate (FMR) of a threshold is the share of non-mated pairs that reach it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import yaml

from recognition.inference.arrays import Floats
from recognition.inference.packs import Calibration, OperatingPoint

# FMRs of the table. 1 is the least similar pair of strangers.
_POINTS = (1.0, 0.3, 0.1, 0.03, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7, 1e-8)
# The "rule of 30" (Doddington): with fewer errors behind it a rate is not called measured.
_ERRORS_NEEDED = 30
# Extrapolation needs two decades below it; a folder this small tells nothing.
_PAIRS_NEEDED = 30_000
_DUPLICATE_SHARE = 0.01
# Above this mean of strangers a pack's cosine counts as squeezed and is shown rescaled.
_SQUEEZED = 0.1
_BLOCK = 1024


@dataclass(frozen=True)
class Pairs:
    """Cosines of all pairs of photos."""

    mated: Floats  # (M,), unordered
    non_mated: Floats  # (N,), falling


class TooFewPhotosError(ValueError):
    """The folder has too few people or photos to calibrate on."""


def all_pairs(embeddings: Floats, people: npt.NDArray[np.int64]) -> Pairs:
    """Compare every photo with every other: `embeddings` (N, D) unit vectors, `people` (N,)."""
    mated, strangers = [], []
    for start in range(0, len(embeddings), _BLOCK):
        rows = slice(start, start + _BLOCK)
        cosines = embeddings[rows] @ embeddings.T
        same = people[rows, None] == people[None, :]
        later = np.arange(len(embeddings))[None, :] > np.arange(len(embeddings))[rows, None]
        mated.append(cosines[same & later])
        strangers.append(cosines[~same & later])
    return Pairs(np.concatenate(mated), np.sort(np.concatenate(strangers))[::-1])


def calibrate(
    embeddings: Floats, people: npt.NDArray[np.int64], *, data: str, model_version: str
) -> Calibration:
    """The calibration of a pack from one embedding (unit, D) a photo. Raises TooFewPhotosError."""
    pairs = all_pairs(embeddings, people)
    if len(pairs.non_mated) < _PAIRS_NEEDED or not len(pairs.mated):
        raise TooFewPhotosError(
            f"{len(pairs.mated)} pairs of photos of one person and {len(pairs.non_mated)} of "
            f"different people; at least 1 and {_PAIRS_NEEDED} are needed"
        )
    mean = float(pairs.non_mated.mean())
    zero = round(mean, 4) if mean > _SQUEEZED else 0.0
    duplicate = (float(np.quantile(pairs.mated, 1 - _DUPLICATE_SHARE)) - zero) / (1 - zero)
    return Calibration(
        data=data,
        measured_on=date.today().isoformat(),
        model_version=model_version,
        identities=len(np.unique(people)),
        photos=len(people),
        mated_pairs=len(pairs.mated),
        non_mated_pairs=len(pairs.non_mated),
        zero_cosine=zero,
        duplicate_similarity=_round_up(duplicate, 4),
        mean_embedding=tuple(round(float(v), 5) for v in embeddings.mean(axis=0)),
        table=tuple(_table(pairs.non_mated)),
    )


def _table(strangers: Floats) -> Iterable[OperatingPoint]:
    measured = [
        OperatingPoint(fmr, _threshold(strangers, fmr), int(fmr * len(strangers)), False)
        for fmr in _POINTS
        if fmr * len(strangers) >= _ERRORS_NEEDED
    ]
    yield from measured
    # An exponential tail through the last decade that was measured. Tails of cosines fall faster
    # than that, so what is extrapolated is rather too strict than too lax.
    last = measured[-1]
    before = next(point for point in reversed(measured) if point.fmr >= 9.9 * last.fmr)
    slope = (last.cosine - before.cosine) / math.log10(before.fmr / last.fmr)
    for fmr in _POINTS:
        if fmr < last.fmr:
            cosine = last.cosine + slope * math.log10(last.fmr / fmr)
            yield OperatingPoint(fmr, round(cosine, 6), int((strangers >= cosine).sum()), True)


def _threshold(strangers: Floats, fmr: float) -> float:
    """The least cosine, rounded up, that at most this share of the (falling) cosines reaches."""
    allowed = int(fmr * len(strangers))
    if allowed == len(strangers):
        return math.floor(float(strangers[-1]) * 1e6) / 1e6
    return _round_up(float(strangers[allowed]), 6)


def _round_up(value: float, digits: int) -> float:
    """Strictly above `value`, so that a threshold does not let its own pair pass."""
    unit = 10.0**digits
    return round((math.floor(value * unit) + 1) / unit, digits)


@dataclass(frozen=True)
class Accuracy:
    """Verification over all pairs. `tar` maps FMR to the share of mated pairs accepted at it."""

    tar: dict[float, float]
    auc: float
    accuracy: float  # at the best threshold, mated and non-mated weighing the same


def measure_accuracy(pairs: Pairs) -> Accuracy:
    rising = pairs.non_mated[::-1]
    below = np.searchsorted(rising, np.sort(pairs.mated), side="left") / len(rising)
    accepted = 1 - np.arange(len(below)) / len(below)
    tar = {
        fmr: float((pairs.mated >= _threshold(pairs.non_mated, fmr)).mean())
        for fmr in (1e-2, 1e-3, 1e-4, 1e-5)
    }
    return Accuracy(tar, float(below.mean()), float(((below + accepted) / 2).max()))


def to_yaml(calibration: Calibration) -> str:
    """The `calibration` block of pack.yaml, one row of the table a line."""
    values = asdict(calibration)
    rows = values.pop("table")
    mean = values.pop("mean_embedding")
    text = yaml.safe_dump({"calibration": values}, sort_keys=False, allow_unicode=True)
    text += "  mean_embedding: " + _flow([float(v) for v in mean])
    text += "  table:\n" + "".join(f"  - {_flow(row)}" for row in rows)
    return text


def _flow(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
