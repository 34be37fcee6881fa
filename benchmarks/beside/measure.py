"""CPU of a request, and requests a second: blocks of requests, to each side in turns."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from statistics import median
from typing import Any

import numpy as np

from benchmarks.beside import cases
from benchmarks.beside.cases import Case
from benchmarks.beside.sides import Side
from benchmarks.load import Answer, Connection

OF_A_BLOCK = 8
_SETTLE_SECONDS = 0.05


@dataclass
class Load:
    """What clients saw who sent one request after the other."""

    seconds: float = 0.0
    cpu: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)  # good answers a second, of each block

    def summary(self) -> dict[str, Any]:
        good = [answer.seconds for answer in self.answers if answer.status < 300]
        statuses = Counter(answer.status for answer in self.answers)
        return {
            "a_second": round(median(self.rates), 2),
            "p50_ms": round(1000 * float(np.percentile(good, 50)), 1) if good else None,
            "p95_ms": round(1000 * float(np.percentile(good, 95)), 1) if good else None,
            "most_ms": round(1000 * max(good), 1) if good else None,
            "cpu_ms": round(1000 * self.cpu / len(good), 2) if good else None,
            "cores": round(self.cpu / self.seconds, 2),
            "refused": round(statuses[503] / max(1, len(self.answers)), 4),
            "statuses": {str(status): number for status, number in sorted(statuses.items())},
        }


def cpu_of_requests(case: Case, sides: Sequence[Side], rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of a request, of all processes of each side; one number for each block."""
    taken: dict[str, list[float]] = {side.name: [] for side in sides}
    size = min(OF_A_BLOCK, case.most)
    for at in range(rounds + 1):
        for side in sides:
            spent = _cpu_of_block(case, side, range(at * size, (at + 1) * size))
            if at:  # the first one warms up
                taken[side.name].append(1000 * spent / size)
    return taken


def _cpu_of_block(case: Case, side: Side, numbers: range) -> float:
    requests = [side.bytes_of(case.message(side, number)) for number in numbers]
    before = side.cpu()
    answers = asyncio.run(_one_after_the_other(side.port, requests))
    time.sleep(_SETTLE_SECONDS)  # a process may write its log after the answer
    spent = side.cpu() - before
    if bad := [answer.status for answer in answers if answer.status >= 300]:
        raise RuntimeError(f"{side.name} refused {case.name}: {bad}")
    cases.forget(side)
    return spent


async def _one_after_the_other(port: int, requests: Sequence[bytes]) -> list[Answer]:
    connection = Connection(port)
    try:
        return [await connection.ask(request) for request in requests]
    finally:
        connection.close()


def load(
    case: Case, sides: Sequence[Side], clients: int, seconds: float, rounds: int
) -> dict[str, Load]:
    """So many clients, each with one request at a time; one that is refused comes back at once."""
    seen = {side.name: Load() for side in sides}
    for _ in range(rounds):
        for side in sides:
            before, began = side.cpu(), time.monotonic()
            answers = asyncio.run(_all_at_once(case, side, clients, seconds))
            took = time.monotonic() - began
            whole = seen[side.name]
            whole.seconds += took
            whole.cpu += side.cpu() - before
            whole.answers += answers
            whole.rates.append(sum(answer.status < 300 for answer in answers) / took)
            cases.forget(side)
    return seen


async def _all_at_once(case: Case, side: Side, clients: int, seconds: float) -> list[Answer]:
    """Each client ends with the answer that it waits for when the time is over."""
    ends = time.monotonic() + seconds
    parts = await asyncio.gather(*(_client(case, side, at, ends) for at in range(clients)))
    return [answer for part in parts for answer in part]


async def _client(case: Case, side: Side, client: int, ends: float) -> list[Answer]:
    connection, answers = Connection(side.port), []
    try:
        for request in _requests(case, side, client):
            answers.append(await connection.ask(request))
            if time.monotonic() > ends:
                break
    finally:
        connection.close()
    return answers


def _requests(case: Case, side: Side, client: int) -> Iterator[bytes]:
    """Without end. Those that need not differ are made once: the clients share the cores with what
    they measure."""
    if case.verb in ("frame", "register"):
        for number in count(client):
            yield side.bytes_of(case.message(side, number, client))
    yield from cycle([side.bytes_of(case.message(side, at)) for at in range(len(case.images))])
