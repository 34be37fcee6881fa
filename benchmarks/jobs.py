"""What the queue costs: a job of photos beside plain loops over the same photos.

    python -m benchmarks.jobs                # a worker of one thread, and one of two: minutes

The loops run in as many threads as the worker. One does what an item does without the queue, which
is to identify; the other only decodes, detects and embeds. The least seconds of some rounds count,
since what else runs on the machine costs the one or the other some. Exit code 1 when a job has less
than nine tenths of the throughput of the loop that identifies.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

import django
from cryptography.fernet import Fernet

from benchmarks.service import prepared, worker
from facesvc.running.run import MALLOC

if TYPE_CHECKING:
    from recognition.access import Caller

LEAST = 0.9
MOST_SECONDS = 600  # of one job


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--photos", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    keys = {"FACESVC_CROP_KEYS": Fernet.generate_key().decode(), "LOG_LEVEL": "WARNING"}
    with prepared(keys) as environment:
        os.environ.update(environment)
        django.setup()
        figures = {}
        for count in options.threads:
            with worker(environment | {"FACESVC_TASK_THREADS": str(count)}):
                figures[f"{count} threads"] = measure(count, options.photos, options.rounds)
    print(json.dumps(figures | {"load_average": round(os.getloadavg()[0], 2)}, indent=2))
    slow = [name for name, of in figures.items() if of["of_identify"] < LEAST]
    print("\n".join(f"FAILED: below {LEAST} with {name}" for name in slow) or "The queue is cheap")
    return 1 if slow else 0


def measure(threads: int, photos: int, rounds: int) -> dict[str, float]:
    """The least seconds that each takes for all photos, and the shares of throughput of the job."""
    from batch.jobs import verbs
    from batch.models import Kind
    from recognition.access import Caller
    from recognition.packs import engine
    from tests.support.builders import SEARCH
    from tests.support.photos import astronaut, jpeg

    caller = Caller("bench", None, frozenset({"face:identify", "face:batch"}))
    photo, active = jpeg(astronaut()), engine.current()
    ways: dict[str, Callable[[], float]] = {
        "pipeline": lambda: _loop(threads, photos, lambda: active.embed(active.see(photo)[1])),
        "identify": lambda: _loop(
            threads, photos, lambda: verbs.outcome_of(Kind.IDENTIFY, caller, SEARCH, photo)
        ),
        "job": lambda: _job(caller, photo, photos),
    }
    _job(caller, photo, photos)  # everybody loads the models
    seconds = defaultdict(list)
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way())
    least = {name: min(of) for name, of in seconds.items()}
    return {
        **{f"{name}_seconds": round(of, 4) for name, of in least.items()},
        "of_pipeline": round(least["pipeline"] / least["job"], 3),
        "of_identify": round(least["identify"] / least["job"], 3),
    }


def _loop(threads: int, photos: int, task: Callable[[], object]) -> float:
    from batch import tasks

    left = iter(range(photos))

    def until_none_is_left() -> None:
        for _ in left:
            task()

    begin = time.monotonic()
    tasks.in_threads(threads, until_none_is_left)
    return time.monotonic() - begin


def _job(caller: Caller, photo: bytes, photos: int) -> float:
    """From the submission to the end, the encryption of the photos included."""
    from batch.jobs import jobs
    from batch.models import Item, ItemState, Job, Kind
    from tests.support.builders import SEARCH

    items = [jobs.NewItem(f"{number}", photo, {}) for number in range(photos)]
    begin = time.monotonic()
    job = jobs.submit(caller=caller, kind=Kind.IDENTIFY, options=SEARCH, items=items)
    while Job.objects.filter(pk=job.pk, finished_at=None).exists():
        if time.monotonic() - begin > MOST_SECONDS:
            raise TimeoutError(f"the job is not done after {MOST_SECONDS} s")
        time.sleep(0.05)
    done = time.monotonic() - begin
    if Item.objects.filter(job=job, state=ItemState.SUCCESS).count() != photos:
        raise RuntimeError("not every photo of the job succeeded")
    return done


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    # glibc reads these when a process starts, and the loops have to run as the worker does: it
    # makes a difference of an eighth.
    if not MALLOC.keys() <= os.environ.keys():
        command = [sys.executable, "-m", "benchmarks.jobs", *sys.argv[1:]]
        os.execve(sys.executable, command, {**MALLOC, **os.environ})
    sys.exit(main())
