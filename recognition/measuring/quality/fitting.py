"""Fits what a pack's pack.yaml says of quality (QualityRanges) to what it sees of spoilt photos."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats
from recognition.inference.flaws import along, packed
from recognition.inference.pack.specs import CAUTIOUS, FlawSpec, QualityRanges, Range
from recognition.inference.quality import LIMIT
from recognition.measuring.photos import Photo, PhotosError
from recognition.measuring.quality.looking import PLAIN, Sighting
from recognition.measuring.quality.spoiling import LIGHTS, SIZES

FLAWS = ("level", "stillness", "detail", "mouth", "eyes")
# Faces without and with a flaw that a line needs.
_ORDINARY, _FLAWED = 100, 25
# A face of a turned picture was misread if another person's face is as alike in one case of 100.
LIKE_A_STRANGER = 0.01
# Shares of the ordinary faces that a flaw may refuse: at most, and at least where even so nearly
# all flawed ones are refused.
_MOST, _LEAST, _NEARLY_ALL = 0.003, 0.0005, 0.98
# Share of the ordinary faces whose component is 1.
_SURELY_GOOD = 0.95
# Share of the faces whose crop and mirror image agree too little.
_UNEVEN = 0.005
# A pack recognises what loses at most a tenth of the true matches.
_KEPT, _PAIRS = 0.9, 30
# A component that is above LIMIT, since what is small or dark has several that are not 1.
_PASSING = 0.45
# What the lines' covariance gets of the identity: half and twice as much find as many flaws.
_RIDGE = 0.1
_FOLDS = 4

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FlawReport:
    """How well faces are judged that were left out of the fit."""

    name: str
    flawed: int
    caught: float
    refused: float  # of the ordinary faces


@dataclass(frozen=True)
class RungReport:
    """How many true matches are left when one of two photos is made worse."""

    kind: str
    rung: float
    pairs: int
    kept: float


@dataclass(frozen=True)
class Fitted:
    ranges: QualityRanges
    flaws: tuple[FlawReport, ...]
    ladder: tuple[RungReport, ...]


@dataclass(frozen=True)
class Meaning:
    """What similarities of a pack mean. `alike` compares (N, D) with (N, D) embeddings in pairs."""

    alike: Callable[[Floats, Floats], Floats]
    match: float  # the similarity of a match at `standard`
    stranger: float  # that LIKE_A_STRANGER of the pairs of strangers reach


def fit(seen: Sequence[Sighting], means: Meaning, *, data: str) -> Fitted:
    """Raises PhotosError when the photos are too few."""
    plain = [face for face in seen if face.kind == PLAIN]
    if len(plain) < _ORDINARY:
        raise PhotosError(f"Only {len(plain)} faces were found; at least {_ORDINARY} are needed.")
    ladder = _ladder(seen, means)
    held = {(rung.kind, rung.rung) for rung in ladder if rung.kept >= _KEPT}
    ordinary = [face for face in seen if face.kind == PLAIN or (face.kind, face.rung) in held]
    flaws = [_flaw(name, ordinary, _flawed(name, seen, means)) for name in FLAWS]
    found = [flaw for flaw in flaws if flaw]
    ranges = QualityRanges(
        data=data,
        measured_on=date.today().isoformat(),
        photos=len(plain),
        size=_range("size", SIZES, seen, held, lambda face: face.eyes, CAUTIOUS.size),
        light=_range("light", LIGHTS, seen, held, lambda face: face.light, CAUTIOUS.light),
        contrast=_range("light", LIGHTS, seen, held, lambda face: face.contrast, CAUTIOUS.contrast),
        mirror=_mirror([face.agreement for face in plain if face.agreement is not None]),
        flaws=tuple(spec for spec, _ in found),
    )
    return Fitted(ranges, tuple(report for _, report in found), ladder)


# --- The ladder -----------------------------------------------------------------------------------


def _ladder(seen: Sequence[Sighting], means: Meaning) -> tuple[RungReport, ...]:
    plain = {face.photo: face for face in seen if face.kind == PLAIN}
    others: dict[str, list[Photo]] = {}
    for photo in plain:
        others.setdefault(photo.person, []).append(photo)
    pairs: dict[tuple[str, float], list[tuple[Sighting, Sighting]]] = {}
    for face in seen:
        if face.kind in ("size", "light", "mild"):
            mates = [photo for photo in others[face.photo.person] if photo != face.photo]
            pairs.setdefault((face.kind, face.rung), []).extend((face, plain[m]) for m in mates)
    reports = []
    for (kind, rung), both in sorted(pairs.items()):
        worse, mates = ([face.embedding for face in faces] for faces in zip(*both, strict=True))
        unspoilt = [plain[face.photo].embedding for face, _ in both]
        before = means.alike(np.array(unspoilt), np.array(mates)) >= means.match
        after = means.alike(np.array(worse), np.array(mates)) >= means.match
        enough = before.sum() >= _PAIRS
        kept = float(after.sum() / before.sum()) if enough else math.nan
        reports.append(RungReport(kind, rung, int(before.sum()), kept))
    return tuple(reports)


def _range(
    kind: str,
    rungs: Sequence[float],
    seen: Sequence[Sighting],
    held: set[tuple[str, float]],
    value: Callable[[Sighting], float],
    cautious: Range,
) -> Range:
    """A ramp on which nine of ten faces of the worst rung that is recognised pass."""
    worst = None
    for rung in rungs:
        if (kind, rung) not in held:
            break
        worst = rung
    if worst is None:
        return cautious
    values = [value(face) for face in seen if (face.kind, face.rung) == (kind, worst)]
    low, one = float(np.quantile(values, 0.1)), cautious[1]
    # The ramp is one of logarithms.
    zero = (low / one**_PASSING) ** (1 / (1 - _PASSING))
    return (round(zero, 2), one) if low < one else cautious


def _mirror(agreements: list[float]) -> Range | None:
    """A ramp that ends at the median, with the limit where the fewest faces are below."""
    if not agreements:
        return None
    limit, one = np.quantile(agreements, [_UNEVEN, 0.5])
    return _ramp(float(limit), float(one))


def _ramp(limit: float, one: float) -> Range:
    """The ramp that has LIMIT at a value."""
    return (round(limit + (limit - one) * LIMIT / (1 - LIMIT), 5), round(one, 5))


# --- Flaws ----------------------------------------------------------------------------------------


def _flawed(name: str, seen: Sequence[Sighting], means: Meaning) -> list[Sighting]:
    made = [face for face in seen if face.kind == name]
    if name != "level" or not made:
        return made
    plain = {face.photo: face.embedding for face in seen if face.kind == PLAIN}
    upright = np.array([plain[face.photo] for face in made])
    alike = means.alike(np.array([face.embedding for face in made]), upright)
    # Some detectors find the right landmarks of a face that lies on its side.
    return [face for face, value in zip(made, alike, strict=True) if value < means.stranger]


def _flaw(
    name: str, ordinary: Sequence[Sighting], flawed: Sequence[Sighting]
) -> tuple[FlawSpec, FlawReport] | None:
    """The line of a flaw; its limit is chosen on people who were left out of the fit."""
    if len(flawed) < _FLAWED:
        return None
    good, bad = (np.array([face.figures for face in faces]) for faces in (ordinary, flawed))
    people = sorted({face.photo.person for face in ordinary})
    order = np.random.default_rng(0).permutation(len(people))
    fold = {person: int(place) % _FOLDS for person, place in zip(people, order, strict=True)}
    good_folds, bad_folds = (
        np.array([fold[face.photo.person] for face in faces]) for faces in (ordinary, flawed)
    )
    good_places, bad_places = np.empty(len(good)), np.empty(len(bad))
    for each in range(_FOLDS):
        line = _line(good[good_folds != each], bad[bad_folds != each])
        good_places[good_folds == each] = along(good[good_folds == each], line)
        bad_places[bad_folds == each] = along(bad[bad_folds == each], line)
    limit = _limit(good_places, bad_places)
    falling = _ramp(limit, min(float(np.quantile(good_places, _SURELY_GOOD)), limit - 0.1))
    spec = FlawSpec(name, packed(_line(good, bad)), falling)  # type: ignore[arg-type]
    caught, refused = float((bad_places > limit).mean()), float((good_places > limit).mean())
    return spec, FlawReport(name, len(bad), caught, refused)


def _limit(good: Floats, bad: Floats) -> float:
    """As many flawed faces are refused as the share of ordinary ones allows; then fewer of these,
    as long as nearly all flawed ones are.
    """
    most, least = np.quantile(good, [1 - _MOST, 1 - _LEAST])
    return float(max(most, min(least, np.quantile(bad, 1 - _NEARLY_ALL))))


def _line(good: Floats, bad: Floats) -> Floats:
    """(F + 1,) Fisher's discriminant: the means are at -0.5 and 0.5; the constant comes last."""
    means = good.mean(axis=0), bad.mean(axis=0)
    counts = len(good), len(bad)
    spread = np.average([np.cov(good.T), np.cov(bad.T)], axis=0, weights=counts)
    spread += _RIDGE * np.trace(spread) / len(spread) * np.eye(len(spread))
    direction = np.linalg.solve(spread, means[1] - means[0])
    direction /= direction @ (means[1] - means[0])
    line: Floats = np.append(direction, -direction @ (means[0] + means[1]) / 2)
    return line
