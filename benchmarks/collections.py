"""What a search and an enrolment in a small collection cost beside many others, and alone.

    python -m benchmarks.collections [--small 50 --faces 10000 --large 300000]

Two services of their own are compared: one has a small collection alone, the other one all of them.
They are asked in turns, for the same searches; the ratio is one of the CPU of PostgreSQL's process,
of medians. "The same" asks one small collection again and again, "another" a different one each
time. At the end the large collection is erased, while searches go on in a small one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from multiprocessing import get_context
from threading import Thread
from typing import Any

import numpy as np

from benchmarks.search.people import MIXED_SHARE, Case, Gallery
from benchmarks.search.server import own_database

_PUBLIC, _FRIENDS = frozenset(("public",)), frozenset(("friends",))
CASES = (
    Case("whole rule", MIXED_SHARE, _PUBLIC | _FRIENDS | {"club"}, 200),
    Case("30% public", MIXED_SHARE, _PUBLIC),
    Case("200 friends", MIXED_SHARE, _FRIENDS, 200),
    Case("everybody", MIXED_SHARE, frozenset(), everyone=True),
)
_PROBES = 60
_WARM = 5
_PLANNED = 6
_ERASING_SECONDS = 10.0


class Service:
    """Runs in a process of its own, and does what the parent asks for."""

    def __init__(self, small: int, faces: int, large: int) -> None:
        # After the settings are there.
        from benchmarks.search import loading, measure, product
        from recognition.collections.current import DEFAULT, enter

        enter(DEFAULT)
        self._product = product
        self._active = product.open_engine()
        drawn = Gallery.draw(max(large, faces), seed=1, **product.drawn_like(self._active.pack))
        gallery = drawn.first(faces)
        self._loaded: dict[str, Any] = {}
        self._entered: dict[str, Any] = {}
        for number in range(small):
            self._load(f"small-{number}", gallery)
        if large:
            self._load("large", drawn)
        self._probes = {
            case.name: gallery.probes(gallery.allowed(case), _PROBES)[0] for case in CASES
        }
        self._new = gallery.newcomers(small * _PROBES)
        self._clock = measure.process_clock(loading.backend_pid())

    def _load(self, name: str, gallery: Gallery) -> None:
        from benchmarks.search.loading import LoadedGallery
        from recognition.collections import schemas
        from recognition.collections.current import entered
        from recognition.collections.models import Collection

        self._entered[name] = Collection.objects.create(name=name).entered
        schemas.make(self._entered[name])
        with entered(self._entered[name]):
            self._product.prepare(self._active)
            self._loaded[name] = LoadedGallery(self._active.template_version)
            self._loaded[name].load(gallery, MIXED_SHARE)

    def _spent(self, name: str, work: Callable[[], object]) -> float:
        from recognition.collections.current import entered

        with entered(self._entered[name]):
            before = self._clock()
            work()
            return (self._clock() - before) * 1000

    def search(self, name: str, case: Case, probe: int) -> float:
        """Milliseconds of CPU."""
        scope = self._loaded[name].scope(case)
        cut = self._product.cuts(self._active, 10_000)[0]
        search = self._product.search(self._active, scope, cut)
        return self._spent(name, lambda: search(self._probes[case.name][probe]))

    def enrol(self, name: str, number: int) -> float:
        return self._spent(name, lambda: self._loaded[name].enrol(self._new[number]))

    def beside_erasing(self, name: str) -> dict[str, float]:
        """Milliseconds on the clock: searches before, and while the large one goes."""
        from django.db import connection

        from recognition.collections import schemas

        def erase() -> None:
            schemas.drop(self._entered["large"])
            connection.close()

        waits: dict[str, list[float]] = {"before": [], "beside": []}
        eraser = Thread(target=erase)
        for part, seconds in (("before", _ERASING_SECONDS), ("beside", 0.0)):
            end, started = time.monotonic() + seconds, time.monotonic()
            if part == "beside":
                eraser.start()
            while time.monotonic() < end or (part == "beside" and eraser.is_alive()):
                began = time.perf_counter()
                self.search(name, CASES[0], len(waits[part]) % _PROBES)
                waits[part].append((time.perf_counter() - began) * 1000)
        eraser.join()
        taken = {
            f"{part} {q}%": float(np.percentile(w, q))
            for part, w in waits.items()
            for q in (50, 99)
        }
        return {**taken, "seconds": time.monotonic() - started}


def serve(pipe: Any, small: int, faces: int, large: int) -> None:
    with own_database():
        service = Service(small, faces, large)
        pipe.send("ready")
        while order := pipe.recv():
            name, *arguments = order
            pipe.send(getattr(service, name)(*arguments))


class Asked:
    """A service as its parent sees it."""

    def __init__(self, small: int, faces: int, large: int) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, small, faces, large))
        self._process.start()
        self._pipe.recv()

    def __call__(self, *order: Any) -> Any:
        self._pipe.send(order)
        return self._pipe.recv()

    def end(self) -> None:
        self._pipe.send(None)
        self._process.join()


def compare(alone: Asked, many: Asked, small: int) -> None:
    def in_turns(what: str, ask: Callable[[Asked, str, int], float]) -> None:
        # In each collection, a connection plans a statement for the first few times.
        first, *_ = (
            [ask(many, f"small-{number}", probe) for number in range(1, small)]
            for probe in range(_PLANNED)
        )
        spent: dict[str, list[float]] = {"alone": [], "the same": [], "another": []}
        for number in range(_WARM + _PROBES):
            probe = number % _PROBES
            spent["alone"].append(ask(alone, "small-0", probe))
            spent["the same"].append(ask(many, "small-0", probe))
            spent["another"].append(ask(many, f"small-{1 + number % (small - 1)}", probe))
            # The one asked next is again small-0: asked twice, it has its plans.
            ask(many, "small-0", probe)
        of = {side: float(np.median(values[_WARM:])) for side, values in spent.items()}
        ratios = ", ".join(
            f"{side} {of[side] / of['alone']:.2f}" for side in ("the same", "another")
        )
        once = float(np.median(first)) / of["alone"]
        print(
            f"{what:<12} alone {of['alone']:.2f} ms; {ratios}, for the first time {once:.2f}",
            flush=True,
        )

    for case in CASES:
        in_turns(
            case.name, lambda service, name, probe, case=case: service("search", name, case, probe)
        )
    in_turns("enrolment", lambda service, name, probe: service("enrol", name, probe))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=50, help="small collections")
    parser.add_argument("--faces", type=int, default=10_000, help="faces of each")
    parser.add_argument("--large", type=int, default=300_000, help="faces of the large one")
    options = parser.parse_args()
    alone = Asked(1, options.faces, 0)
    many = Asked(options.small, options.faces, options.large)
    compare(alone, many, options.small)
    for name, value in many("beside_erasing", "small-0").items():
        print(f"erasing the large one: {name} {value:.1f}")
    alone.end()
    many.end()


if __name__ == "__main__":
    main()
