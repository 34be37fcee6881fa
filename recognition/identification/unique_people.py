"""Gives each person to at most one face of a picture, since nobody stands in it twice.

A person who is given to a face counts with how many powers of ten their false match rate is below
that of the threshold, and the highest sum decides. So somebody who is just similar enough is hardly
better than nobody, and a sure match is not given up for two doubtful ones.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

import numpy as np

from recognition.inference.arrays import Floats
from recognition.packs.scores import ScoreScale, Threshold

# The most candidates of a face, which bounds the time that all this takes.
_MOST = 100
# Somebody at the threshold is better than nobody, and the more similar of two is better.
_LEAST = 1e-6


class _Candidate(Protocol):
    @property
    def user_id(self) -> UUID: ...
    @property
    def cosine(self) -> float: ...


Candidate = TypeVar("Candidate", bound=_Candidate)


def needed(wanted: int, faces: int) -> int:
    """How many candidates of each face to look for: all but one other may be given its first."""
    return min(_MOST, wanted + max(0, faces - 1))


def apart(
    candidates: Sequence[Sequence[Candidate]], scores: ScoreScale, threshold: Threshold
) -> list[list[Candidate]]:
    """The candidates of each face, best first, so that nobody is a candidate of two faces.

    The first one of a face is who it is given. Those who are given to no face stay with the face
    that is most similar to them.
    """
    enough = math.log10(scores.fmr(threshold.cosine))

    def total(one: Candidate) -> float:
        return max(0.0, enough - math.log10(scores.fmr(one.cosine))) + _LEAST * (2 + one.cosine)

    chosen = best_assignment([{one.user_id: total(one) for one in own} for own in candidates])
    face_of = {user: face for face, user in enumerate(chosen) if user}
    pairs = [(one, face) for face, own in enumerate(candidates) for one in own]
    for one, face in sorted(pairs, key=lambda pair: -pair[0].cosine):
        face_of.setdefault(one.user_id, face)
    return [
        [one for one in own if face_of[one.user_id] == face] for face, own in enumerate(candidates)
    ]


def best_assignment(totals: Sequence[Mapping[UUID, float]]) -> list[UUID | None]:
    """Who each face is given of those that it has, nobody twice, so that the sum is the highest.

    Each total is above 0, which is that of nobody.
    """
    faces_of = Counter(user for own in totals for user in own)
    shared = {user: n for n, user in enumerate(u for u, faces in faces_of.items() if faces > 1)}
    # Among those who no other face has, a face can only be given the best.
    alone = [
        max((user for user in own if user not in shared), key=own.__getitem__, default=None)
        for own in totals
    ]
    costs = np.full((len(totals), len(shared) + len(totals)), np.inf)
    for face, (own, best) in enumerate(zip(totals, alone, strict=True)):
        for user in own.keys() & shared.keys():
            costs[face, shared[user]] = -own[user]
        costs[face, len(shared) + face] = -own[best] if best else 0.0
    users = [*shared, *alone]
    return [users[column] for column in columns_of_least_cost(costs)]


def columns_of_least_cost(costs: Floats) -> list[int]:
    """The column of each row of (N, M), no column twice, so that the sum of the costs is the least.

    An infinite cost forbids a column. The rows are added one by one, each by the shortest path of
    changes: Jonker and Volgenant, Computing 38, 1987, as Crouse writes it down, IEEE Transactions
    on Aerospace and Electronic Systems 52, 2016. It takes N * N * M steps at most.
    """
    rows, columns = costs.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    row_of, column_of = np.full(columns, -1), np.full(rows, -1)
    for new in range(rows):
        length = np.full(columns, np.inf)  # of the shortest path that is known to a column
        before = np.full(columns, -1)  # the row before it on this path
        is_done = np.zeros(columns, np.bool_)
        row, so_far = new, 0.0
        while True:
            paths = so_far + costs[row] - row_price[row] - column_price
            is_shorter = ~is_done & (paths < length)
            length[is_shorter], before[is_shorter] = paths[is_shorter], row
            column = int(np.where(is_done, np.inf, length).argmin())
            so_far = float(length[column])
            if row_of[column] < 0:
                break
            is_done[column], row = True, int(row_of[column])
        row_price[new] += so_far
        row_price[row_of[is_done]] += so_far - length[is_done]
        column_price[is_done] -= so_far - length[is_done]
        while column >= 0:
            row = int(before[column])
            row_of[column] = row
            column_of[row], column = column, int(column_of[row])
    return [int(column) for column in column_of]
