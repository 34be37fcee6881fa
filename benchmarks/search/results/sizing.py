"""The figures of docs/sizing.md out of the JSON of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_MILLION = 1_000_000
# Smaller tables and indexes do not grow with the faces.
_LEAST_BYTES = 10
_TITLES = (
    "faces", "loading s", "HNSW s", "MB", "MB a million",
    "everybody: CPU ms", "p50 ms", "whole rule: CPU ms", "p50 ms", "friends: CPU ms", "p50 ms",
)  # fmt: skip
_CASES = ("public 1", "whole rule", "200 friends")


def tables(path: Path) -> str:
    """Markdown: what was measured, and the bytes of one face."""
    results = json.loads(path.read_text())
    rows = [_row(gallery) for gallery in results["galleries"]]
    largest = results["galleries"][-1]
    sizes = {
        name: size / largest["templates"]
        for name, size in largest["builds"]["facesvc"]["relations"].items()
    }
    bytes_a_face = [[name, round(size)] for name, size in sizes.items() if size >= _LEAST_BYTES]
    parts = [_table(_TITLES, rows), _table(("table or index", "bytes a face"), bytes_a_face)]
    if largest["templates"] < _MILLION:
        parts.append(f"`MB a million` is extrapolated: {largest['templates']:,} were measured.")
    return "\n\n".join(parts)


def _row(gallery: dict[str, Any]) -> list[Any]:
    build, faces = gallery["builds"]["facesvc"], gallery["templates"]
    measured = {
        row["case"]: (row["cpu_ms"], row["p50_ms"])
        for row in gallery["searches"]
        if (row["system"], row["cut"]) == ("facesvc", "default")
    }
    row = [f"{faces:,}", build["load_seconds"], build["build_seconds"] or "-"]
    row += [build["bytes"] // 10**6, build["bytes"] // faces]
    for case in _CASES:
        row += measured.get(case, ("-", "-"))
    return row


def _table(titles: tuple[str, ...], rows: list[list[Any]]) -> str:
    lines = [list(titles), ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
