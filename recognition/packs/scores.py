"""Converts cosines to similarity, confidence, false match rate and operating points.

The calibration of a pack relates cosines to false match rates (FMR). Confidence is the FMR on a
scale for people, the same for every pack: 0.80 at 1e-3 and 0.05 more for each power of ten down to
1e-6.

What is called a cosine, here and in what searches and compares, is the inner product of two
templates. With a cohort it is not that of the embeddings: see recognition.inference.pack.cohort.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from recognition.collections.current import rule
from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import Calibration

# Confidence at FMR 1e-3, and the step for each further power of ten.
_ANCHOR_DECADES, _ANCHOR, _STEP = 3.0, 0.80, 0.05
# From FMR 1e-6 on confidence approaches 1 without reaching it, at the same slope at first.
_LAST_DECADES, _LAST = 6.0, 0.95
# False match rates that are well measured, and far enough apart to estimate the deviation.
_COMMON, _RARE = 0.3, 0.01
_COMMON_DEVIATIONS = NormalDist().inv_cdf(1 - _COMMON)
# Confidence that a match needs at each level; at `standard` a setting says it.
BASIC, STRICT = 0.80, 0.95
LEVELS = ("basic", "standard", "strict")
# Steps from 0 to 1 in which scores are shown: to end users, whose tokens may be in other hands, and
# to services.
COARSE, FINE = 100, 10_000
# Tolerance above the expected difference, in standard deviations of a random share. On lfw-a, 2
# lose none of the mated pairs and 0.3% of the strangers who look alike enough to be shown; 1 loses
# 0.3% and 6%.
_SLACK = 2.0


def level_confidence(level: str) -> float:
    standard: float = rule("VERIFICATION_THRESHOLD")
    return {"basic": BASIC, "standard": standard, "strict": STRICT}[level]


class Threshold(NamedTuple):
    """The cosine from which on a search finds a person with one face, and which of two cuts it is.

    A person with more faces needs what `ScoreScale.needed` says.
    """

    used: str
    cosine: float
    by_confidence: float  # this and the next are the two cuts, as cosines
    by_rate: float
    is_extrapolated: bool  # its false match rate is beyond what the calibration could measure
    is_provisional: bool  # its false match rate is not measured with this pack at all
    similarity_score: float
    confidence_score: float


class ScoreScale:
    """The scores of one pack. All functions are strictly monotone where FMR is below 1."""

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self._zero, self._full = calibration.zero_cosine, calibration.full_cosine
        self._cosines = [point.cosine for point in calibration.table]
        self._decades = [-math.log10(point.fmr) for point in calibration.table]
        # The distance of the templates, up to which two pictures count as one. Where templates have
        # length 1 it says the same as their cosine. With a cohort they have not, and what that
        # takes off a cosine is the same for all pictures of one photo.
        below = self._full - self.cosine_of_similarity(calibration.duplicate_similarity)
        self.duplicate_distance = math.sqrt(2 * below)
        measured = [point.cosine for point in calibration.table if not point.extrapolated]
        self._measured_until = max(measured, default=-math.inf)
        self.is_provisional = calibration.provisional is not None
        several = calibration.several_photos
        # Without a measurement no person may match too often: a stranger matches the best of n
        # photos at most n times as often as one, and a mean hardly more often than one.
        self._exponent = several.nearest_exponent if several else 1.0
        self._correlation = several.mean_correlation if several else 1.0

    @cached_property
    def stranger_mean(self) -> float:
        """The mean of strangers' cosines, if they are normally distributed."""
        return self.cosine_of_fmr(_COMMON) - self.stranger_deviation * _COMMON_DEVIATIONS

    @property
    def stranger_deviation(self) -> float:
        """The standard deviation of strangers' cosines, if they are normally distributed."""
        apart = NormalDist().inv_cdf(1 - _RARE) - _COMMON_DEVIATIONS
        return (self.cosine_of_fmr(_RARE) - self.cosine_of_fmr(_COMMON)) / apart

    def similarity(self, cosine: float) -> float:
        """The cosine rescaled so that strangers are near 0; lower values are shown as 0."""
        return max(0.0, min(1.0, (cosine - self._zero) / (self._full - self._zero)))

    def cosine_of_similarity(self, similarity: float) -> float:
        return self._zero + similarity * (self._full - self._zero)

    def confidence(self, cosine: float) -> float:
        """The confidence between 0 (like any stranger) and 1 (never reached)."""
        return _confidence(self._decades_at(cosine))

    def cosine_of_confidence(self, confidence: float) -> float:
        """The cosine needed; above all that is possible where the pack cannot reach the
        confidence.
        """
        return self._cosine_at(_decades(confidence))

    def fmr(self, cosine: float) -> float:
        return float(10 ** -self._decades_at(cosine))

    def cosine_of_fmr(self, fmr: float) -> float:
        """The cosine needed; above all that is possible where the pack cannot reach the FMR."""
        return self._cosine_at(-math.log10(fmr))

    def is_extrapolated(self, cosine: float) -> bool:
        """Whether the FMR at this cosine is below what the calibration could measure."""
        # Interpolated, the last cosine may be a bit higher than itself.
        return cosine > self._measured_until + 1e-9

    # A person with several faces has several chances to be taken for somebody else. So the cosines
    # that decide are what those are worth with a single face: as rare among strangers.

    def worth_of_nearest(self, cosine: float, faces: int) -> float:
        """What the cosine of the nearest of `faces` faces is worth; at least that of FMR 1."""
        return self._worth_of_best(cosine, faces**self._exponent)

    def worth_of_best(self, cosine: float, pairs: int) -> float:
        """What the best cosine of so many pairs of different people's faces is worth.

        The chances of false matches add up. So the best of n pairs matches falsely at most n times
        as often as one pair.
        """
        return self._worth_of_best(cosine, pairs)

    def _worth_of_best(self, cosine: float, chances: float) -> float:
        decades = self._decades_at(cosine) - math.log10(chances)
        return min(cosine, self._cosine_at(max(0.0, decades)))

    def worth_of_mean(self, mean: float, faces: float) -> float:
        """What the mean of the cosines of `faces` faces is worth."""
        return self.stranger_mean + (mean - self.stranger_mean) / self._spread(faces)

    def nearest_worth(self, worth: float, faces: int) -> float:
        """The cosine of the nearest of `faces` faces that is worth so much."""
        return self._cosine_at(self._decades_at(worth) + self._exponent * math.log10(faces))

    def mean_worth(self, worth: float, faces: float) -> float:
        """The mean of the cosines of `faces` faces that is worth so much."""
        return self.stranger_mean + (worth - self.stranger_mean) * self._spread(faces)

    def _spread(self, faces: float) -> float:
        """The deviation of a stranger's mean cosine to a person's faces, in those of one cosine."""
        return math.sqrt(self._correlation + (1 - self._correlation) / faces)

    def needed(self, threshold: Threshold, faces: int) -> float:
        """What the cosine of a person with so many faces must be worth in a search.

        max_false_positive_rate is divided among all faces, so a person has a share for each.
        """
        return max(threshold.by_confidence, self.worth_of_nearest(threshold.by_rate, faces))

    def least_mean(self, threshold: Threshold, most: int) -> float:
        """The lowest mean of cosines that is enough in a search for anybody with 1 to `most` faces.

        More faces need less: each has a share of the rate, and a mean varies less. Only below the
        mean of strangers does one that varies less need more, and never more than a single face.
        """
        worth = self.needed(threshold, most)
        return min(worth, self.mean_worth(worth, most))

    def cut(self, min_confidence: float, max_fpr: float | None, searched: int) -> Threshold:
        """The stricter of two cuts: confidence of the match, and false positives of the search.

        A search of n templates lets a stranger match in about n x FMR of all cases. None: no cut.
        """
        by_confidence, by_rate = self.cosine_of_confidence(min_confidence), -1.0
        if max_fpr is not None and searched:
            by_rate = self.cosine_of_fmr(min(1.0, max_fpr / searched))
        used = "max_false_positive_rate" if by_rate > by_confidence else "min_confidence"
        cosine = max(by_confidence, by_rate)
        is_extrapolated, shown = self.is_extrapolated(cosine), ShownScores(self).of(cosine)
        cuts = (cosine, by_confidence, by_rate)
        return Threshold(used, *cuts, is_extrapolated, self.is_provisional, **shown)

    def _decades_at(self, cosine: float) -> float:
        return max(0.0, _interpolate(cosine, self._cosines, self._decades))

    def _cosine_at(self, decades: float) -> float:
        return _interpolate(decades, self._decades, self._cosines)


class ShownScores(NamedTuple):
    """How answers show scores."""

    scale: ScoreScale
    steps: int = FINE

    def of(self, cosine: float | None) -> dict[str, float]:
        """Both scores of a cosine; 0 if there was nothing to compare."""
        similarity = 0.0 if cosine is None else self.scale.similarity(cosine)
        confidence = 0.0 if cosine is None else self.scale.confidence(cosine)
        return {
            "similarity_score": _rounded(similarity, self.steps),
            "confidence_score": _rounded(confidence, self.steps),
        }


def _rounded(score: float, steps: int) -> float:
    """Rounded down: what is below a threshold must not be shown as if it met it."""
    # The addition keeps what is a round number but for the last bit.
    return math.floor(score * steps + 1e-6) / steps


def _interpolate(x: float, xs: list[float], ys: list[float]) -> float:
    """Interpolates linearly between (xs, ys), both rising; the outer pieces continue outside."""
    left = min(max(bisect_right(xs, x) - 1, 0), len(xs) - 2)
    share = (x - xs[left]) / (xs[left + 1] - xs[left])
    return ys[left] + share * (ys[left + 1] - ys[left])


def _confidence(decades: float) -> float:
    if decades <= _ANCHOR_DECADES:
        return _ANCHOR * decades / _ANCHOR_DECADES
    if decades <= _LAST_DECADES:
        return _ANCHOR + _STEP * (decades - _ANCHOR_DECADES)
    # exp's slope at 0 is 1, so that the curve has no kink at _LAST_DECADES.
    return 1 - (1 - _LAST) * math.exp(-(decades - _LAST_DECADES) * _STEP / (1 - _LAST))


def _decades(confidence: float) -> float:
    """The inverse of _confidence. Raises ValueError outside of [0, 1)."""
    if not 0 <= confidence < 1:
        raise ValueError("a confidence is at least 0 and below 1")
    if confidence <= _ANCHOR:
        return _ANCHOR_DECADES * confidence / _ANCHOR
    if confidence <= _LAST:
        return _ANCHOR_DECADES + (confidence - _ANCHOR) / _STEP
    return _LAST_DECADES - math.log((1 - confidence) / (1 - _LAST)) * (1 - _LAST) / _STEP


# --- Sketches -------------------------------------------------------------------------------------
# The signs of a template around the centre, and what their differences mean. Two random vectors at
# an angle differ in the share angle / pi of their signs. Taken around zero, the signs would be
# nearly the same for everybody where a model's embeddings lie close together.


@dataclass(frozen=True)
class SketchGeometry:
    """`centre` (512,) of the templates; `bits` of a sketch that are not always 0.

    `deviation` is the standard deviation of strangers' cosine around the centre. `squared_length`
    is what nine tenths of the templates have at most.
    """

    centre: Floats
    bits: int
    deviation: float
    squared_length: float = 1.0

    def bound(self, probe: Floats, cosine: float) -> int:
        """The most bits in which a template with this cosine to the probe (512,) differs."""
        apart = float(probe @ probe) + self.squared_length - 2 * cosine  # squared
        # The cosine around the centre for a template at the probe's distance from it.
        distance = float(np.sum((probe - self.centre) ** 2))
        around = 1 - apart / (2 * max(distance, 1e-6))
        angle = math.acos(min(1.0, max(-1.0, around)))
        return min(
            self.bits, round(self.bits * angle / math.pi + _SLACK * math.sqrt(self.bits) / 2)
        )

    def share_within(self, bound: int) -> float:
        """The approximate share of strangers' sketches that differ in at most `bits` bits."""
        deviation = math.sqrt(self.bits / 4 + (self.bits * self.deviation / math.pi) ** 2)
        return NormalDist(self.bits / 2, deviation).cdf(bound)


def sketch_of(template: Floats, centre: Floats) -> str:
    """The sketch of a template (512,) as text, bit for bit as the database makes it."""
    above = template.astype(np.float16) > centre.astype(np.float16)
    return (above + np.uint8(ord("0"))).tobytes().decode()
