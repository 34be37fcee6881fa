"""hnswlib: an HNSW graph in memory; the filter is a function that is asked about each row."""

from __future__ import annotations

from collections.abc import Callable

import hnswlib
import numpy as np

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

Filter = Callable[[int], bool] | None


class Hnswlib(Peer):
    name = "hnswlib"
    knobs = (64, 128, 256, 512, 1024)

    def build(self, gallery: Gallery) -> None:
        size = len(gallery.people)
        self._index = hnswlib.Index("ip", DIMENSIONS)
        self._index.init_index(size, M=M, ef_construction=EF_CONSTRUCTION)
        for first, last in chunks(gallery):
            rows = np.arange(first, last)
            self._index.add_items(singles(gallery, first, last), rows, num_threads=THREADS)
        self._lists: dict[int, tuple[Allowed, list[bool]]] = {}

    def filter(self, allowed: Allowed) -> Filter:
        if allowed.is_everybody:
            return None
        if id(allowed) not in self._lists:
            # A list is quicker to ask than an array.
            self._lists[id(allowed)] = allowed, allowed.rows.tolist()
        return self._lists[id(allowed)][1].__getitem__

    def search(self, probe: Floats, within: Filter, knob: int) -> Found:
        self._index.set_ef(knob)
        for rows in (ROWS, 10, 3, 1):
            try:
                found, distances = self._index.knn_query(
                    probe[None], rows, num_threads=1, filter=within
                )
            except RuntimeError:
                # It has met fewer that pass the filter, and says nothing at all then.
                continue
            return found[0].astype(np.int64), 1 - distances[0]
        return np.empty(0, np.int64), np.empty(0, np.float32)

    def insert(self, row: int, vector: Floats) -> None:
        if row >= self._index.get_max_elements():
            self._index.resize_index(row + 10_000)
        self._index.add_items(vector[None], [row], num_threads=1)

    def bytes(self) -> int:
        return int(self._index.index_file_size())
