"""Whether a ratio of docs/benchmarks.md got worse: `make bench-check`, four minutes.

It measures less often than what was recorded, so it fails only if a ratio of CPU is more than a
quarter worse, or one of requests a second by half. Exit code 1 says that one is. Measure again
before you believe it, on a quiet machine.
"""

from __future__ import annotations

import os
import sys

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
    found = record.worse(record.load(), measured)
    print("\n".join(f"WORSE: {line}" for line in found) or "No ratio got worse.")
    return 1 if found else 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    sys.exit(main())
