"""More clients than the service has cores: what is accepted, what is refused, and how it recovers.

    python -m benchmarks.load                    # 200 clients, 60 s, against a service of its own
    python -m benchmarks.load --clients 50 --seconds 20 --impatient

It starts the service on 127.0.0.1 with a database of its own, loads it, and ends it. A client sends
a picture to `identify`, waits for the answer, and goes on at once; one that is refused with 503
comes back after the seconds of its Retry-After, or at once with --impatient. Exit code 1 when
something else than 503 came from 500 on, or a 503 without Retry-After, or a bound was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.service import PREFIX, Service, running

RECOVERY_SECONDS = 2.0
MEMORY_GROWTH = 0.05  # of the whole, from the middle of the load to its end
_ANSWER_SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    status: int
    seconds: float
    retry_after: float | None
    at: float = field(default_factory=time.monotonic)


@dataclass
class Record:
    """What all clients saw."""

    answers: list[Answer] = field(default_factory=list)
    probes: list[Answer] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # bytes, one a second
    broken: Counter[str] = field(default_factory=Counter)  # connections that ended without answer

    def seconds(self, *, refused: bool) -> list[float]:
        return [each.seconds for each in self.answers if (each.status == 503) == refused]


class Connection:
    """One kept-alive connection, with as little work as possible: it shares the cores."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        begin = time.perf_counter()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        await _skip_body(reader, fields)
        if fields.get("connection") == "close":
            self.close()
        wait = fields.get("retry-after")
        seconds = time.perf_counter() - begin
        return Answer(int(head[0].split()[1]), seconds, float(wait) if wait else None)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _skip_body(reader: asyncio.StreamReader, fields: dict[str, str]) -> None:
    if fields.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(fields["content-length"]))


def request_bytes(service: Service, method: str, path: str, body: bytes = b"") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {service.authorization}"
        f"\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def client(port: int, request: bytes, record: Record, *, patient: bool) -> None:
    connection = Connection(port)
    while True:
        try:
            # Not wait_for, which in Python 3.11 may swallow that the client is to end.
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await connection.ask(request)
        except (OSError, EOFError, TimeoutError) as error:
            record.broken[type(error).__name__] += 1
            connection.close()
            await asyncio.sleep(0.1)
            continue
        record.answers.append(answer)
        if answer.status == 503 and patient:
            connection.close()
            # Not all at once again.
            await asyncio.sleep((answer.retry_after or 1) * random.uniform(1, 1.5))


async def watch(service: Service, record: Record) -> None:
    """Once a second: the memory, and a probe over a connection of its own."""
    probe = request_bytes(service, "GET", "/health/live")
    while True:
        record.memory.append(service.memory())
        connection = Connection(service.port)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                record.probes.append(await connection.ask(probe))
        except (OSError, EOFError, TimeoutError) as error:
            record.broken[f"probe: {type(error).__name__}"] += 1
        connection.close()
        await asyncio.sleep(1)


async def load(service: Service, picture: bytes, options: argparse.Namespace) -> Record:
    """Ends all clients at once, in the middle of what they wait for."""
    record = Record()
    request = request_bytes(service, "POST", f"{PREFIX}/identify", picture)
    tasks = [
        asyncio.create_task(client(service.port, request, record, patient=not options.impatient))
        for _ in range(options.clients)
    ]
    tasks.append(asyncio.create_task(watch(service, record)))
    await asyncio.sleep(options.seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return record


async def recovery(service: Service, picture: bytes) -> tuple[float, float]:
    """Seconds until a request is answered as ever, and what one takes then (median of 5)."""
    request = request_bytes(service, "POST", f"{PREFIX}/identify", picture)
    begin = time.perf_counter()
    connection = Connection(service.port)
    while (await connection.ask(request)).status != 200:
        await asyncio.sleep(0.1)
    first = time.perf_counter() - begin
    later = [(await connection.ask(request)).seconds for _ in range(5)]
    connection.close()
    return first, float(np.median(later))


def summary(record: Record, seconds: float) -> dict[str, object]:
    def percentiles(values: list[float]) -> dict[str, float]:
        points = (50, 95, 99, 100)
        return {f"p{p}": round(float(np.percentile(values, p)), 3) for p in points if values}

    accepted = [each for each in record.answers if each.status == 200]
    half = len(record.memory) // 2
    return {
        "statuses": dict(Counter(each.status for each in record.answers)),
        "without_retry_after": sum(
            each.status == 503 and not each.retry_after for each in record.answers
        ),
        "broken_connections": dict(record.broken),
        "accepted_per_second": round(len(accepted) / seconds, 1),
        "accepted_seconds": percentiles([each.seconds for each in accepted]),
        "refused_seconds": percentiles(record.seconds(refused=True)),
        "probes_refused": sum(each.status != 200 for each in record.probes),
        "health_live_seconds": percentiles([each.seconds for each in record.probes]),
        "memory_mb": [round(size / 1024**2) for size in record.memory[:: max(1, half // 3)]],
        "memory_growth": round(max(record.memory[half:]) / record.memory[half] - 1, 4),
    }


def failures(figures: dict[str, object], first: float, bound: float) -> list[str]:
    statuses, p95 = figures["statuses"], figures["accepted_seconds"]
    assert isinstance(statuses, dict) and isinstance(p95, dict)
    checks = {
        "an error of the service": any(code >= 500 and code != 503 for code in statuses),
        "a 503 without Retry-After": figures["without_retry_after"],
        "connections without an answer": figures["broken_connections"],
        "nothing accepted": 200 not in statuses,
        "a probe that was refused": figures["probes_refused"],
        f"p95 of the accepted over {bound} s": p95.get("p95", 0) > bound,
        "memory grew": float(str(figures["memory_growth"])) > MEMORY_GROWTH,
        f"not as ever within {RECOVERY_SECONDS} s": first > RECOVERY_SECONDS,
    }
    return [name for name, failed in checks.items() if failed]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--bound", type=float, default=7, help="seconds, for p95 of the accepted")
    parser.add_argument("--impatient", action="store_true", help="come back at once after a 503")
    parser.add_argument("--photo", type=Path, help="a JPEG (default: one of 512 x 512)")
    options = parser.parse_args()
    picture = options.photo.read_bytes() if options.photo else default_photo()
    with running() as service:
        before = os.getloadavg()[0]
        record = asyncio.run(load(service, picture, options))
        first, later = asyncio.run(recovery(service, picture))
    figures = summary(record, options.seconds)
    figures |= {
        "recovered_after_seconds": round(first, 3),
        "then_seconds": round(later, 3),
        "load_average_before": round(before, 2),
    }
    print(json.dumps(figures, indent=2))
    missed = failures(figures, first, options.bound)
    print("\n".join(f"FAILED: {name}" for name in missed) or "All bounds are kept")
    return 1 if missed else 0


def default_photo() -> bytes:
    from tests.support.photos import astronaut, jpeg

    return jpeg(astronaut())


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    sys.exit(main())
