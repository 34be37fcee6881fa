"""Which faces of nobody are of one person: groups of faces of many pictures.

Two groups are as alike as the mean of the scores of all pairs of their faces (average linkage).
The two that are most alike are joined, again and again, until none are alike enough. A chain of
faces, each a little like the next one, makes no group, as it would by DBSCAN or by single linkage.
docs/decisions/0022 has measurements.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats
from recognition.packs.scores import ScoreScale, level_confidence

Numbers = npt.NDArray[np.int64]

# Faces that are grouped together. The time grows with the square of it: see docs/decisions/0022.
MOST_FACES = 5_000
# The share of people with one picture who may be joined with a stranger.
_FALSELY_JOINED = 0.05
# Rows of the matrix of all scores that are in memory at a time.
_BLOCK = 1024


def least_score(scores: ScoreScale, faces: int) -> float:
    """What two groups must have to be joined: a match at `standard`, and more among many faces."""
    return scores.cut(level_confidence("standard"), _FALSELY_JOINED, faces).cosine


def grouped(templates: Floats, pictures: Sequence[int], least: float) -> list[list[int]]:
    """The numbers of the faces of each person, rising; the person with the first face comes first.

    `templates` (N, 512) are of N faces, `pictures` say which picture each is in: two faces of one
    picture are two people. The order of the faces changes nothing, unless scores are equal.
    """
    numbers = np.unique(np.asarray(pictures, np.int64), return_inverse=True)[1]
    alone = [[face] for face in np.flatnonzero(~_like_another(templates, numbers, least)).tolist()]
    others = np.setdiff1d(np.arange(len(templates)), np.array(alone, np.int64))
    found = _Groups(templates[others], numbers[others], least).joined()
    return sorted([*alone, *(sorted(others[group].tolist()) for group in found)])


def _like_another(templates: Floats, pictures: Numbers, least: float) -> npt.NDArray[np.bool_]:
    """(N,) whether a face is alike enough to one of another picture. Mostly few are."""
    like = np.zeros(len(templates), np.bool_)
    for start in range(0, len(templates), _BLOCK):
        rows = slice(start, start + _BLOCK)
        near = templates[rows] @ templates.T >= least
        like[rows] = (near & (pictures[rows, None] != pictures[None])).any(axis=1)
    return like


class _Groups:
    """Average linkage by chains of nearest neighbours, which needs no matrix of all scores.

    The mean score of two groups is the product of their mean templates. A chain goes from a group
    to the one it is most alike to. Two that are so to each other are joined: no later step could
    bring either of them anything better. So the result is that of joining the best two first.
    """

    def __init__(self, templates: Floats, pictures: Numbers, least: float) -> None:
        self._least = least
        self._means = templates.astype(np.float32)
        self._members = [[face] for face in range(len(templates))]
        self._is_in = np.zeros((len(templates), pictures.max(initial=0) + 1), np.bool_)
        self._is_in[np.arange(len(templates)), pictures] = True
        self._open = np.ones(len(templates), np.bool_)

    def joined(self) -> list[list[int]]:
        """The members of each group."""
        for start in range(len(self._members)):
            while self._open[start]:
                self._follow(start)
        return [members for members in self._members if members]

    def _follow(self, start: int) -> None:
        """Follow the chain from a group, until all of it is joined or like no other."""
        chain = [(start, -np.inf)]  # with the score to the one before
        while chain:
            nearest, score = self._nearest([group for group, _ in chain])
            if score > chain[-1][1]:
                chain.append((nearest, score))
                continue
            last, _ = chain.pop()
            if chain:
                self._join(chain.pop()[0], last)
            else:
                self._open[last] = False

    def _nearest(self, chain: list[int]) -> tuple[int, float]:
        """The open group outside of the chain that its last one is most alike to; minus infinity
        if none is alike enough.
        """
        last = chain[-1]
        scores = self._means @ self._means[last]
        scores[~self._open] = -np.inf
        scores[chain] = -np.inf  # rounding must not lead in a circle
        near = np.flatnonzero(scores >= self._least)
        near = near[~(self._is_in[near] & self._is_in[last]).any(axis=1)]
        if not len(near):
            return last, -np.inf
        best = int(near[np.argmax(scores[near])])
        return best, float(scores[best])

    def _join(self, one: int, other: int) -> None:
        """The group of the earlier face stays."""
        kept, gone = sorted((one, other))
        sizes = [len(self._members[each]) for each in (kept, gone)]
        self._means[kept] = np.average(self._means[[kept, gone]], axis=0, weights=sizes)
        self._members[kept] += self._members[gone]
        self._is_in[kept] |= self._is_in[gone]
        self._members[gone], self._open[gone] = [], False
