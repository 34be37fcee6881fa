"""A running service beside a FastAPI server around InsightFace's classes: `make bench-service`.

    python -m benchmarks.beside.service                     # everything, nine minutes
    python -m benchmarks.beside.service --quick             # CPU alone, a minute
    python -m benchmarks.beside.service --cases verify --clients 4 16 --rounds 3
    python -m benchmarks.beside.service --record            # and writes docs/benchmarks.md

Both sides have the same networks, two processes each, and one thread for each inference. They are
asked in turns, so believe the ratios: the machine may be busy. Below one are good ratios of CPU,
above one those of requests a second. FACESVC_BENCH_MODELS names the folder of the networks.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.beside import cases, measure, models, record, sides
from benchmarks.beside.cases import Case
from benchmarks.beside.sides import Side

LOADED = (
    "verify, 640 x 480",
    "identify, one face",
    "frame of a call",
    "register",
    "batch of eight pictures",
)
CLIENTS = (1, 4, 16)
# Packs whose networks the FastAPI server does not have, and what is asked of them.
ALONE = ("permissive", "dlib")
ASKED_OF_THEM = ("verify, 640 x 480", "verify, 12 megapixels", "identify, one face")


def main() -> int:
    options = record.parsed(parser())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers are stopped on the way out
    if why := models.missing():
        print(f"Skipped: {why}")
        return 0
    return record.finish("service", run(options), options)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.beside.service",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--cases", nargs="*", default=[""], help="beginnings of the names of cases")
    made.add_argument("--rounds", type=int, default=7, help="blocks of each case and side")
    made.add_argument("--clients", type=int, nargs="*", default=CLIENTS, help="18 at most")
    made.add_argument("--seconds", type=float, default=2.5, help="of a block of the load")
    made.add_argument("--load-rounds", type=int, default=3)
    made.add_argument("--packs", nargs="*", default=ALONE, help="measured as well")
    made.add_argument("--quick", action="store_true", help="no load and no other packs")
    record.add_options(made)
    return made


def run(options: argparse.Namespace) -> dict[str, Any]:
    if options.quick:
        options.clients, options.packs, options.rounds = (), (), min(options.rounds, 3)
    chosen = {
        name: case
        for name, case in cases.all_cases().items()
        if any(name.startswith(beginning) for beginning in options.cases)
    }
    figures: dict[str, Any] = {"cpu": {}, "load": {}}
    with sides.peer() as peer:
        with sides.product() as product:
            both = (product, peer)
            for case in chosen.values():
                cases.require_same(case, both)
                figures["cpu"][case.name] = measured = _cpu(case, both, options.rounds)
                print(f"{case.name}: {record.shown(measured)}", flush=True)
            for name in LOADED:
                if name in chosen:
                    figures["load"][name] = _load(chosen[name], both, options)
        for pack in options.packs:
            with sides.product(pack) as product:
                for name in ASKED_OF_THEM:
                    if name in chosen:
                        measured = _cpu(chosen[name], (product, peer), options.rounds)
                        figures["cpu"][f"{pack}: {name}"] = measured
                        print(f"{pack}: {name}: {record.shown(measured)}", flush=True)
    return figures


def _cpu(case: Case, both: Sequence[Side], rounds: int) -> dict[str, float]:
    taken = measure.cpu_of_requests(case, both, rounds)
    return record.ratio_of(*(median(taken[side.name]) for side in both))


def _load(case: Case, both: Sequence[Side], options: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for clients in options.clients:
        seen = measure.load(case, both, clients, options.seconds, options.load_rounds)
        ours, theirs = (seen[side.name].summary() for side in both)
        ratio = round(ours["a_second"] / theirs["a_second"], 3) if theirs["a_second"] else None
        figures[str(clients)] = {"facesvc": ours, "peer": theirs, "ratio": ratio}
        print(f"{case.name}, {clients} clients: ratio {ratio}\n  {ours}\n  {theirs}", flush=True)
    return figures


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    sys.exit(main())
