"""The pictures of the benchmarks, and who is in them.

They are made of the photos that two packages carry, so anybody can make them: a portrait, six
people in one photo, and a table without anybody.
"""

from functools import cache
from uuid import UUID, uuid5

import cv2
import numpy as np

from recognition.inference.arrays import Image
from tests.support.photos import astronaut, coffee, jpeg, six_people

# Middles of the six faces, which are some 100 x 130 pixels.
MIDDLES = [(796, 410), (519, 341), (114, 329), (1178, 335), (959, 129), (320, 206)]
KNOWN = (0, 1)  # of them are enrolled
NEWCOMERS = (2, 3, 5)  # are not; the one who is left has turned away too far
_VGA = (640, 480)
_NAMES = UUID("5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a000")
VARIANTS = 4


def person(name: str) -> str:
    """A user id that is the same in each run."""
    return str(uuid5(_NAMES, name))


PORTRAYED = person("portrayed")


@cache
def portraits(width: int, height: int) -> tuple[bytes, ...]:
    """One person at about a third of the height, each time a little further to the right. Large
    ones have noise, as those of cameras do: without it the file would be unusually small."""
    view = cv2.resize(astronaut(), (640, 640))[:480]
    if width == height:
        view = view[:, 80:560]
    made = []
    for at in range(VARIANTS if width < 3000 else 2):
        shifted = cv2.copyMakeBorder(view, 0, 0, 12 * at, 0, cv2.BORDER_REPLICATE)[
            :, : view.shape[1]
        ]
        made.append(jpeg(_enlarged(shifted, (width, height), seed=at)))
    return tuple(made)


def _enlarged(view: Image, size: tuple[int, int], seed: int) -> Image:
    large = cv2.resize(view, size, interpolation=cv2.INTER_CUBIC).astype(np.int16)
    if size[0] > view.shape[1]:
        noise = np.random.default_rng(seed).integers(-8, 9, large.shape, np.int16)
        large = np.clip(large + noise, 0, 255)
    return large.astype(np.uint8)


@cache
def single(number: int) -> bytes:
    """One of the six people alone, 640 x 480."""
    x, y = MIDDLES[number]
    part = six_people()[max(0, y - 110) : y + 110, max(0, x - 90) : x + 90]
    height, width = part.shape[:2]
    left, top = (_VGA[0] - width) // 2, (_VGA[1] - height) // 2
    rest = (top, _VGA[1] - height - top, left, _VGA[0] - width - left)
    return jpeg(cv2.copyMakeBorder(part, *rest, cv2.BORDER_REPLICATE))


@cache
def group() -> bytes:
    return jpeg(six_people())


@cache
def nobody() -> bytes:
    return jpeg(cv2.resize(coffee(), _VGA))


def enrolled(callers: int) -> dict[str, bytes]:
    """User id and picture of everybody who is enrolled before anything is measured. `callers` are
    more users with the portrait, for the sessions of calls."""
    people = {PORTRAYED: jpeg(astronaut())}
    people |= {person(f"known {number}"): single(number) for number in KNOWN}
    return people | {caller(number): jpeg(astronaut()) for number in range(callers)}


def caller(number: int) -> str:
    return person(f"caller {number}")
