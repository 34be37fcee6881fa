"""What one end user can do to all others within the limits, in a minute.

    python -m benchmarks.worst_minute

It starts the service on 127.0.0.1 with the limits that it has by default. Four clients of other
tokens verify and identify, a request every 1.2 seconds each: a minute alone, and a minute beside an
end user who sends what costs most. That user has 60 requests in the minute, sent as fast as they
are taken, and three calls with five frames a second. Bounds: at least 90% of the others' requests
are answered, their p95 is under 3 times the quiet one, nothing from 500 on but 503, and a minute
later the memory is within 10% of before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from uuid import UUID

import numpy as np

from benchmarks.load import Answer, Connection
from benchmarks.service import PREFIX, Service, running

PACE = 1.2  # seconds between two requests of a client: within 60 a minute
ANSWERED, SLOWER, MEMORY = 0.9, 3.0, 0.1
_OTHERS = [UUID(int=number) for number in (1, 2)]
_ATTACKER = UUID(int=666)
_PATIENCE = 90.0  # seconds


def _request(token: str, path: str, body: bytes, kind: str = "image/jpeg", key: str = "") -> bytes:
    head = (
        f"POST {PREFIX}/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    )
    return (head + (f"Idempotency-Key: {key}\r\n" if key else "") + "\r\n").encode() + body


def costly(token: str) -> list[bytes]:
    """Requests of an end user, each of which costs as much as it can."""
    from tests.photos import black_png, coffee, encode, jpeg, six_people

    noise = np.random.default_rng(1).integers(0, 256, (5000, 8000, 1), np.uint8)
    noisy = encode(np.repeat(noise, 3, 2), ".jpg", 1, 30)  # JPEG of quality 30, 40 megapixels
    nobody = jpeg(np.tile(coffee(), (12, 10, 1)), 60)[: 10 * 1024**2]
    crowd = jpeg(np.tile(six_people(), (4, 4, 1)), 80)
    blank = black_png(8000, 5000)
    own = f"user_id={_ATTACKER}"
    many_values = b'{"user_id": "%s", "image": [%s]}' % (
        str(_ATTACKER).encode(),
        b",".join([b"{}"] * 4_000_000),
    )
    verify = f"verify?{own}"
    return [
        _request(token, verify, noisy[: 10 * 1024**2]),
        _request(token, verify, nobody),
        _request(token, verify, blank, "image/png"),
        _request(token, "identify", crowd),
        _request(token, "detect", blank, "image/png"),
        _request(token, verify, b"\xff\xd8" + b"\xff" * 9_000_000 + b"\0"),
        _request(token, "verify", many_values, "application/json"),
        _request(token, f"register?{own}", nobody, key="the same"),
        _request(token, f"register?{own}", nobody, key="the same"),
    ]


async def attack(service: Service, token: str, seconds: float, tally: Counter[str]) -> None:
    requests = cycle(costly(token))
    left = iter(range(60))
    tasks = [_burst(service.port, requests, left, tally) for _ in range(12)]
    tasks += [_call(service.port, token, seconds, tally) for _ in range(3)]
    await asyncio.gather(*tasks)


async def _ask(connection: Connection, request: bytes) -> Answer | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await connection.ask(request)
    except (OSError, EOFError, TimeoutError):
        connection.close()
        return None


async def _burst(
    port: int, requests: Iterator[bytes], left: Iterator[int], tally: Counter[str]
) -> None:
    connection = Connection(port)
    for _ in left:
        answer = await _ask(connection, next(requests))
        tally[f"request {answer.status if answer else 'broken'}"] += 1
    connection.close()


async def _call(port: int, token: str, seconds: float, tally: Counter[str]) -> None:
    """A call of frames with nobody in them, at four megapixels and five a second."""
    from tests.photos import coffee, jpeg

    frame = jpeg(np.tile(coffee(), (4, 3, 1)), 60)
    opened = json.dumps({"user_id": str(_ATTACKER), "purpose": "video_call"}).encode()
    session = await _json(port, _request(token, "sessions", opened, "application/json"))
    if not (session_id := session.get("data", {}).get("session_id")):
        tally["no session"] += 1
        return
    connection = Connection(port)
    for number in range(int(seconds * 5)):
        begin = asyncio.get_running_loop().time()
        path = f"sessions/{session_id}/frames?sequence={number}"
        answer = await _ask(connection, _request(token, path, frame))
        tally[f"frame {answer.status if answer else 'broken'}"] += 1
        await asyncio.sleep(max(0.0, 0.2 - (asyncio.get_running_loop().time() - begin)))
    connection.close()


async def _json(port: int, request: bytes) -> dict[str, dict[str, str]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    body = json.loads(await reader.readexactly(length))
    writer.close()
    return dict(body)


async def others(service: Service, tokens: list[str], answers: list[Answer | None]) -> None:
    """Until it is cancelled."""
    from tests.photos import astronaut, jpeg

    photo = jpeg(astronaut())

    async def one(token: str, paths: Iterator[str]) -> None:
        connection = Connection(service.port)
        await asyncio.sleep(random.uniform(0, PACE))
        for path in paths:
            begin = asyncio.get_running_loop().time()
            answers.append(await _ask(connection, _request(token, path, photo)))
            await asyncio.sleep(max(0.0, PACE - (asyncio.get_running_loop().time() - begin)))

    own = [f"verify?user_id={user}" for user in _OTHERS]
    paths = [[own[0]], [own[1]], [own[0], "identify"], ["identify"]]
    await asyncio.gather(*(one(t, cycle(p)) for t, p in zip(tokens, paths, strict=True)))


async def watched(service: Service, tokens: list[str], seconds: float) -> list[Answer | None]:
    answers: list[Answer | None] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await others(service, tokens, answers)
    return answers


async def measure(service: Service, seconds: float) -> dict[str, object]:
    tokens = [_token(_OTHERS[0]), _token(_OTHERS[1]), _token("an-app"), _token("another-app")]
    for user in (*_OTHERS, _ATTACKER):
        await _enrol(service, user)
    quiet = await watched(service, tokens, seconds)
    before, tally = service.memory(), Counter[str]()
    attacking = asyncio.create_task(attack(service, _token(_ATTACKER), seconds, tally))
    beside = await watched(service, tokens, seconds)
    attacking.cancel()
    await asyncio.gather(attacking, return_exceptions=True)
    during = service.memory()
    await asyncio.sleep(seconds)
    return {
        "quiet": summary(quiet),
        "beside": summary(beside),
        "attacker": dict(tally),
        "memory_mb": [round(size / 1024**2) for size in (before, during, service.memory())],
    }


def _token(subject: object) -> str:
    from recognition import tokens

    scopes = ["face:register", "face:verify", "face:identify"]
    return tokens.issue(str(subject), scopes, minutes=60)


async def _enrol(service: Service, user: UUID) -> None:
    from tests.photos import astronaut, jpeg

    request = _request(_token("enroller"), f"register?user_id={user}", jpeg(astronaut()))
    answer = await Connection(service.port).ask(request)
    if answer.status != 201:
        raise RuntimeError(f"enrolment answered {answer.status}")


def summary(answers: list[Answer | None]) -> dict[str, object]:
    answered = [each.seconds for each in answers if each and each.status == 200]
    return {
        "requests": len(answers),
        "answered": round(len(answered) / len(answers), 3),
        "p50": round(float(np.percentile(answered, 50)), 3),
        "p95": round(float(np.percentile(answered, 95)), 3),
        "statuses": dict(Counter(str(each.status if each else "broken") for each in answers)),
    }


def failures(figures: dict[str, object]) -> list[str]:
    quiet, beside, memory = figures["quiet"], figures["beside"], figures["memory_mb"]
    assert isinstance(quiet, dict) and isinstance(beside, dict) and isinstance(memory, list)
    attacker = figures["attacker"]
    assert isinstance(attacker, dict)
    statuses = [*beside["statuses"], *(key.split()[-1] for key in attacker)]
    checks = {
        f"fewer than {ANSWERED:.0%} answered": beside["answered"] < ANSWERED,
        f"p95 is over {SLOWER:g} times the quiet one": beside["p95"] > SLOWER * quiet["p95"],
        "an error of the service": any(s.startswith("5") and s != "503" for s in statuses),
        "connections without an answer": "broken" in statuses,
        f"memory not within {MEMORY:.0%} a minute later": memory[2] > (1 + MEMORY) * memory[0],
    }
    return [name for name, failed in checks.items() if failed]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worst_minute", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="in place of the minute")
    options = parser.parse_args()
    limits = {"RATE_LIMIT_PER_MINUTE": "60", "RATE_LIMIT_PER_HOUR": "1000"}
    with running(limits) as service:
        figures = asyncio.run(measure(service, options.seconds))
    figures["load_average"] = round(os.getloadavg()[0], 2)
    print(json.dumps(figures, indent=2))
    missed = failures(figures)
    print("\n".join(f"FAILED: {name}" for name in missed) or "All bounds are kept")
    return 1 if missed else 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    import django

    django.setup()
    sys.exit(main())
