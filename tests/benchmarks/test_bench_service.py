"""The benchmarks of the service, short: that they measure, and what counts as a failure."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import frames, jobs, load, soak, worst_minute
from benchmarks.load import Answer, Record
from benchmarks.service import PROJECT, Service, running
from tests.support.patience import PATIENCE

SECONDS = 4.0


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """One process that computes one picture at a time and lets one request wait."""
    settings = {
        "WEB_WORKERS": "1",
        "FACESVC_INFERENCE_AT_ONCE": "1",
        "FACESVC_INFERENCE_WAITING": "1",
    }
    with running(settings) as started:
        yield started


@pytest.mark.slow
def test_under_load_nothing_but_503_is_refused(service: Service) -> None:
    picture = load.default_photo()
    options = Namespace(clients=12, seconds=SECONDS, impatient=False)
    record = asyncio.run(load.load(service, picture, options))
    first, _ = asyncio.run(load.recovery(service, picture))
    figures = load.summary(record, SECONDS)
    assert load.failures(figures | {"memory_growth": 0}, first=0, bound=float("inf")) == []
    assert first > 0 and len(record.probes) > 1


@pytest.mark.slow
def test_a_restart_loses_no_request(service: Service) -> None:
    """SIGHUP: the old processes answer what they have; what comes waits for the new ones."""
    before = service.workers()

    async def restart_meanwhile() -> Record:
        options = Namespace(clients=4, seconds=4 * SECONDS, impatient=False)
        loading = asyncio.create_task(load.load(service, load.default_photo(), options))
        await asyncio.sleep(SECONDS / 2)
        service.master.send_signal(signal.SIGHUP)
        return await loading

    began = time.monotonic()
    record = asyncio.run(restart_meanwhile())
    assert not record.broken
    assert max(answer.at for answer in record.answers) - began > 3 * SECONDS
    assert {answer.status for answer in record.answers} <= {200, 503}
    assert set(before).isdisjoint(service.workers())


@pytest.mark.slow
def test_no_request_leaves_memory_behind() -> None:
    """Half a megabyte a request would be a fifth more; allocators settle far below that."""
    with running({"WEB_WORKERS": "1"}) as service:
        statuses, memory = soak.soak(service, 250, seed=7)
    assert max(statuses) < 500 and {200, 201, 400, 401} <= set(statuses)
    assert soak.growth(memory) < 0.15


def benchmark(module: str, *options: str) -> tuple[Any, bool]:
    """The figures, and whether they are good enough, which only a quiet machine can say."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *options],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
    )
    assert done.returncode == int("FAILED" in done.stdout), done.stderr
    figures, _ = json.JSONDecoder().raw_decode(done.stdout)
    return figures, done.returncode == 0


@pytest.mark.slow
def test_what_the_queue_costs_is_measured() -> None:
    figures, enough = benchmark("jobs", "--photos=4", "--rounds=1", "--threads=2")
    measured = figures["2 threads"]
    assert min(measured["pipeline_seconds"], measured["identify_seconds"]) > 0
    ratio = measured["identify_seconds"] / measured["job_seconds"]
    assert measured["of_identify"] == pytest.approx(ratio, abs=0.01)
    assert enough is (measured["of_identify"] >= jobs.LEAST)


@pytest.mark.slow
def test_what_a_frame_costs_is_measured() -> None:
    figures, enough = benchmark("frames", "--rounds=1")
    ratio = figures["frame_ms"] / figures["inference_ms"]
    assert figures["of_inference"] == pytest.approx(ratio, abs=0.01) and ratio > 0
    assert enough is (figures["of_inference"] <= frames.MOST)


@pytest.mark.slow
def test_what_one_user_can_do_is_measured() -> None:
    figures, _ = benchmark("worst_minute", "--seconds=10")
    assert figures["quiet"]["answered"] > 0 and figures["beside"]["requests"] > 0
    statuses = [key.split()[-1] for key in figures["attacker"]]
    assert "429" in statuses and not {"500", "broken"} & {*statuses, *figures["beside"]["statuses"]}


QUIET = {"answered": 1.0, "p95": 0.5, "statuses": {"200": 99}}


@pytest.mark.parametrize(
    ("beside", "attacker", "memory", "failure"),
    [
        ({}, {"request 429": 50, "frame 503": 1}, [100, 150, 109], None),
        ({"answered": 0.89}, {}, [100] * 3, "fewer than 90% answered"),
        ({"p95": 1.6}, {}, [100] * 3, "p95 is over 3 times the quiet one"),
        ({"statuses": {"500": 1}}, {}, [100] * 3, "an error of the service"),
        ({}, {"request 500": 1}, [100] * 3, "an error of the service"),
        ({}, {"frame broken": 1}, [100] * 3, "connections without an answer"),
        ({}, {}, [100, 100, 111], "memory not within 10% a minute later"),
    ],
)
def test_what_one_user_must_not_do(
    beside: dict[str, object], attacker: dict[str, int], memory: list[int], failure: str | None
) -> None:
    figures = {
        "quiet": QUIET,
        "beside": QUIET | beside,
        "attacker": attacker,
        "memory_mb": memory,
    }
    assert worst_minute.failures(figures) == ([failure] if failure else [])


OK, REFUSED = Answer(200, 1.0, None), Answer(503, 0.1, 5.0)


@pytest.mark.parametrize(
    ("answers", "memory", "first", "failure"),
    [
        ([OK, REFUSED], [100] * 4, 0.5, None),
        ([OK, Answer(500, 0.1, None)], [100] * 4, 0.5, "an error of the service"),
        ([OK, Answer(503, 0.1, None)], [100] * 4, 0.5, "a 503 without Retry-After"),
        ([REFUSED], [100] * 4, 0.5, "nothing accepted"),
        ([OK, Answer(200, 30.0, None)], [100] * 4, 0.5, "p95 of the accepted over 5 s"),
        ([OK], [100, 100, 100, 110], 0.5, "memory grew"),
        ([OK], [100] * 4, 2.5, "not as ever within 2.0 s"),
    ],
)
def test_what_counts_as_a_failure(
    answers: list[Answer], memory: list[int], first: float, failure: str | None
) -> None:
    record = Record(answers=answers, probes=[OK], memory=memory)
    missed = load.failures(load.summary(record, seconds=10), first, bound=5)
    assert missed == ([failure] if failure else [])


def test_a_probe_that_is_refused_is_a_failure() -> None:
    record = Record(answers=[OK], probes=[OK, REFUSED], memory=[100] * 4)
    missed = load.failures(load.summary(record, seconds=10), first=0.5, bound=5)
    assert missed == ["a probe that was refused"]


@pytest.mark.parametrize(
    ("statuses", "grown", "failure"),
    [
        ({200: 80, 201: 10, 400: 5, 401: 3, 503: 2}, 0.02, None),
        ({200: 100}, 0.04, "memory grew"),
        ({200: 99, 500: 1}, 0, "an error of the service"),
        ({200: 10, 401: 90}, 0, "too few answered"),
    ],
)
def test_what_counts_as_a_failure_of_a_soak(
    statuses: dict[int, int], grown: float, failure: str | None
) -> None:
    assert soak.failures(statuses, grown) == ([failure] if failure else [])


@pytest.mark.parametrize(
    ("memory", "growth"),
    [
        ([50, 80, *[100] * 8], 0),  # warming up is not counted
        ([100] * 9 + [103], 0.03),
        ([100] * 5 + [90] * 5, -0.1),
    ],
)
def test_growth_after_the_warm_up(memory: list[int], growth: float) -> None:
    assert soak.growth(memory) == pytest.approx(growth)
