"""The other stores, by name. A package that is not installed leaves its stores out, and says so."""

from __future__ import annotations

from importlib import import_module, util

from benchmarks.search.peers.base import Peer

# Name of the store: the package it needs, the module here and the class in it.
_PEERS = {
    "faiss": ("faiss", "faiss_hnsw", "Faiss"),
    "hnswlib": ("hnswlib", "hnsw_lib", "Hnswlib"),
    "usearch": ("usearch", "usearch_index", "Usearch"),
    "lancedb-pq": ("lancedb", "lance", "LancePq"),
    "lancedb-hnsw": ("lancedb", "lance", "LanceHnsw"),
    "milvus-lite": ("milvus_lite", "milvus_lite", "MilvusLite"),
}
NAMES = tuple(_PEERS)


def missing(names: list[str]) -> list[str]:
    """Those whose package is not installed."""
    return [name for name in names if util.find_spec(_PEERS[name][0]) is None]


def load(name: str) -> type[Peer]:
    _, module, cls = _PEERS[name]
    found: type[Peer] = getattr(import_module(f"benchmarks.search.peers.{module}"), cls)
    return found
