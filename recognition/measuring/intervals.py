"""95% confidence intervals of error rates that were counted over pairs of photos."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.integer]

_Z = 1.959964  # of the normal distribution, two-sided 95%


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
