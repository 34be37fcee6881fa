"""What a picture costs from its bytes to its embeddings, beside others' own: `make bench`.

    python -m benchmarks.beside.pipeline                 # all packs, three minutes
    python -m benchmarks.beside.pipeline --packs dlib --cases "verify, 640" --rounds 20

CPU milliseconds of one thread, medians of runs in turns; the machine may be busy, so believe the
ratios. The pack `dlib` is measured beside dlib with the calls of face_recognition, the others
beside InsightFace's own classes. `verify` is what a verification does with a picture, which wants
its main face alone; `identify` wants all faces.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import django

from benchmarks.beside import models, pictures, record
from benchmarks.service import PROJECT, prepared
from recognition.processes.orphans import die_with_parent

PACKS = (models.BARE, "permissive", "dlib")
_MOST_SECONDS = 20.0  # for both sides of a case
_LEAST_ROUNDS = 3
Work = Callable[[bytes], int]  # of a picture; the number of embeddings


def pictures_of() -> dict[str, Sequence[bytes]]:
    return {
        "verify, 640 x 480": pictures.portraits(640, 480),
        "verify, 250 x 250": pictures.portraits(250, 250),
        "verify, 2 megapixels": pictures.portraits(1600, 1200),
        "verify, 12 megapixels": pictures.portraits(4000, 3000),
        "verify, no face": [pictures.nobody()],
        "identify, 640 x 480": pictures.portraits(640, 480),
        "identify, 12 megapixels": pictures.portraits(4000, 3000),
        "identify, six faces": [pictures.group()],
        "identify, no face": [pictures.nobody()],
    }


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.beside.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--packs", nargs="*", default=PACKS)
    made.add_argument("--cases", nargs="*", default=[""], help="beginnings of the names of cases")
    made.add_argument("--rounds", type=int, default=15)
    made.add_argument("--measured", help=argparse.SUPPRESS)  # what the process of a pack does
    record.add_options(made)
    return made


def main() -> int:
    options = record.parsed(parser())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if options.measured:
        django.setup()
        print(json.dumps(measure(options.measured, options.cases, options.rounds)))
        return 0
    if why := models.missing():
        print(f"Skipped: {why}")
        return 0
    return record.finish("pipeline", run(options), options)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """By pack and case. Each pack has a process of its own, which is set up for it."""
    figures = {}
    for pack in options.packs:
        with models.settings_with(pack) as settings, prepared(settings) as environment:
            command = ["-m", "benchmarks.beside.pipeline", f"--measured={pack}"]
            command += [f"--rounds={options.rounds}", "--cases", *options.cases]
            done = subprocess.run(
                [sys.executable, "-W", "ignore", *command],
                cwd=PROJECT,
                env={
                    **environment,
                    "FACESVC_BENCH_MODELS": str(models.models_folder()),
                    "FACESVC_PEER_PEOPLE": environment["FACESVC_DATA"],  # nobody
                },
                stdout=subprocess.PIPE,
                preexec_fn=die_with_parent(signal.SIGTERM),
                check=True,
            )
        figures[pack] = json.loads(done.stdout)
        for case, figure in figures[pack].items():
            print(f"{pack}, {case}: {record.shown(figure)}", flush=True)
    return figures


def measure(pack: str, beginnings: Sequence[str], rounds: int) -> dict[str, Any]:
    figures = {}
    for case, images in pictures_of().items():
        if any(case.startswith(beginning) for beginning in beginnings):
            verb = case.partition(",")[0]
            ours, theirs = _ours(verb), _theirs(pack, verb)
            for work, side in ((ours, "facesvc"), (theirs, "the other side")):
                if (found := work(images[0])) != _faces(case):
                    raise RuntimeError(f"{pack}, {case}: {side} found {found} faces")
            figures[case] = record.ratio_of(*in_turns(ours, theirs, images, rounds))
    return figures


def _faces(case: str) -> int:
    return {"identify, six faces": 6, "identify, no face": 0, "verify, no face": 0}.get(case, 1)


def _ours(verb: str) -> Work:
    """What the verb does with a picture before it asks the database."""
    from uuid import UUID

    from recognition.packs import engine
    from recognition.verification import matching

    def verify(image: bytes) -> int:
        probe = matching.look(image, UUID(pictures.PORTRAYED), is_checked=False)
        return int(probe.template is not None)

    def identify(image: bytes) -> int:
        _, faces = engine.look(image, most=100)
        return len(faces)

    return verify if verb == "verify" else identify


def _theirs(pack: str, verb: str) -> Work:
    if pack == "dlib":
        from benchmarks.beside import dlib_peer

        return lambda image: len(dlib_peer.embeddings(image))
    from benchmarks.beside import peer

    return lambda image: len(peer.embeddings(image, most=int(verb == "verify")))


def in_turns(ours: Work, theirs: Work, images: Sequence[bytes], rounds: int) -> tuple[float, float]:
    """Median CPU milliseconds of both. Fewer rounds if they take long."""
    taken: tuple[list[float], list[float]] = ([], [])
    began = time.monotonic()
    for at in range(rounds):
        for work, times in zip((ours, theirs), taken, strict=True):
            start = time.process_time()
            work(images[at % len(images)])
            times.append(1000 * (time.process_time() - start))
        if at + 1 >= _LEAST_ROUNDS and time.monotonic() - began > _MOST_SECONDS:
            break
    return median(taken[0]), median(taken[1])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    sys.exit(main())
