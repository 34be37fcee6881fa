"""Templates that look like real ones, in any number: for measuring galleries of 100,000 people.

Made-up vectors mislead. Real templates of different people are not independent (some people look
alike, and their cosines decide how many strangers match), those of one person differ a lot, and a
person's few templates are an island far from everything else. So people are drawn like this, by
numbers that `benchmarks.fit_templates` fitted to the photos of lfw-a:

1. Every person has one of `looks` looks, and resembles it by a share between 0 and `likeness`. A
   look and what is the person's own are normal, with the variances `between` of real people.
2. A photo adds what differs between photos of one person: normal with the variances `within`,
   times a factor that is larger for bad photos, log-normal with `photo_spread`.
3. The mean is added and the vector brought to length 1.

This is done along the principal axes of the real embeddings. Which way these pointed is not known
here: they are replaced by random orthogonal ones, which changes no cosine. The numbers are
variances and means of 1,560 people; no face can be made from them.

Cosines of all pairs of 3,562 photos of 1,560 people (the rows of templates.json have more):

                      non-mated      at a false match rate   quantiles of mated
    pack             mean deviation  1e-3   1e-4   1e-5     0.05   0.25   0.50   0.75
    arcface  real      0.022  0.058   0.223  0.275  0.323   0.398  0.512  0.597  0.671
             made up   0.025  0.061   0.217  0.272  0.336   0.397  0.517  0.597  0.672
    dlib     real      0.838  0.035   0.928  0.942  0.953   0.929  0.948  0.958  0.968
             made up   0.837  0.039   0.926  0.939  0.955   0.931  0.950  0.960  0.968
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

FITTED = Path(__file__).with_suffix(".json")
DIMENSIONS = 512  # of the product's column; shorter embeddings end in zeros
# Faces a person: 1, 2 or 3.
FACES = (0.5, 0.3, 0.2)
# People from this number on are never enrolled.
STRANGERS = 2**40
# Neighbours are drawn together; a small block is quick to draw again for one probe.
_BLOCK = 1024
# What a stream of random numbers is for.
_LOOKS, _PEOPLE, _FACES, _PROBES = range(4)


@dataclass(frozen=True)
class Fit:
    """How the templates of one pack are spread, along the D principal axes of real ones."""

    mean: Floats  # (D,)
    between: Floats  # (D,) variances of people
    within: Floats  # (D,) variances of the photos of one person
    photo_spread: float
    looks: int
    likeness: float  # from 0 to 1

    @classmethod
    def load(cls, kind: str) -> Fit:
        values = json.loads(FITTED.read_text())[kind]
        arrays = {
            name: np.array(values[name], np.float32) for name in ("mean", "between", "within")
        }
        return cls(
            **arrays,
            photo_spread=values["photo_spread"],
            looks=values["looks"],
            likeness=values["likeness"],
        )

    @property
    def dimensions(self) -> int:
        return len(self.mean)

    def draw_looks(self, random: np.random.Generator) -> Floats:
        return random.standard_normal((self.looks, self.dimensions), np.float32)

    def draw_people(self, random: np.random.Generator, looks: Floats, count: int) -> Floats:
        """(count, D): where the photos of each person lie around."""
        look = looks[random.integers(0, self.looks, count)]
        share = np.float32(self.likeness) * random.random((count, 1), np.float32)
        own = random.standard_normal((count, self.dimensions), np.float32)
        return (np.sqrt(1 - share**2) * own + share * look) * np.sqrt(self.between)

    def draw_photos(self, random: np.random.Generator, people: Floats) -> Floats:
        """A photo of each of (N, D) people: (N, D) of length 1."""
        # The mean of the factor's square is 1.
        normal = random.standard_normal((len(people), 1), np.float32)
        factor = np.exp(self.photo_spread * normal - self.photo_spread**2)
        noise = random.standard_normal(people.shape, np.float32)
        photos = people + self.mean + noise * (np.sqrt(self.within) * factor)
        return (photos / np.linalg.norm(photos, axis=1, keepdims=True)).astype(np.float32)


class Population:
    """People 0, 1, 2 ... without end. Equal seeds give equal people and photos.

    `kind` is `arcface` (512 numbers) or `dlib` (128, and zeros). With `mean` (D,), such as the
    `mean_embedding` of a pack, the templates' mean points there. `compared` says what of embeddings
    is stored and searched: see ModelPack.compared. They are alike to no real person;
    for that see `benchmarks.resampled`.
    """

    def __init__(
        self,
        kind: str = "arcface",
        *,
        seed: int = 0,
        mean: npt.ArrayLike | None = None,
        compared: Callable[[Floats], Floats] | None = None,
    ) -> None:
        self._fit, self._compared = Fit.load(kind), compared
        self._seed = seed
        self._axes = _axes(self._fit.mean, mean)

    @property
    def mean(self) -> Floats:
        """(512,): what the templates have in common."""
        return self._turned(self._fit.mean[None])[0]

    def enrol(self, people: Iterable[int]) -> tuple[Floats, Numbers]:
        """The templates of these people, 1-3 each: (N, 512), and whose they are: (N,).

        For very many people call it chunk by chunk: the result is the same, and memory is bounded
        by the chunk.
        """
        wanted = np.fromiter(people, np.int64)
        vectors, rows = [], []
        for block, members in _blocks(wanted):
            centres = self._people(block)
            random = self._random(_FACES, block)
            count = random.choice(len(FACES), _BLOCK, p=FACES)
            photos = [self._fit.draw_photos(random, centres) for _ in FACES]
            for number, drawn in enumerate(photos):
                chosen = members[count[wanted[members] % _BLOCK] >= number]
                vectors.append(drawn[wanted[chosen] % _BLOCK])
                rows.append(chosen)
        order = np.argsort(np.concatenate(rows), kind="stable")
        places = np.concatenate(rows)[order]
        return self._turned(np.concatenate(vectors)[order]), wanted[places]

    def probes(self, people: Iterable[int], *, photo: int = 0) -> Floats:
        """(N, 512): another photo of each; a further one for every number `photo`."""
        wanted = np.fromiter(people, np.int64)
        probes = np.empty((len(wanted), self._fit.dimensions), np.float32)
        for block, members in _blocks(wanted):
            drawn = self._fit.draw_photos(self._random(_PROBES, block, photo), self._people(block))
            probes[members] = drawn[wanted[members] % _BLOCK]
        return self._turned(probes)

    def strangers(self, count: int, *, photo: int = 0) -> Floats:
        """(count, 512): photos of different people who are never enrolled."""
        return self.probes(range(STRANGERS, STRANGERS + count), photo=photo)

    @cached_property
    def _looks(self) -> Floats:
        return self._fit.draw_looks(self._random(_LOOKS))

    def _people(self, block: int) -> Floats:
        return self._fit.draw_people(self._random(_PEOPLE, block), self._looks, _BLOCK)

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, *stream))

    def _turned(self, vectors: Floats) -> Floats:
        """From the principal axes to the product's column."""
        turned = np.zeros((len(vectors), DIMENSIONS), np.float32)
        found = vectors @ self._axes
        if self._compared:
            found = self._compared(found)
        turned[:, : found.shape[1]] = found
        return turned


def _blocks(people: Numbers) -> Iterable[tuple[int, Numbers]]:
    """The numbers of the blocks, and the places of their people in `people`."""
    if not len(people):
        raise ValueError("nobody is asked for")
    blocks = people // _BLOCK
    order = np.argsort(blocks, kind="stable")
    numbers, starts = np.unique(blocks[order], return_index=True)
    return zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)


def _axes(mean: Floats, towards: npt.ArrayLike | None) -> Floats:
    """(D, D), rows: random orthogonal axes, the same every time; `mean` becomes `towards`."""
    size = len(mean)
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
    if towards is not None:
        wanted = np.asarray(towards, np.float64)
        if wanted.shape != mean.shape:
            raise ValueError(f"the mean must have {size} numbers, not {wanted.shape}")
        # Householder's reflection takes one direction to the other.
        between = mean @ axes / np.linalg.norm(mean) - wanted / np.linalg.norm(wanted)
        axes -= 2 * np.outer(axes @ between, between) / (between @ between)
    return axes.astype(np.float32)
