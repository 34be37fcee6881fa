"""usearch: an HNSW graph in memory. Its Python package cannot filter: more is asked for, and what
may not be found is left out afterwards."""

from __future__ import annotations

import numpy as np
from usearch.index import Index

from benchmarks.search.peers.base import (
    EF_CONSTRUCTION,
    ROWS,
    THREADS,
    Found,
    M,
    Peer,
    chunks,
    singles,
)
from benchmarks.search.people import Allowed, Gallery
from benchmarks.templates import DIMENSIONS, Floats


class Usearch(Peer):
    name = "usearch"
    # How far the graph is explored, and how many rows are asked for before the filter.
    knobs = ((64, 30), (128, 100), (256, 200), (512, 500), (1024, 1000), (4096, 4000))

    def build(self, gallery: Gallery) -> None:
        self._index = Index(
            ndim=DIMENSIONS, metric="ip", dtype="f16", connectivity=M, expansion_add=EF_CONSTRUCTION
        )
        for first, last in chunks(gallery):
            rows = np.arange(first, last)
            self._index.add(rows, singles(gallery, first, last), threads=THREADS)

    def filter(self, allowed: Allowed) -> Allowed:
        return allowed

    def search(self, probe: Floats, within: Allowed, knob: tuple[int, int]) -> Found:
        self._index.expansion_search, rows = knob
        matches = self._index.search(probe, rows, threads=1)
        found = matches.keys.astype(np.int64)
        # Those inserted later are nobody whom a search asks for.
        known = found < len(within.rows)
        found, cosines = found[known], 1 - matches.distances[known]
        passing = within.rows[found]
        return found[passing][:ROWS], cosines[passing][:ROWS]

    def insert(self, row: int, vector: Floats) -> None:
        self._index.add(row, vector, threads=1)

    def bytes(self) -> int:
        return int(self._index.serialized_length)

    def describe(self, knob: tuple[int, int]) -> str:
        return f"expansion {knob[0]}, {knob[1]} rows"
