"""Every photo compared with every other, as in calibration and in evaluation.

A pair of photos of one person is mated, all others are non-mated. Photos are rows of `embeddings`,
(N, D) unit vectors, and of `people`, (N,) numbers of persons. A row of zeros is a photo in which
no face was found: its cosines are minus infinity, so that no threshold ever accepts it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats

Numbers = npt.NDArray[np.int64]
Counts = npt.NDArray[np.integer]

# Rows of the matrix of all cosines that are in memory at a time.
_BLOCK = 1024
# The "rule of 30" (Doddington): with fewer errors behind it a rate is not called measured.
ERRORS_NEEDED = 30
_Z = 1.959964  # of the normal distribution, two-sided 95%


@dataclass(frozen=True)
class Pairs:
    """Cosines of all pairs of photos, float32."""

    mated: Floats  # (M,), unordered
    non_mated: Floats  # (N,), falling

    @property
    def compared(self) -> Floats:
        """The non-mated pairs of two faces. Those with a missed face would flatter the FMR."""
        return self.non_mated[: int(np.isfinite(self.non_mated).sum())]


def all_pairs(embeddings: Floats, people: Numbers) -> Pairs:
    total = len(people) * (len(people) - 1) // 2
    mated = mated_pairs(people)
    strangers = np.empty(total - len(mated), np.float32)
    filled = 0
    columns = np.arange(len(people))
    for rows, cosines in _blocks(embeddings):
        later = columns[None, :] > columns[rows, None]
        new = cosines[later & (people[rows, None] != people[None, :])]
        strangers[filled : filled + len(new)] = new
        filled += len(new)
    strangers.sort()
    return Pairs(cosines_of(embeddings, mated), strangers[::-1])


def mated_pairs(people: Numbers) -> Numbers:
    """(M, 2) numbers of the photos of all mated pairs."""
    order = np.argsort(people, kind="stable")
    starts = np.flatnonzero(np.diff(people[order])) + 1
    groups = [group for group in np.split(order, starts) if len(group) > 1]
    pairs = [
        np.stack([group[i] for i in np.triu_indices(len(group), 1)], axis=1) for group in groups
    ]
    return np.concatenate([np.empty((0, 2), np.int64), *pairs])


def cosines_of(embeddings: Floats, pairs: Numbers) -> Floats:
    """(P,) cosines of the photos named by (P, 2) numbers."""
    left, right = embeddings[pairs[:, 0]], embeddings[pairs[:, 1]]
    cosines = np.einsum("pd,pd->p", left, right)
    found = found_faces(embeddings)
    return np.where(found[pairs].all(axis=1), cosines, -np.inf)


def found_faces(embeddings: Floats) -> npt.NDArray[np.bool_]:
    """(N,) whether a photo has a face."""
    return np.asarray(embeddings.any(axis=1), np.bool_)


def cosines_between(rows: Floats, columns: Floats) -> Floats:
    """(R, C) cosines; minus infinity where either photo has no face."""
    cosines = rows @ columns.T
    cosines[~found_faces(rows)] = -np.inf
    cosines[:, ~found_faces(columns)] = -np.inf
    return cosines


def false_match_rates(
    embeddings: Floats, people: Numbers, thresholds: Sequence[float]
) -> "list[Rate]":
    """FMR at each of some rising thresholds, over photos that all have a face."""
    people = np.unique(people, return_inverse=True)[1]
    photos = np.bincount(people)
    trials = photos * (len(people) - photos)  # of each person
    rates, effect = [], 1.0
    for errors in _false_matches(embeddings, people, thresholds):
        count = int(errors.sum()) // 2
        if count >= ERRORS_NEEDED:
            # A few errors tell nothing of how they cluster: the last threshold's effect holds on.
            effect = design_effect(errors, trials, people_in_trial=2)
        rates.append(rate(count, int(trials.sum()) // 2, design_effect=effect))
    return rates


def _false_matches(embeddings: Floats, people: Numbers, thresholds: Sequence[float]) -> Counts:
    """(T, P) non-mated pairs of each person that reach each threshold; a pair counts with both."""
    matches = np.zeros((len(thresholds), int(people.max()) + 1), np.int64)
    for rows, cosines in _blocks(embeddings):
        cosines[people[rows, None] == people[None, :]] = -np.inf
        for index, threshold in enumerate(thresholds):
            reached = np.count_nonzero(cosines >= np.float32(threshold), axis=1)
            np.add.at(matches[index], people[rows], reached)
    return matches


def false_non_match_rate(embeddings: Floats, people: Numbers, threshold: float) -> "Rate":
    """FNMR: the share of mated pairs below the threshold."""
    pairs = mated_pairs(people)
    numbers = people[pairs[:, 0]]
    rejected = cosines_of(embeddings, pairs) < np.float32(threshold)
    trials = np.bincount(numbers)
    errors = np.bincount(numbers[rejected], minlength=len(trials))
    effect = design_effect(errors, trials, people_in_trial=1)
    return rate(int(errors.sum()), len(pairs), design_effect=effect)


def similar_strangers(
    embeddings: Floats, people: Numbers, threshold: float
) -> list[tuple[int, int, float]]:
    """Numbers and cosines of the non-mated pairs at or above a threshold, falling."""
    found = []
    for rows, cosines in _blocks(embeddings):
        for at, column in np.argwhere(cosines >= np.float32(threshold)):
            row = rows.start + at
            if row < column and people[row] != people[column]:
                found.append((int(row), int(column), float(cosines[at, column])))
    return sorted(found, key=lambda pair: -pair[2])


def threshold_at(falling: Floats, share: float) -> float:
    """The least cosine, rounded up, that at most this share of the falling cosines reaches."""
    # The small addend: 0.29 * 100 is 28.999999999999996.
    allowed = int(share * len(falling) + 1e-9)
    if allowed == len(falling):
        return math.floor(float(falling[-1]) * 1e6) / 1e6
    return round_up(float(falling[allowed]), 6)


def round_up(value: float, digits: int) -> float:
    """Strictly above `value`, so that a threshold does not let its own pair pass."""
    unit = 10.0**digits
    return round((math.floor(value * unit) + 1) / unit, digits)


def _blocks(embeddings: Floats) -> Iterator[tuple[slice, Floats]]:
    for start in range(0, len(embeddings), _BLOCK):
        rows = slice(start, start + _BLOCK)
        yield rows, cosines_between(embeddings[rows], embeddings)


# --- 95% intervals of error rates -----------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """`errors` out of `trials`, and the 95% interval of the rate; not a number without trials."""

    value: float
    errors: int
    trials: int
    low: float
    high: float


def rate(errors: int, trials: int, *, design_effect: float = 1.0) -> Rate:
    """Wilson's interval (1927) with `design_effect` times fewer trials.

    Wilson's stays sensible down to no errors at all, where normal intervals and bootstraps
    collapse to a point, and needs no inverse beta function as Clopper and Pearson's does.
    """
    if not trials:
        return Rate(math.nan, errors, trials, math.nan, math.nan)
    share, weight = errors / trials, _Z**2 * design_effect / trials
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * share * (1 - share) + weight**2 / 4) / (1 + weight)
    # Rounding must not put a bound on the wrong side of the rate.
    low, high = min(max(0.0, middle - half), share), max(middle + half, share)
    return Rate(share, errors, trials, low, high)


def design_effect(errors: Counts, trials: Counts, *, people_in_trial: int) -> float:
    """How many times the variance of a rate is that of independent trials; at least 1.

    `errors` and `trials` are (P,) counts of each person's trials. Trials are pairs of photos of
    one person (people_in_trial=1) or of two (2, each pair counted with both). Pairs that share a
    person err together: somebody with a common face gives many false matches, so 6,000,000 pairs
    of 1,500 people tell far less than 6,000,000 strangers who are met once. Counted as such, the
    interval would be several times too narrow.

    The variance is the cluster-robust one, for pairs of two people the dyadic one of Aronow,
    Samii and Assenova (Political Analysis 23, 2015): the sum of the products of the residuals of
    all trials that have a person in common. It puts no bound on what people have in common beyond
    that (a photographer, a decade, an ethnic group): for other people's photos the true interval
    is wider still.
    """
    total = int(trials.sum())
    share = errors.sum() / total if total else 0.0
    if not 0 < share < 1:
        return 1.0
    residuals = errors - share * trials
    independent = total / people_in_trial * share * (1 - share)
    # A trial of two people is counted with either of them, so once too often.
    return max(1.0, float((residuals**2).sum() / independent) - (people_in_trial - 1))
