"""The real pipeline on a fixed part of lfw-a: people with two photos, which it was not trained on.

The whole of lfw-a is measured by `manage.py evaluate ../shared/faces/lfw-a`.
"""

import numpy as np
import pytest

from recognition.inference.arrays import Floats
from recognition.measuring.evaluation import area_under_roc, tar_at_fmr
from recognition.measuring.pairs import Pairs, all_pairs
from recognition.packs import engine
from recognition.packs.scores import ScoreScale
from tests.conftest import LFW_PEOPLE
from tests.support.photos import needs_shared

pytestmark = [pytest.mark.slow, needs_shared]


@pytest.fixture(scope="module")
def pairs(lfw_part: Floats) -> Pairs:
    return all_pairs(lfw_part, np.repeat(np.arange(LFW_PEOPLE), 2))


@pytest.fixture(scope="module")
def scale() -> ScoreScale:
    return ScoreScale(engine.calibration_of(engine.pack("dlib")))


def test_it_works(pairs: Pairs) -> None:
    assert (len(pairs.mated), len(pairs.non_mated)) == (LFW_PEOPLE, 300 * 299 // 2 - LFW_PEOPLE)
    area = area_under_roc(pairs)
    assert area and area > 0.99


@pytest.mark.parametrize(("fmr", "least"), [(1e-2, 0.95), (1e-3, 0.88)])
def test_mated_pairs_are_told_from_others(pairs: Pairs, fmr: float, least: float) -> None:
    found = tar_at_fmr(pairs, fmr)
    assert found and found.tar > least


@pytest.mark.parametrize(("confidence", "least"), [(0.80, 0.88), (0.85, 0.70)])
def test_mated_pairs_match(
    pairs: Pairs, scale: ScoreScale, confidence: float, least: float
) -> None:
    assert (pairs.mated >= scale.cosine_of_confidence(confidence)).mean() > least


@pytest.mark.parametrize("fmr", [1e-1, 1e-2, 1e-3])
def test_the_false_match_rate_is_the_one_shown(pairs: Pairs, scale: ScoreScale, fmr: float) -> None:
    """A part of the data set it was measured on, so within the noise of 45,000 pairs."""
    found = (pairs.non_mated >= scale.cosine_of_fmr(fmr)).mean()
    assert found == pytest.approx(fmr, rel=0.6)


def test_strangers_are_near_0(pairs: Pairs, scale: ScoreScale) -> None:
    similarities = [scale.similarity(cosine) for cosine in pairs.non_mated[::50]]
    assert np.median(similarities) < 0.1
    assert np.median([scale.similarity(cosine) for cosine in pairs.mated]) > 0.6
