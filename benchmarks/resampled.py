"""Templates that resemble given real ones as these resemble each other, in any number.

What `benchmarks.templates` draws is spread like real people, but is alike to none of them: a real
stranger among 100,000 of those has hardly a lookalike. So here every made-up template is a real one
that was moved towards the mean and away at random (a smoothed bootstrap, with the covariance of the
real ones). How near it stays to where it came from is chosen so that pairs of a real and a made-up
template are as alike as pairs of different real people, on average over the two rarest false match
rates that some thousand photos can measure.

So strangers who are searched for are among those whom it resembles. What that measures is whether
the cut that a large gallery needs, which rests on rarer rates than any that were measured, and the
search with it, keep what they promise to people with that many lookalikes. It is no measurement of
that many real people.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from benchmarks.templates import Floats, Numbers

# False match rates at which pairs are compared: 3,562 photos are 6 million pairs.
_RATES = (1e-4, 1e-5)
_TRIED = 20_000  # made-up templates for each nearness
_HALVINGS = 10
_CHUNK = 10_000
_ROWS = 200


class Resampled:
    """`faces` (N, D) of length 1 of `people` (N,).

    `compared` makes of them what the pack compares: with a cohort it is not the cosine that has to
    be as high as between real people.
    """

    def __init__(
        self,
        faces: Floats,
        people: Numbers,
        *,
        seed: int,
        compared: Callable[[Floats], Floats] = lambda faces: faces,
    ) -> None:
        self._faces, self._people, self._seed, self._compared = faces, people, seed, compared
        self._mean = faces.mean(0)
        covariance = np.cov((faces - self._mean).T.astype(np.float64))
        values, axes = np.linalg.eigh(covariance)
        self._spread = (np.sqrt(np.maximum(values, 0))[:, None] * axes.T).astype(np.float32)

    def draw(self, count: int) -> Floats:
        """(count, D) of length 1: the same ones every time."""
        return self._drawn(count, self.nearness)

    @cached_property
    def nearness(self) -> float:
        """From 0 (templates of nobody) to 1 (those of real people)."""
        wanted = self._real_cosines()
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            made_up = self._compared(self._drawn(_TRIED, middle))
            found = _rarest(self._compared(self._faces), made_up)
            low, high = (middle, high) if found.sum() < wanted.sum() else (low, middle)
        return (low + high) / 2

    def _drawn(self, count: int, nearness: float) -> Floats:
        random = np.random.default_rng(self._seed)
        parts = []
        for start in range(0, count, _CHUNK):
            size = min(_CHUNK, count - start)
            origins = self._faces[random.integers(0, len(self._faces), size)] - self._mean
            away = random.standard_normal((size, len(self._mean)), np.float32) @ self._spread
            part = self._mean + nearness * origins + np.sqrt(1 - nearness**2) * away
            parts.append(part / np.linalg.norm(part, axis=1, keepdims=True))
        return np.concatenate(parts).astype(np.float32)

    def _real_cosines(self) -> Floats:
        """(R,) at the rates, of pairs of different people."""
        compared = self._compared(self._faces)
        cosines = compared @ compared.T
        others = cosines[self._people[:, None] != self._people]
        found: Floats = np.quantile(others, [1 - rate for rate in _RATES])
        return found


def _rarest(faces: Floats, made_up: Floats) -> Floats:
    """(R,): the cosines that pairs of both reach at the rates."""
    pairs = len(faces) * len(made_up)
    most = round(pairs * max(_RATES))
    best = np.empty(0, np.float32)
    for start in range(0, len(faces), _ROWS):
        cosines = (faces[start : start + _ROWS] @ made_up.T).ravel()
        best = np.concatenate([best, cosines])
        best = np.partition(best, -most)[-most:]
    found: Floats = np.sort(best)[[-round(pairs * rate) for rate in _RATES]]
    return found
