"""LanceDB: a table on disk with indexes; the filter is SQL over indexed columns, applied first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import BTree, HnswSq, IvfPq

from benchmarks.search.peers.base import (
    EF_CONSTRUCTION,
    ROWS,
    Found,
    M,
    Peer,
    chunks,
    condition,
    folder_bytes,
)
from benchmarks.search.people import Allowed, Gallery
from benchmarks.templates import DIMENSIONS, Floats

_WAIT = timedelta(hours=2)


@dataclass(frozen=True)
class Knob:
    """Partitions to look into, and candidates for each row that is asked for; 0: no index."""

    partitions: int
    refine: int
    ef: int = 0


class Lance(Peer):
    knobs = (Knob(20, 5), Knob(50, 10), Knob(200, 20), Knob(1000, 50), Knob(0, 0))
    index: HnswSq | IvfPq

    def build(self, gallery: Gallery) -> None:
        self._table = None
        database = lancedb.connect(self._folder)
        for first, last in chunks(gallery):
            people = gallery.people[first:last]
            rows = _rows(
                np.arange(first, last), people, gallery.ranks[people], gallery.vectors[first:last]
            )
            if self._table is None:
                self._table = database.create_table("templates", rows)
            else:
                self._table.add(rows)
        self._table.optimize()
        for column, config in (("vector", self.index), ("person", BTree()), ("rank", BTree())):
            self._table.create_index(column, config=config, wait_timeout=_WAIT)

    def filter(self, allowed: Allowed) -> str:
        return condition(allowed, "person in ({})")

    def search(self, probe: Floats, within: str, knob: Knob) -> Found:
        query = self._table.search(probe, vector_column_name="vector").distance_type("dot")
        query = query.limit(ROWS).select(["id", "_distance"])
        if within:
            query = query.where(within, prefilter=True)
        if knob.partitions:
            query = query.nprobes(knob.partitions).refine_factor(knob.refine)
            query = query.ef(knob.ef) if knob.ef else query
        else:
            query = query.bypass_vector_index()
        found = query.to_arrow()
        return found["id"].to_numpy(), 1 - found["_distance"].to_numpy()

    def insert(self, row: int, vector: Floats) -> None:
        nobody = np.array([row])
        self._table.add(_rows(nobody, nobody, np.ones(1), vector[None].astype(np.float16)))

    def bytes(self) -> int:
        return folder_bytes(self._folder)

    def describe(self, knob: Knob) -> str:
        if not knob.partitions:
            return "exact"
        text = f"nprobes {knob.partitions}, refine {knob.refine}"
        return f"{text}, ef {knob.ef}" if knob.ef else text


class LancePq(Lance):
    name = "LanceDB IVF_PQ"
    index = IvfPq(distance_type="dot")


class LanceHnsw(Lance):
    name = "LanceDB HNSW_SQ"
    knobs = (Knob(20, 2, 100), Knob(20, 5, 200), Knob(50, 10, 400), Knob(200, 20, 800), Knob(0, 0))
    index = HnswSq(distance_type="dot", m=M, ef_construction=EF_CONSTRUCTION)


def _rows(ids: np.ndarray, people: np.ndarray, ranks: np.ndarray, vectors: np.ndarray) -> pa.Table:
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSIONS)
    return pa.table({"id": ids, "person": people, "rank": ranks, "vector": column})
