"""Measures what a pack's scores mean on a labelled folder of photos.

Every photo is compared with every other. A pair of photos of one person is mated, all others are
non-mated; the false match rate (FMR) of a threshold is the share of non-mated pairs that reach it.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date

import numpy as np
import yaml

from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import Calibration, OperatingPoint
from recognition.measuring import several_photos
from recognition.measuring.pairs import (
    ERRORS_NEEDED,
    Numbers,
    Rate,
    all_pairs,
    false_match_rates,
    false_non_match_rate,
    mated_pairs,
    round_up,
    threshold_at,
)
from recognition.measuring.photos import PhotosError
from recognition.packs.scores import ScoreScale

# FMRs of the table. 1 is the least similar pair of strangers.
_POINTS = (1.0, 0.3, 0.1, 0.03, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7, 1e-8)
# Non-mated pairs: the extrapolation goes on from two decades that were measured.
PAIRS_NEEDED = 30_000
# Two files of one photo (resized, cropped a little, JPEG at quality 30) have 0.957 or more with the
# pack dlib, 39 photos of LFW. Where different photos of a person often reach 0.95, the
# similarity that a hundredth of them reaches.
_DUPLICATE, _DUPLICATE_SHARE = 0.95, 0.01
# The share of embeddings whose squared length the calibration states. They all have length 1,
# unless the pack has a cohort. With 0.9 the search loses fewer than without a cohort, and looks at
# 1.4 times as many templates; with 0.999 it would be twice as many.
_MOST = 0.9
# Above this mean of strangers a pack's cosine counts as squeezed and is shown rescaled.
_SQUEEZED = 0.1
# Shares of the faces, the worst by quality, that are discarded.
_DISCARDED = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


def calibrate(
    embeddings: Floats,
    people: Numbers,
    *,
    data: str,
    model_version: str,
    duplicate_similarity: float | None = None,
) -> Calibration:
    """The calibration of a pack from one embedding a photo. Raises PhotosError.

    `embeddings` (N, D) are of length 1 or, with a cohort, what ModelPack.compared makes of them.
    Give `duplicate_similarity` where mated pairs may be copies of one photo.
    """
    pairs = all_pairs(embeddings, people)
    if len(pairs.non_mated) < PAIRS_NEEDED or not len(pairs.mated):
        raise PhotosError(
            f"The folder is too small: {len(pairs.mated)} pairs of photos of one person and "
            f"{len(pairs.non_mated)} of different people; at least 1 and {PAIRS_NEEDED} are needed"
        )
    mean = float(pairs.non_mated.mean(dtype=np.float64))
    zero = round(mean, 4) if mean > _SQUEEZED else 0.0
    squared_lengths = np.sum(embeddings.astype(np.float64) ** 2, axis=1)
    full = round(float(squared_lengths.mean()), 4)
    if duplicate_similarity is None:
        near = float(np.quantile(_half_squared_distances(embeddings, people), _DUPLICATE_SHARE))
        duplicate_similarity = max(_DUPLICATE, round_up(1 - near / (full - zero), 4))
    table = list(_table(pairs.non_mated))
    measured = Calibration(
        data=data,
        measured_on=date.today().isoformat(),
        model_version=model_version,
        identities=len(np.unique(people)),
        photos=len(people),
        mated_pairs=len(pairs.mated),
        non_mated_pairs=len(pairs.non_mated),
        zero_cosine=zero,
        duplicate_similarity=duplicate_similarity,
        mean_embedding=tuple(round(float(v), 5) for v in embeddings.mean(axis=0)),
        table=tuple(_with_intervals(table, embeddings, people)),
        full_cosine=full,
        squared_length=round(float(np.quantile(squared_lengths, _MOST)), 4),
    )
    several = several_photos.measure(embeddings, people, ScoreScale(measured))
    return replace(measured, several_photos=several)


def _half_squared_distances(embeddings: Floats, people: Numbers) -> Floats:
    """(M,) of the mated pairs; 1 - cosine where the embeddings have length 1."""
    mated = mated_pairs(people)
    apart = embeddings[mated[:, 0]] - embeddings[mated[:, 1]]
    squared: Floats = np.einsum("pd,pd->p", apart, apart) / 2
    return squared


def _table(strangers: Floats) -> Iterable[OperatingPoint]:
    measured = [
        OperatingPoint(fmr, threshold_at(strangers, fmr), int(fmr * len(strangers)), False)
        for fmr in _POINTS
        if fmr * len(strangers) >= ERRORS_NEEDED
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
            yield OperatingPoint(fmr, round(cosine, 6), 0, True)


def _with_intervals(
    table: list[OperatingPoint], embeddings: Floats, people: Numbers
) -> Iterable[OperatingPoint]:
    """The points with the false matches behind them; see pairs.design_effect."""
    found = false_match_rates(embeddings, people, [point.cosine for point in table])
    for point, seen in zip(table, found, strict=True):
        interval = (_short(seen.low), _short(seen.high))
        yield replace(point, pairs=seen.errors, interval=interval)


def _short(value: float) -> float:
    return float(f"{value:.2e}")


@dataclass(frozen=True)
class Discard:
    """False non-matches (FNMR) when the worst faces are discarded."""

    discarded: float  # share of the faces
    quality: float  # the worst that is kept
    fnmr: Rate  # of the mated pairs of two faces that are kept


def error_versus_discard(
    embeddings: Floats, people: Numbers, qualities: Floats, *, cosine: float
) -> list[Discard]:
    """FNMR at a fixed threshold with the worst 0 to 30% of the faces discarded.

    After Grother and Tabassi (IEEE PAMI 29, 2007). A quality score that predicts what the
    recogniser cannot tell makes the FNMR fall.
    """
    order = np.argsort(qualities, kind="stable")
    steps = []
    for share in _DISCARDED:
        kept = np.sort(order[round(share * len(order)) :])
        worst = float(qualities[kept].min())
        found = false_non_match_rate(embeddings[kept], people[kept], cosine)
        steps.append(Discard(share, worst, found))
    return steps


def to_yaml(calibration: Calibration) -> str:
    """The `calibration` block of pack.yaml, one row of the table a line."""
    values = asdict(calibration)
    del values["provisional"]  # it is measured
    rows, several = values.pop("table"), values.pop("several_photos")
    mean = values.pop("mean_embedding")
    text = yaml.safe_dump({"calibration": values}, sort_keys=False, allow_unicode=True)
    text += "  mean_embedding: " + _flow([float(v) for v in mean])
    if several:
        text += "  several_photos: " + _flow(several)
    text += "  table:\n" + "".join(f"  - {_flow(row)}" for row in rows)
    return text


def _flow(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
