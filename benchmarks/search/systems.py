"""The product and the other stores behind one face, so that all of them are measured alike."""

from __future__ import annotations

import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from django.db import connection

from benchmarks.search import loading, product
from benchmarks.search.measure import Clock, Search, ended_children_clock, process_clock
from benchmarks.search.peers.base import Peer
from benchmarks.search.people import MIXED_SHARE, Allowed, Case, Gallery, cases
from benchmarks.search.reference import Cut
from benchmarks.templates import Floats
from recognition.gallery.scope import Scope
from recognition.packs.engine import Engine


class System(ABC):
    """Something with a gallery in it."""

    name: str
    # Ways to search that are measured against each other; the first that finds enough counts.
    knobs: tuple[Any, ...] = (None,)

    @abstractmethod
    def build(self, gallery: Gallery) -> dict[str, Any]:
        """Load a gallery; seconds and bytes for the report."""

    def enter(self, case: Case) -> None:  # noqa: B027  others have no privacy to change
        """Get ready for a kind of search."""

    @abstractmethod
    def searching(
        self, case: Case, allowed: Allowed, cut: Cut, probes: Floats, knob: Any
    ) -> Search:
        """A search as `measure` calls it. Other kinds of searches end with the next call."""

    @abstractmethod
    def insert(self, number: int, vector: Floats) -> None: ...

    @abstractmethod
    def clock(self) -> Clock:
        """Seconds of CPU that searches have cost."""

    def beside(self) -> Mapping[str, Clock]:
        """What else took part in a search, apart from `clock`."""
        return {}

    def workers_clock(self) -> Clock:
        return lambda: 0.0

    def describe(self, knob: Any) -> str:
        return ""

    def leave_thread(self) -> None:  # noqa: B027  others have no connections
        """Called at the end of every client."""


class Product(System):
    name = "facesvc"

    def __init__(self, active: Engine) -> None:
        self._active = active

    def build(self, gallery: Gallery) -> dict[str, Any]:
        loading.empty()
        product.prepare(self._active)
        self._loaded = loading.LoadedGallery(self._active.template_version)
        started = time.perf_counter()
        self._loaded.load(gallery, share=1.0)
        loaded = time.perf_counter()
        product.build_index(self._active)
        built = time.perf_counter()
        sizes = loading.sizes()
        # Of those who are not public any more no gaps may stay: few public people have few pages.
        self._loaded.make_public(cases()[0].share)
        loading.compact()
        return {
            "load_seconds": round(loaded - started, 2),
            "build_seconds": round(built - loaded, 2),
            "bytes": sum(sizes.values()),
            "relations": sizes,
        }

    def enter(self, case: Case) -> None:
        self._loaded.make_public(case.share)

    def scope(self, case: Case) -> Scope:
        return self._loaded.scope(case)

    def searched(self, case: Case) -> int:
        return product.visible(self._active, self.scope(case))

    def searching(
        self, case: Case, allowed: Allowed, cut: Cut, probes: Floats, knob: str | None
    ) -> Search:
        scope = self.scope(case)
        self._plan = knob or product.chosen_plan(self._active, scope, cut, probes[0])
        search = product.search(self._active, scope, cut, knob)
        return lambda number: self._loaded.people(search(probes[number]))

    def describe(self, knob: str | None) -> str:
        return self._plan

    def possible_plans(self, case: Case, cut: Cut, probe: Floats) -> list[str]:
        return product.possible_plans(self._active, self.scope(case), cut, probe)

    def insert(self, number: int, vector: Floats) -> None:
        self._loaded.enrol(vector)

    def clock(self) -> Clock:
        return process_clock(loading.backend_pid())

    def beside(self) -> Mapping[str, Clock]:
        """A web process does in one thread what this thread does."""
        return {"web": time.thread_time}

    def workers_clock(self) -> Clock:
        """Parallel workers are children of the server's first process, as the backend is."""
        return ended_children_clock(psutil.Process(loading.backend_pid()).ppid())

    def leave_thread(self) -> None:
        connection.close()


class GrowingProduct(Product):
    """The product with a gallery to which more is added again and again."""

    def __init__(self, active: Engine, *, hnsw: bool) -> None:
        super().__init__(active)
        self._hnsw = hnsw
        loading.empty()
        self._loaded = loading.LoadedGallery(active.template_version)

    def build(self, gallery: Gallery) -> dict[str, Any]:
        product.prepare(self._active)
        clock = self.clock()
        started, busy = time.perf_counter(), clock()
        self._share = MIXED_SHARE
        self._loaded.load(gallery, share=self._share)
        loaded, spent = time.perf_counter(), clock() - busy
        if self._hnsw:
            product.build_index(self._active)
        sizes = loading.sizes()
        return {
            "load_seconds": round(loaded - started, 2),
            "load_cpu_seconds": round(spent, 2),
            "build_seconds": round(time.perf_counter() - loaded, 2) if self._hnsw else None,
            "bytes": sum(sizes.values()),
            "relations": sizes,
        }

    def enter(self, case: Case) -> None:
        if case.share != self._share:
            self._share = case.share
            super().enter(case)


class Other(System):
    """Another store, in this process."""

    def __init__(self, peer: type[Peer]) -> None:
        self._type = peer
        self.name, self.knobs = peer.name, peer.knobs

    def build(self, gallery: Gallery) -> dict[str, Any]:
        self._gallery = gallery
        self._folder = Path(tempfile.mkdtemp(prefix="facesvc-bench-peer-"))
        self._peer = self._type(self._folder)
        started = time.perf_counter()
        self._peer.build(gallery)
        seconds = round(time.perf_counter() - started, 2)
        return {"build_seconds": seconds, "bytes": self._peer.bytes()}

    def searching(
        self, case: Case, allowed: Allowed, cut: Cut, probes: Floats, knob: Any
    ) -> Search:
        people, size = self._gallery.people, len(self._gallery.people)

        def search(number: int) -> list[int]:
            rows, cosines = self._peer.search(probes[number], self._peer.filter(allowed), knob)
            # Best face first; what was inserted meanwhile is nobody of the gallery.
            good = rows[(rows < size) & (cosines >= cut.cosine)]
            return list(dict.fromkeys(people[good].tolist()))[: cut.limit]

        return search

    def insert(self, number: int, vector: Floats) -> None:
        self._peer.insert(len(self._gallery.people) + number, vector)

    def clock(self) -> Clock:
        return time.process_time  # of all threads: some stores have their own

    def describe(self, knob: Any) -> str:
        return self._peer.describe(knob)

    def close(self) -> None:
        self._peer.close()
        del self._peer
        shutil.rmtree(self._folder)


@contextmanager
def built(system: System, gallery: Gallery) -> Iterator[dict[str, Any]]:
    """The system with the gallery in it: seconds and bytes of building."""
    try:
        yield system.build(gallery)
    finally:
        if isinstance(system, Other) and hasattr(system, "_folder"):
            system.close()
