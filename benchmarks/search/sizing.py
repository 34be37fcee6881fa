"""The figures of docs/sizing.md out of the JSON of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_MILLION = 1_000_000


def tables(path: Path) -> str:
    """Markdown: what was measured, and the same for a million faces."""
    results = json.loads(path.read_text())
    lines = [
        "| faces | load s | index s | disk MB | p50 ms, everybody | p50 ms, whole rule "
        "| MB a million faces |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(gallery) for gallery in results["galleries"]]
    lines += ["", "| table or index | bytes a face |", "|---|---|"]
    largest = results["galleries"][-1]
    relations = largest["builds"]["facesvc"]["relations"]
    lines += [f"| {name} | {size / largest['templates']:.0f} |" for name, size in relations.items()]
    lines += ["", f"The last column is extrapolated where {_MILLION:,} faces were not measured."]
    return "\n".join(lines)


def _row(gallery: dict[str, Any]) -> str:
    build, faces = gallery["builds"]["facesvc"], gallery["templates"]
    times = {
        row["case"]: row["p50_ms"]
        for row in gallery["searches"]
        if (row["system"], row["cut"]) == ("facesvc", "default")
    }
    cells = [f"{faces:,}", build["load_seconds"], build["build_seconds"]]
    cells += [round(build["bytes"] / 1e6), times.get("public 1", "-")]
    cells += [times.get("whole rule", "-"), round(build["bytes"] / faces * _MILLION / 1e6)]
    return f"| {' | '.join(map(str, cells))} |"
