"""Reasons to look twice at a verification. Each rule is a small function over the attempt."""

from collections.abc import Callable
from dataclasses import dataclass

# A match is near its threshold in the lowest quarter of what is left above it. For `standard` that
# is less than a tenfold false match rate away from being none.
_NEAR = 0.25


@dataclass(frozen=True)
class Attempt:
    """One comparison: confidence of the best face, the confidence asked for, probe quality."""

    confidence: float
    threshold: float
    quality_score: float
    min_quality: float


def _near_threshold(attempt: Attempt) -> bool:
    above = attempt.confidence - attempt.threshold
    return 0 <= above < _NEAR * (1 - attempt.threshold)


def _poor_quality(attempt: Attempt) -> bool:
    return attempt.quality_score < attempt.min_quality


_RULES: dict[str, Callable[[Attempt], bool]] = {
    "score_near_threshold": _near_threshold,
    "poor_quality": _poor_quality,
}
_LEVELS = ("low", "medium", "high")


def assess(attempt: Attempt) -> dict[str, object]:
    """`risk_level` is low, medium or high for no, one or more factors."""
    factors = [name for name, applies in _RULES.items() if applies(attempt)]
    return {"risk_level": _LEVELS[min(len(factors), 2)], "factors": factors}
