"""Whether a ratio of docs/benchmarks.md got worse: `make bench-check`, four minutes.

It measures less often than what was recorded, so it fails only if a ratio of CPU is more than a
quarter worse, or one of requests a second by half, or if a ratio was never recorded. Exit code 1
says so. Measure again before you believe it, on a quiet machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.beside import models, pipeline, record, service

_SERVICE = ["--rounds=4", "--clients", "4", "--load-rounds=2", "--packs", "permissive"]
_PIPELINE = ["--rounds=7", "--packs", "dlib", "--cases", "verify"]


def main() -> int:
    if why := models.missing():
        print(f"Skipped: {why}")
        return 0
    measured = {
        "service": service.run(service.parser().parse_args(_SERVICE)),
        "pipeline": pipeline.run(pipeline.parser().parse_args(_PIPELINE)),
    }
    return report(record.load(), measured)


def report(recorded: Mapping[str, Any], measured: Mapping[str, Any]) -> int:
    """The exit code. What cannot be compared did not pass."""
    unknown = record.ratios(measured).keys() - record.ratios(recorded).keys()
    lines = [f"WORSE: {line}" for line in record.worse(recorded, measured)]
    lines += [f"NOT RECORDED: {name}" for name in sorted(unknown)]
    print("\n".join(lines) or "No ratio got worse.")
    return 1 if lines else 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    sys.exit(main())
