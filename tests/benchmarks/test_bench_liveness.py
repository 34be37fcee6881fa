"""The simulated screens and prints, and what MiniFASNet says of them."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmarks import attacks, liveness
from recognition.inference.arrays import Image
from tests.support.photos import SHARED, astronaut, needs_shared
from tests.support.real_packs import needs_models, open_real


def random() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("attack", [attacks.as_screen, attacks.as_print])
@pytest.mark.parametrize("close", [True, False])
def test_it_works(attack: Callable[..., Image], close: bool) -> None:
    seen = attack(astronaut(), random(), close=close)
    assert (seen.shape, seen.dtype) == ((attacks.SIDE, attacks.SIDE, 3), np.uint8)
    assert np.array_equal(seen, attack(astronaut(), random(), close=close))
    # The photo is still to be recognised on it.
    shown = cv2.resize(astronaut(), (attacks.SIDE, attacks.SIDE)).astype(np.float64)
    assert (
        np.corrcoef(seen[100:-100, 100:-100].ravel(), shown[100:-100, 100:-100].ravel())[0, 1]
        > 0.25
    )


def test_the_frame_is_seen_or_not() -> None:
    """A dark line between the photo and what is around it."""
    framed, close = (
        attacks.as_screen(np.full((250, 250, 3), 200, np.uint8), random(), close=close)
        for close in (False, True)
    )
    assert framed[240].min() < 45 < 90 < close[240].min()


def test_the_margin_is_seen_or_not() -> None:
    """A light line between the photo and what is around it."""
    black = np.zeros((250, 250, 3), np.uint8)
    margin, close = (
        attacks.as_print(black, random(), close=close).max(axis=2)[240] for close in (False, True)
    )
    assert margin.max() > 170 > 100 > close.max()


@pytest.mark.slow
@needs_shared
@needs_models
def test_a_screen_looks_less_alive_than_a_face(capsys: pytest.CaptureFixture[str]) -> None:
    photos = liveness.one_photo_a_person(SHARED / "lfw-a", 40)
    assert len({photo.parent for photo in photos}) == 40
    found: dict[str, list[float | None]] = {kind: [] for kind in liveness.KINDS}
    for kind, score in liveness.scores(open_real("scrfd-arcface"), photos):
        found[kind].append(score)
    medians = {
        kind: np.median([v for v in values if v is not None]) for kind, values in found.items()
    }
    assert medians["camera"] > 0.8 > 0.3 > medians["screen with frame"]
    liveness.report(found)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 0.5 |")]
    assert len(rows) == 1
