"""Time, CPU and throughput of searches, whatever runs them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import psutil

# A search by the number of its probe: the people found.
Search = Callable[[int], list[int]]
Clock = Callable[[], float]

_Name = TypeVar("_Name", bound=Hashable)

_LEAST = 5  # probes, however slow


@dataclass
class Timing:
    """Of one probe after the other."""

    found: list[list[int]] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    # By the name of a clock.
    beside_ms: dict[str, list[float]] = field(default_factory=dict)
    workers_ms: float = 0.0  # CPU of the server's parallel workers, of all probes

    def take(self, search: Search, probe: int, cpu: Clock, beside: Mapping[str, Clock]) -> None:
        clocks = {"": cpu, **beside}
        before = {name: clock() for name, clock in clocks.items()}
        started = time.perf_counter()
        found = search(probe)
        self.wall_ms.append((time.perf_counter() - started) * 1000)
        spent = {name: (clock() - before[name]) * 1000 for name, clock in clocks.items()}
        self.cpu_ms.append(spent.pop(""))
        for name, milliseconds in spent.items():
            self.beside_ms.setdefault(name, []).append(milliseconds)
        self.found.append(found)

    def row(self) -> dict[str, float]:
        beside = {name: round(float(np.median(ms)), 3) for name, ms in self.beside_ms.items()}
        return {
            "probes": len(self.found),
            "p50_ms": round(float(np.median(self.wall_ms)), 3),
            "p95_ms": round(float(np.quantile(self.wall_ms, 0.95)), 3),
            "cpu_ms": round(float(np.median(self.cpu_ms)) + self.workers_ms / len(self.found), 3),
            **{f"{name}_cpu_ms": milliseconds for name, milliseconds in beside.items()},
        }


def run(
    search: Search,
    probes: int,
    cpu: Clock,
    *,
    seconds: float,
    beside: Mapping[str, Clock] = MappingProxyType({}),
) -> Timing:
    """Every probe once, or as many as fit into the time; two before that to warm up."""
    return in_turns({"": search}, probes, cpu, seconds=seconds, beside=beside)[""]


def in_turns(
    searches: Mapping[_Name, Search],
    probes: int,
    cpu: Clock,
    *,
    seconds: float,
    beside: Mapping[str, Clock] = MappingProxyType({}),
) -> dict[_Name, Timing]:
    """As `run`, each probe by all of the searches before the next, a different one first each time.

    So whatever else the machine does meanwhile, it does to all of them.
    """
    names = list(searches)
    for name, probe in product(names, range(min(2, probes))):
        searches[name](probe)
    timings = {name: Timing() for name in names}
    end = time.monotonic() + seconds * len(names)
    for probe in range(probes):
        first = probe % len(names)
        for name in names[first:] + names[:first]:
            timings[name].take(searches[name], probe, cpu, beside)
        if time.monotonic() > end and probe + 1 >= _LEAST:
            break
    return timings


def throughput(
    search: Search, probes: int, clients: int, *, seconds: float, leave: Callable[[], None]
) -> float:
    """Searches a second of so many clients at once, each in a thread that calls `leave` last."""
    start = threading.Barrier(clients)

    def client(first: int) -> tuple[int, float]:
        search(first % probes)  # connects
        start.wait()
        started = time.monotonic()
        done = 0
        while time.monotonic() < started + seconds:
            search((first + done) % probes)
            done += 1
        leave()
        return done, time.monotonic() - started

    with ThreadPoolExecutor(clients) as pool:
        return sum(done / took for done, took in pool.map(client, range(0, 7 * clients, 7)))


class Insertions:
    """Calls `insert` again and again in a thread of its own, which calls `leave` last."""

    def __init__(self, insert: Callable[[int], None], most: int, leave: Callable[[], None]) -> None:
        self._insert, self._most, self._leave = insert, most, leave
        self._stop = threading.Event()
        self.done, self.seconds = 0, 0.0

    def _work(self) -> None:
        started = time.monotonic()
        while not self._stop.is_set() and self.done < self._most:
            self._insert(self.done)
            self.done += 1
        self.seconds = time.monotonic() - started
        self._leave()

    def run_for(self, seconds: float) -> None:
        with self.running():
            self._stop.wait(seconds)

    @property
    def rate(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(1) as pool:
            work = pool.submit(self._work)
            try:
                yield
            finally:
                self._stop.set()
            work.result()


def process_clock(pid: int) -> Clock:
    """Seconds of CPU of another process, to a nanosecond where the kernel counts so."""
    precise = Path(f"/proc/{pid}/schedstat")
    if precise.exists():
        return lambda: int(precise.read_text().split()[0]) / 1e9
    process = psutil.Process(pid)
    return lambda: sum(process.cpu_times()[:2])


def ended_children_clock(pid: int) -> Clock:
    """Seconds of CPU of the processes that a process started and that have ended."""
    process = psutil.Process(pid)

    def seconds() -> float:
        times = process.cpu_times()
        return float(times.children_user + times.children_system)

    return seconds
