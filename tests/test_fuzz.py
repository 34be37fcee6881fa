"""Thousands of broken bodies at the real decoders: a 4xx each, no crash, and memory stays flat.

`make fuzz` sends 20,000; `FACESVC_FUZZ_BODIES` and `FACESVC_FUZZ_SEED` say how many and which.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.processes import PROJECT, environment

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
BODIES = int(os.environ.get("FACESVC_FUZZ_BODIES", "1200"))
SEED = int(os.environ.get("FACESVC_FUZZ_SEED", "1"))
REAL_SHARE = 25  # one of so many is looked at with the real networks
# A picture of the largest size that is taken is 120 MB, twice, while it is looked at.
MOST_GROWTH_MB = 64


def fuzz(seed: int, first: int, last: int) -> dict[str, Any]:
    unlimited = {"RATE_LIMIT_PER_MINUTE": "0", "RATE_LIMIT_PER_HOUR": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", *map(str, (seed, first, last, REAL_SHARE))],
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
