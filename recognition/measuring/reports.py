"""What `calibrate` and `evaluate` measured, as JSON and as charts."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np

from recognition.inference.pack.declaration import Calibration, ModelPack
from recognition.inference.pack.weights import download_bytes, weight_path
from recognition.measuring import charts
from recognition.measuring.evaluation import (
    FPIRS,
    Acceptance,
    Accuracy,
    IdentificationRates,
    area_under_roc,
    error_curve,
    tar_at_fmr,
)
from recognition.measuring.folders import EmbeddedFolder
from recognition.measuring.pairs import (
    ERRORS_NEEDED,
    Pairs,
    Rate,
    all_pairs,
    false_match_rates,
    false_non_match_rate,
    similar_strangers,
)
from recognition.measuring.several_photos import PersonRates, person_rates
from recognition.packs.scores import LEVELS, ScoreScale, level_confidence

_FMRS = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5}
Json = dict[str, object]
# Points of the error curve in a report.
_STEPS = 60


@dataclass(frozen=True)
class MeasuredLevel:
    """An operating point of the service and the error rates that were found at it."""

    name: str
    confidence: float
    target_fmr: float
    cosine: float
    similarity: float
    extrapolated: bool
    fmr: Rate
    fnmr: Rate  # with the pairs of missed faces, if there are such photos


def levels(folder: EmbeddedFolder, scores: ScoreScale) -> list[MeasuredLevel]:
    """basic, standard and strict, in this order."""
    cosines = [scores.cosine_of_confidence(level_confidence(name)) for name in LEVELS]
    found = folder.found()
    rates = false_match_rates(found.embeddings, found.people, cosines)
    return [
        MeasuredLevel(
            name,
            level_confidence(name),
            scores.fmr(cosine),
            cosine,
            scores.similarity(cosine),
            scores.is_extrapolated(cosine),
            fmr,
            false_non_match_rate(folder.embeddings, folder.people, cosine),
        )
        for name, cosine, fmr in zip(LEVELS, cosines, rates, strict=True)
    ]


def of_people(folder: EmbeddedFolder, scores: ScoreScale) -> list[PersonRates]:
    """The error rates of people with one photo and with several, at each level."""
    found = folder.found()
    needed = {name: scores.cosine_of_confidence(level_confidence(name)) for name in LEVELS}
    return person_rates(found.embeddings, found.people, scores, needed)


@dataclass(frozen=True)
class VerificationRates:
    pairs: Pairs
    accuracy: Accuracy | None
    tar: dict[str, Acceptance | None]  # by FMR as text
    fnmr: dict[str, Rate]  # at the same thresholds, where there are any
    auc: float | None


def verification(folder: EmbeddedFolder, accuracy: Accuracy | None) -> VerificationRates:
    pairs = all_pairs(folder.embeddings, folder.people)
    tar = {name: tar_at_fmr(pairs, fmr) for name, fmr in _FMRS.items()}
    fnmr = {
        name: false_non_match_rate(folder.embeddings, folder.people, found.cosine)
        for name, found in tar.items()
        if found
    }
    return VerificationRates(pairs, accuracy, tar, fnmr, area_under_roc(pairs))


def threshold_for_groups(result: VerificationRates) -> tuple[str, Acceptance] | None:
    """The rarest false match rate, as text, at which there are enough errors to compare groups."""
    usable = [
        (name, found)
        for name, found in result.tar.items()
        if found and found.false_matches >= ERRORS_NEEDED
    ]
    return usable[-1] if usable else None


# --- JSON -----------------------------------------------------------------------------------------


def describe_folder(pack: ModelPack, folder: EmbeddedFolder, root: Path) -> Json:
    return {
        "pack": pack.name,
        "model_version": pack.model_version,
        "photos": len(folder.photos),
        "people": len(np.unique(folder.people)),
        "faces_missed": [_name(photo.path, root) for photo in folder.missed],
    }


def describe_pack(pack: ModelPack, cache: Path, *, label: str, data: str) -> Json:
    """What one asks of a pack beside its errors; nothing of this machine."""
    calibration = pack.calibration
    return {
        "label": label,
        "data": data,
        "measured_on": date.today().isoformat(),
        "licence": pack.licence,
        "download_bytes": download_bytes(pack),
        "disk_bytes": sum(weight_path(pack, w, cache).stat().st_size for w in pack.weight_files()),
        "calibrated_on": calibration.data if calibration else None,
        "provisional": bool(calibration and calibration.provisional),
    }


def describe_verification(result: VerificationRates) -> Json:
    accuracy = result.accuracy
    return {
        "mated_pairs": len(result.pairs.mated),
        "non_mated_pairs": len(result.pairs.non_mated),
        "accuracy": accuracy and accuracy.mean,
        "accuracy_std": accuracy and accuracy.std,
        "accuracy_threshold": accuracy and accuracy.threshold,
        "folds": accuracy.folds if accuracy else 0,
        "auc": result.auc,
        "tar_at_fmr": {name: found and found.tar for name, found in result.tar.items()},
        "cosine_at_fmr": {name: found and found.cosine for name, found in result.tar.items()},
        "tar_interval": {name: _accepted(result.fnmr.get(name)) for name in result.tar},
        "curve": _thinned(result.pairs),
    }


def _accepted(fnmr: Rate | None) -> tuple[float, float] | None:
    """The 95% interval of the TAR."""
    return (round(1 - fnmr.high, 4), round(1 - fnmr.low, 4)) if fnmr else None


def _thinned(pairs: Pairs) -> Json | None:
    """As many points of the error curve as a picture shows."""
    if not len(pairs.mated) or not len(pairs.compared):
        return None
    curve = error_curve(pairs, steps=_STEPS)
    rates = {"fmr": curve.fmr, "fnmr": curve.fnmr}
    return {name: [float(f"{v:.3g}") for v in values] for name, values in rates.items()}


def describe_identification(result: IdentificationRates | None) -> Json:
    if result is None:
        return {"rank1": None, "fnir_at_fpir": {f"{fpir:g}": None for fpir in FPIRS}}
    fnir = {f"{fpir:g}": value for fpir, value in result.fnir_at_fpir.items()}
    return {**asdict(result), "fnir_at_fpir": fnir}


def describe_levels(found: Sequence[MeasuredLevel]) -> Json:
    described = [asdict(level) for level in found]
    return {level.pop("name"): level for level in described}


def interval_of(rate: Rate) -> str:
    return f"{rate.value:.2g} ({rate.low:.2g} to {rate.high:.2g})"


def describe_calibration(calibration: Calibration) -> Json:
    """Without what only the service needs."""
    scores, values = ScoreScale(calibration), asdict(calibration)
    del values["mean_embedding"]
    table = [
        {
            **asdict(point),
            "similarity": scores.similarity(point.cosine),
            "confidence": scores.confidence(point.cosine),
        }
        for point in calibration.table
    ]
    return {**values, "table": table}


def doubtful_labels(folder: EmbeddedFolder, calibration: Calibration, root: Path) -> list[Json]:
    """Photos of different people so alike that one such pair in ten folders were to be expected.

    Twins exist, but mostly it is one person under two names or a photo in the wrong folder. A few
    of them are enough to spoil the rates below 1e-5.
    """
    photos = [_name(photo.path, root) for photo in folder.photos]
    return [
        {"photo_a": photos[a], "photo_b": photos[b], "cosine": round(cosine, 4)}
        for a, b, cosine in doubtful_pairs(folder, calibration)
    ]


def doubtful_pairs(
    folder: EmbeddedFolder, calibration: Calibration
) -> list[tuple[int, int, float]]:
    """The same by the numbers of the photos, with their cosines, which fall."""
    threshold = ScoreScale(calibration).cosine_of_fmr(0.1 / calibration.non_mated_pairs)
    return similar_strangers(folder.embeddings, folder.people, threshold)


def write_json(path: Path, report: Mapping[str, object]) -> None:
    """Writes the report, with null for what JSON does not have: infinities, and NaN (a rate of
    nothing).
    """
    text = json.dumps(plain(report), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def plain(value: object) -> object:
    """The value without what JSON does not have."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


# --- Charts ---------------------------------------------------------------------------------------


def write_charts(
    folder: Path, title: str, pairs: Pairs, calibration: Calibration, found: Sequence[MeasuredLevel]
) -> None:
    """Write det.svg and roc.svg."""
    chart = chart_of(title, pairs, calibration, found)
    (folder / "det.svg").write_text(charts.det(chart), encoding="utf-8")
    (folder / "roc.svg").write_text(charts.roc(chart), encoding="utf-8")


def chart_of(
    title: str, pairs: Pairs, calibration: Calibration, found: Sequence[MeasuredLevel]
) -> charts.Chart:
    points = [
        charts.ChartPoint(point.pairs / calibration.non_mated_pairs, *point.interval, fnmr)
        for point in calibration.table
        if point.interval and not point.extrapolated and point.fmr < 1
        for fnmr in [float((pairs.mated < point.cosine).mean())]
    ]
    return charts.Chart(
        title,
        error_curve(pairs),
        points,
        {level.name: level.target_fmr for level in found},
        ERRORS_NEEDED / calibration.non_mated_pairs,
    )
