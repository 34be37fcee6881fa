"""How well a pack tells people apart: verification (1:1) and open-set identification (1:N).

Photos are given as in recognition/measuring/pairs.py. A photo without a face is a failure to
enrol or to acquire: its mated pairs and its searches count as not accepted, and it is no part of
the non-mated pairs or searches that false match rates are shares of.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats
from recognition.measuring.pairs import Numbers, Pairs, all_pairs, cosines_between, threshold_at

Flags = npt.NDArray[np.bool_]

FOLDS = 10
# Searches of people who are not enrolled are few; a single division would be a matter of luck.
DIVISIONS = 10
FPIRS = (1e-2, 1e-3)
_SEED = 20240501


# --- Verification ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fold:
    cosines: Floats  # (P,), minus infinity where a face was missed
    same: Flags  # (P,) whether the two photos show one person


@dataclass(frozen=True)
class Accuracy:
    """The share of pairs that are judged rightly, over folds."""

    mean: float
    std: float  # of the folds
    folds: int
    threshold: float  # mean of the cosines chosen on the other folds


def lfw_accuracy(folds: list[Fold], *, balanced: bool) -> Accuracy | None:
    """Labeled Faces in the Wild's protocol (Huang et al., UMass Amherst 07-49, 2007).

    The threshold is chosen on all folds but one and judged on that one. A pair with a missed face
    is judged `different`. `balanced`: mated and non-mated pairs weigh the same altogether, as in
    LFW's own list, where they are equally many. None with fewer than two folds.
    """
    if len(folds) < 2:
        return None
    rights, thresholds = [], []
    for index, fold in enumerate(folds):
        others = folds[:index] + folds[index + 1 :]
        training = Fold(
            np.concatenate([other.cosines for other in others]),
            np.concatenate([other.same for other in others]),
        )
        threshold = _best_threshold(training, _weights(training.same, balanced))
        right = (fold.cosines > threshold) == fold.same
        rights.append(float(_weights(fold.same, balanced)[right].sum()))
        thresholds.append(threshold)
    spread = float(np.std(rights, ddof=1))
    return Accuracy(float(np.mean(rights)), spread, len(folds), float(np.mean(thresholds)))


def listed_folds(cosines: Floats, same: Flags) -> list[Fold]:
    """Equal pieces of a list in its order, as LFW's list is to be read."""
    pieces = min(FOLDS, len(same))
    return [
        Fold(*piece)
        for piece in zip(np.array_split(cosines, pieces), np.array_split(same, pieces), strict=True)
    ]


def folds_by_person(embeddings: Floats, people: Numbers) -> list[Fold]:
    """All pairs within each of up to ten sets of people; every set has pairs of both kinds."""
    numbers, photos = np.unique(people, return_counts=True)
    # Those with several photos are dealt out first, so that each set gets some of them.
    order = np.random.default_rng(_SEED).permutation(len(numbers))
    order = order[np.argsort(photos[order] < 2, kind="stable")]
    sets = min(FOLDS, int((photos > 1).sum()), len(numbers) // 2)
    folds = []
    for index in range(sets):
        chosen = np.isin(people, numbers[order[index::sets]])
        pairs = all_pairs(embeddings[chosen], people[chosen])
        cosines = np.concatenate([pairs.mated, pairs.non_mated])
        folds.append(Fold(cosines, np.arange(len(cosines)) < len(pairs.mated)))
    return folds


def _weights(same: Flags, balanced: bool) -> Floats:
    """(P,) weights of pairs, with sum 1."""
    mated = int(same.sum())
    if not balanced or mated in (0, len(same)):
        return np.full(len(same), 1 / len(same))
    return np.where(same, 0.5 / mated, 0.5 / (len(same) - mated))


def _best_threshold(fold: Fold, weights: Floats) -> float:
    """Halfway between the two cosines of the cut that judges best; accepted is what is above."""
    order = np.argsort(fold.cosines)
    rising = fold.cosines[order].astype(np.float64)
    gains = np.where(fold.same, -weights, weights)[order]  # of moving the cut above this pair
    right = np.concatenate([[0.0], np.cumsum(gains)])
    between = np.concatenate([[True], rising[1:] > rising[:-1], [True]])
    right[~between] = -np.inf
    # The middle one of equally good cuts.
    best = np.flatnonzero(right >= right.max() - 1e-12)
    cut = int(best[len(best) // 2])
    if cut in (0, len(rising)):
        return -np.inf if cut == 0 else np.inf
    return float((rising[cut - 1] + rising[cut]) / 2)


@dataclass(frozen=True)
class Acceptance:
    """The true accept rate (TAR) at the threshold of a false match rate."""

    tar: float
    cosine: float
    false_matches: int  # non-mated pairs that may reach it


def tar_at_fmr(pairs: Pairs, fmr: float) -> Acceptance | None:
    """None where not even one non-mated pair may reach the threshold: it would be a guess."""
    strangers = pairs.compared
    allowed = int(fmr * len(strangers) + 1e-9)
    if not allowed or not len(pairs.mated):
        return None
    cosine = threshold_at(strangers, fmr)
    return Acceptance(float((pairs.mated >= cosine).mean()), cosine, allowed)


def area_under_roc(pairs: Pairs) -> float | None:
    """How often a mated pair is more similar than a non-mated one; equal ones count half."""
    strangers = pairs.compared
    if not len(strangers) or not len(pairs.mated):
        return None
    rising = strangers[::-1]
    below = np.searchsorted(rising, pairs.mated, side="left")
    upto = np.searchsorted(rising, pairs.mated, side="right")
    return float((below + upto).mean() / (2 * len(rising)))


@dataclass(frozen=True)
class Curve:
    """Error rates at falling thresholds; all (T,)."""

    cosine: Floats
    fmr: Floats
    fnmr: Floats


def error_curve(pairs: Pairs, *, steps: int = 400) -> Curve:
    """False match and false non-match rates at steps of equal ratio in FMR, down to one pair."""
    strangers = pairs.compared
    ranks = np.unique(np.geomspace(1, len(strangers), steps).round().astype(np.int64))
    cosine = strangers[ranks - 1]
    rejected = np.searchsorted(np.sort(pairs.mated), cosine, side="left")
    return Curve(cosine, ranks / len(strangers), rejected / len(pairs.mated))


# --- Identification -------------------------------------------------------------------------------


@dataclass(frozen=True)
class IdentificationRates:
    """Open-set search. Means over the divisions of people into enrolled and not enrolled."""

    rank1: float
    fnir_at_fpir: dict[float, float | None]
    gallery: int  # people enrolled, one photo each
    mated_searches: int  # in all divisions
    non_mated_searches: int
    divisions: int


@dataclass(frozen=True)
class _Searches:
    best: Floats  # (P,) cosine of the nearest template
    right: Flags  # (P,) whether it is the person's own


def identify(embeddings: Floats, people: Numbers) -> IdentificationRates | None:
    """Half of the people are enrolled with one photo each, drawn by lot; all others are searched.

    rank-1: how often the nearest template is the searched person's, without a threshold. FNIR: how
    often the right person is not first or is below the threshold that at most FPIR of the searches
    of people who are not enrolled reach (FNIR(N, T) at rank 1 in NIST's FRTE 1:N). FNIR is None
    where not even one such search may reach it. None without anything to search.
    """
    divisions = [_divide(embeddings, people, seed=_SEED + number) for number in range(DIVISIONS)]
    usable = [division for division in divisions if len(division[0].best)]
    if not usable:
        return None
    fnir = {}
    for fpir in FPIRS:
        rates = [_fnir(mated, strangers, fpir) for mated, strangers in usable]
        known = [rate for rate in rates if rate is not None]
        fnir[fpir] = float(np.mean(known)) if len(known) == len(rates) else None
    return IdentificationRates(
        rank1=float(np.mean([mated.right.mean() for mated, _ in usable])),
        fnir_at_fpir=fnir,
        gallery=len(np.unique(people)) // 2,
        mated_searches=sum(len(mated.best) for mated, _ in usable),
        non_mated_searches=sum(len(strangers.best) for _, strangers in usable),
        divisions=len(usable),
    )


def _divide(embeddings: Floats, people: Numbers, *, seed: int) -> tuple[_Searches, _Searches]:
    """Searches of the enrolled people's other photos, and of all photos of the other people."""
    lot = np.random.default_rng(seed)
    order = lot.permutation(len(people))
    embeddings, people = embeddings[order], people[order]
    numbers, first = np.unique(people, return_index=True)
    chosen = lot.permutation(len(numbers))[: len(numbers) // 2]
    gallery = first[chosen]
    mated = np.isin(people, numbers[chosen])
    mated[gallery] = False
    enrolled = (embeddings[gallery], people[gallery])
    strangers = ~np.isin(people, numbers[chosen])
    return (
        _search(embeddings[mated], people[mated], *enrolled),
        _search(embeddings[strangers], people[strangers], *enrolled),
    )


def _search(probes: Floats, people: Numbers, gallery: Floats, gallery_people: Numbers) -> _Searches:
    if not len(gallery) or not len(probes):
        return _Searches(np.empty(0), np.empty(0, np.bool_))
    cosines = cosines_between(probes, gallery)
    nearest = cosines.argmax(axis=1)
    best = cosines[np.arange(len(probes)), nearest]
    return _Searches(best, (gallery_people[nearest] == people) & np.isfinite(best))


def _fnir(mated: _Searches, strangers: _Searches, fpir: float) -> float | None:
    falling = np.sort(strangers.best[np.isfinite(strangers.best)])[::-1]
    if int(fpir * len(falling) + 1e-9) < 1:
        return None
    threshold = threshold_at(falling, fpir)
    return float(1 - (mated.right & (mated.best >= threshold)).mean())
