"""faiss: an HNSW graph in memory; the filter is a bitmap of the rows."""

from __future__ import annotations

import faiss
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


class Faiss(Peer):
    name = "faiss HNSW"
    knobs = (64, 128, 256, 512, 1024, 2048)

    def build(self, gallery: Gallery) -> None:
        faiss.omp_set_num_threads(THREADS)
        self._index = faiss.IndexHNSWFlat(DIMENSIONS, M, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = EF_CONSTRUCTION
        for first, last in chunks(gallery):
            self._index.add(singles(gallery, first, last))
        faiss.omp_set_num_threads(1)
        self._bitmaps: dict[int, tuple[Allowed, np.ndarray]] = {}

    def filter(self, allowed: Allowed) -> faiss.IDSelector | None:
        if allowed.is_everybody:
            return None
        # As somebody would who searches for one viewer many times.
        if id(allowed) not in self._bitmaps:
            self._bitmaps[id(allowed)] = allowed, np.packbits(allowed.rows, bitorder="little")
        return faiss.IDSelectorBitmap(self._bitmaps[id(allowed)][1])

    def search(self, probe: Floats, within: faiss.IDSelector | None, knob: int) -> Found:
        parameters = faiss.SearchParametersHNSW(efSearch=knob, sel=within)
        cosines, rows = self._index.search(probe[None], ROWS, params=parameters)
        found = rows[0] >= 0
        return rows[0][found], cosines[0][found]

    def insert(self, row: int, vector: Floats) -> None:
        self._index.add(vector[None])

    def bytes(self) -> int:
        return int(faiss.serialize_index(self._index).nbytes)
