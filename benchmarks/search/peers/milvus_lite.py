"""Milvus Lite: Milvus' interface on a local file; the filter is an expression."""

from __future__ import annotations

import logging

import numpy as np
from milvus_lite.server_manager import server_manager_instance
from pymilvus import DataType, MilvusClient

from benchmarks.search.peers.base import (
    EF_CONSTRUCTION,
    ROWS,
    Found,
    M,
    Peer,
    chunks,
    condition,
    folder_bytes,
    singles,
)
from benchmarks.search.people import Allowed, Gallery
from benchmarks.templates import DIMENSIONS, Floats

_NAME = "templates"
_STEP = 1000  # rows of one message, which has a limit


class MilvusLite(Peer):
    name = "milvus-lite"
    knobs = (64, 128, 256, 512, 1024)

    def build(self, gallery: Gallery) -> None:
        # The client asks for timestamps, which Milvus Lite does not have; both go on without.
        logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
        self._file = str(self._folder / "milvus.db")
        self._client = MilvusClient(self._file)
        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("person", DataType.INT64)
        schema.add_field("rank", DataType.DOUBLE)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSIONS)
        self._client.create_collection(_NAME, schema=schema)
        for first, last in chunks(gallery):
            for start in range(first, last, _STEP):
                self._add(gallery, start, min(start + _STEP, last))
        self._client.flush(_NAME)
        index = self._client.prepare_index_params()
        options = {"M": M, "efConstruction": EF_CONSTRUCTION}
        index.add_index("vector", index_type="HNSW", metric_type="IP", params=options)
        index.add_index("person", index_type="INVERTED")
        index.add_index("rank", index_type="INVERTED")
        self._client.create_index(_NAME, index)
        self._client.load_collection(_NAME)

    def _add(self, gallery: Gallery, first: int, last: int) -> None:
        people = gallery.people[first:last]
        vectors, ranks = singles(gallery, first, last), gallery.ranks[people]
        rows = zip(range(first, last), people.tolist(), ranks.tolist(), vectors, strict=True)
        self._client.insert(
            _NAME, [dict(zip(("id", "person", "rank", "vector"), row, strict=True)) for row in rows]
        )

    def filter(self, allowed: Allowed) -> str:
        return condition(allowed, "person in [{}]")

    def search(self, probe: Floats, within: str, knob: int) -> Found:
        parameters = {"metric_type": "IP", "params": {"ef": knob}}
        (hits,) = self._client.search(
            _NAME, [probe], filter=within, limit=ROWS, search_params=parameters
        )
        rows = np.array([hit["id"] for hit in hits], np.int64)
        return rows, np.array([hit["distance"] for hit in hits], np.float32)

    def insert(self, row: int, vector: Floats) -> None:
        self._client.insert(_NAME, [{"id": row, "person": row, "rank": 1.0, "vector": vector}])

    def bytes(self) -> int:
        return folder_bytes(self._folder)

    def close(self) -> None:
        self._client.close()
        # Or it would go on, and write, until the process ends.
        server_manager_instance.release_server(self._file)
