"""`python -m tests.damage NAME`: one of the bodies that once did damage, and what it costs now.

In a process of its own, which the kernel ends after `MOST_SECONDS` of CPU: what took minutes takes
a second at most. The last line that is printed says what became of it.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from recognition.inference.images import ImageError, decode
from tests import hard_pictures as hard
from tests.processes import PROJECT, environment

MOST_SECONDS = 60  # for making the bodies, too
MB = 1024**2

PICTURES: dict[str, Callable[[], Iterable[bytes]]] = {
    "filling": lambda: [hard.filling(250_000), hard.filling(10 * MB - 3)],
    "filling and no marker": lambda: [b"\xff\xd8" + b"\xff\0" * (5 * MB - 1)],
    "empty segments": lambda: [hard.empty_segments()],
    "every marker": lambda: (body for _, body in hard.every_marker()),
    "2,000 scans": lambda: [hard.more_scans(2000, 2000, 2000, which=-1)],
    "300 MB behind the pixels": lambda: [hard.zeros_behind()],
    "1,000 packed texts": lambda: [hard.packed_texts()],
}


def run(name: str) -> dict[str, Any]:
    """What `python -m tests.damage` says. Raises AssertionError when it does not come to an end."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.damage", name],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=environment(),
    )
    assert done.returncode == 0, f"{name}: ended by {done.returncode}\n{done.stderr[-2000:]}"
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def outcome_of(body: bytes) -> str:
    try:
        decode(body, max_bytes=10 * MB, max_pixels=40_000_000)
    except ImageError as error:
        return error.code
    return "decoded"


def main(name: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    outcomes, most = set(), 0.0
    for body in PICTURES[name]():
        started = time.process_time()
        outcomes.add(outcome_of(body))
        most = max(most, time.process_time() - started)
    print(json.dumps({"outcomes": sorted(outcomes), "most_seconds": round(most, 3)}))


if __name__ == "__main__":
    main(sys.argv[1])
