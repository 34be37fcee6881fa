"""Thousands of broken bodies at the real decoders: a 4xx each, no crash, and memory stays flat.

`make fuzz` sends 20,000, and decodes 50,000 pictures whose parts were changed, each within a time.
`FACESVC_FUZZ_BODIES`, `FACESVC_FUZZ_PICTURES` and `FACESVC_FUZZ_SEED` say how many and which.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from tests.support.processes import PROJECT, environment

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
BODIES = int(os.environ.get("FACESVC_FUZZ_BODIES", "1200"))
PICTURES = int(os.environ.get("FACESVC_FUZZ_PICTURES", "300"))
SEED = int(os.environ.get("FACESVC_FUZZ_SEED", "1"))
REAL_SHARE = 25  # one of so many is looked at with the real networks
# A picture of the largest size that is taken is 120 MB, twice, while it is looked at.
MOST_GROWTH_MB = 64


def fuzz(seed: int, first: int, last: int) -> dict[str, Any]:
    unlimited = {"RATE_LIMIT_PER_MINUTE": "0", "RATE_LIMIT_PER_HOUR": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.fuzzing", *map(str, (seed, first, last, REAL_SHARE))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # where the decoders complain
        text=True,
        cwd=PROJECT,
        env=environment(FACESVC_LIVE_FRAMES_PER_SECOND="100000", **unlimited),
    )
    final = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"ended by {done.returncode} at body {final} of seed {seed}"
    report: dict[str, Any] = json.loads(final[0])
    return report


def test_broken_bodies_are_refused() -> None:
    report = fuzz(SEED, 0, BODIES)
    print(json.dumps(report, indent=1))
    assert not report["found"], report["findings"][0]
    assert sum(report["statuses"].values()) == BODIES
    # Some are harmless, so that what comes behind the decoders is reached as well.
    assert sum(n for case, n in report["statuses"].items() if " 2" in case) > BODIES / 10
    assert report["end_mb"] - report["warm_mb"] < MOST_GROWTH_MB, report


def decoded(seed: int, count: int) -> tuple[list[list[Any]], list[str]]:
    """For each picture what it took, the slowest first; and those that ended the process."""
    done: list[list[Any]] = []
    found: list[str] = []
    first = 0
    while first < count and len(found) < 10:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.fuzzing_pictures", *map(str, (seed, first, count))],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where the decoders complain
            text=True,
            cwd=PROJECT,
            env=environment(),
        )
        lines = ended.stdout.splitlines()
        done += [json.loads(line) for line in lines if line.startswith("[")]
        if ended.returncode == 0:
            break
        last = [line for line in lines if line.isdigit()][-1:]
        found.append(f"ended by {ended.returncode} at picture {last} of seed {seed}")
        first = int(last[0]) + 1 if last else count
    return sorted(done, reverse=True), found


def test_pictures_with_changed_parts_take_their_time_at_most() -> None:
    done, found = decoded(SEED, PICTURES)
    print("seconds, number, kind, outcome, bytes, MB of memory: the slowest ten")
    for each in done[:10]:
        print(each)
    assert not found, found
    assert len(done) == PICTURES
    outcomes = Counter(each[3] for each in done)
    print(dict(outcomes))
    assert outcomes["decoded"] > PICTURES / 10  # so that the decoders are reached
    assert outcomes["invalid_image"] > PICTURES / 10
