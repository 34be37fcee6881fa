"""`python -m tests.support.hammering`: the processes that tests.support.processes.hammer asks for.

The whole service runs in each of them but for the networks, whose faces are made up: 16 copies of
these would not fit into the memory of a small machine.
"""

import json
import multiprocessing
import os
import sys
import time
from typing import Any

import django

from tests.support.patience import PATIENCE

Answers = list[tuple[int, str | None]]


def work(what: dict[str, Any], start: Any, results: Any) -> None:
    """What each process does: all its requests, once everybody is there."""
    from django.db import connection
    from django.test import Client

    from tests.support.builders import Person

    connection.ensure_connection()
    person = Person(what["token"], Client())
    start.wait()
    begin, answers = time.time(), []
    for _ in range(what["times"]):
        answer = person.send(what["method"], what["path"], what["body"] or "")
        answers.append((answer.status_code, answer.headers.get("RateLimit-Remaining")))
    results.put((begin, time.time(), answers))


def main() -> None:
    what = json.load(sys.stdin)
    os.environ["DJANGO_SETTINGS_MODULE"] = "facesvc.settings"
    django.setup()
    from django.test.utils import setup_test_environment
    from django.urls import get_resolver

    from recognition.packs import engine
    from tests.support.builders import fake_engine, vector

    setup_test_environment()
    faked = fake_engine()
    faked.pipeline.show(vector(what["shown"]))  # type: ignore[attr-defined]
    engine.current = lambda: faked

    get_resolver().url_patterns  # loads the views  # noqa: B018
    forking = multiprocessing.get_context("fork")
    start, results = forking.Barrier(what["processes"]), forking.Queue()
    arguments = (what, start, results)
    workers = [forking.Process(target=work, args=arguments) for _ in range(what["processes"])]
    for worker in workers:
        worker.start()
    collected = [results.get(timeout=PATIENCE) for _ in workers]
    for worker in workers:
        worker.join()
    begins, ends, answers = zip(*collected, strict=True)
    flat: Answers = [answer for some in answers for answer in some]
    json.dump({"answers": flat, "seconds": max(ends) - min(begins)}, sys.stdout)


if __name__ == "__main__":
    main()
