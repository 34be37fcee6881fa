"""What every store that is measured beside the product has to do."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.search.people import Allowed, Gallery
from benchmarks.templates import Floats, Numbers

# The graphs are built like the product's: see recognition.gallery.indexes.
M, EF_CONSTRUCTION = 32, 200
# A person has up to three templates, and ten people are shown.
ROWS = 30
THREADS = os.cpu_count() or 1
_CHUNK = 10_000  # templates

Found = tuple[Numbers, Floats]  # rows of the gallery and their cosines, best first


class Peer(ABC):
    """One store, empty at first; row numbers are those of the gallery."""

    name: ClassVar[str]
    # Settings that trade time for recall, cheapest first.
    knobs: ClassVar[tuple[Any, ...]]

    def __init__(self, folder: Path) -> None:
        self._folder = folder  # an empty one of its own

    @abstractmethod
    def build(self, gallery: Gallery) -> None:
        """Load everything and build the indexes, with as many threads as there are cores."""

    @abstractmethod
    def filter(self, allowed: Allowed) -> Any:
        """A filter for `search`; called for every search, so what can be kept is kept."""

    @abstractmethod
    def search(self, probe: Floats, within: Any, knob: Any) -> Found:
        """The nearest `ROWS` templates (or fewer) of those who may be found.

        In one thread where the store lets us say so.
        """

    @abstractmethod
    def insert(self, row: int, vector: Floats) -> None:
        """One more template, of a new person."""

    @abstractmethod
    def bytes(self) -> int:
        """Of the index, with the vectors if it has them in it."""

    def close(self) -> None:  # noqa: B027  most have nothing to close
        """Nothing may be called after this."""

    def describe(self, knob: Any) -> str:
        return f"ef {knob}"


def chunks(gallery: Gallery) -> list[tuple[int, int]]:
    size = len(gallery.people)
    return [(first, min(first + _CHUNK, size)) for first in range(0, size, _CHUNK)]


def singles(gallery: Gallery, first: int, last: int) -> Floats:
    return np.asarray(gallery.vectors[first:last], np.float32)


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def condition(allowed: Allowed, membership: str) -> str:
    """The filter of stores that have columns `rank` and `person`; empty for everybody."""
    if allowed.is_everybody:
        return ""
    parts = [f"rank < {allowed.share}"] if allowed.share else []
    if len(allowed.people):
        parts.append(membership.format(",".join(map(str, allowed.people.tolist()))))
    return " or ".join(parts)
