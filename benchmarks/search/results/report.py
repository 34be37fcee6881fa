"""The measurements as tables, JSON and a picture."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil

Row = dict[str, Any]


def machine() -> Row:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
    }


def print_gallery(gallery: Row) -> None:
    print(f"\n{gallery['templates']:,} faces of {gallery['people']:,} people\n")
    _print_table(
        ("system", "build s", "MB"),
        (
            (name, build["build_seconds"], build["bytes"] / 1e6)
            for name, build in gallery["builds"].items()
        ),
    )
    columns = ("case", "cut", "system", "setting", "mates_found", "shown_found")
    columns += ("p50_ms", "p95_ms", "cpu_ms", "web_cpu_ms")
    rows = _together(_together(gallery["searches"], "cut"), "case")
    _print_table(columns, ([row.get(name) for name in columns] for row in rows))
    _print_table(
        ("case", "cut", "chosen", "plans (CPU ms, shown)", "ratio"),
        (
            (row["case"], row["cut"], row["chosen_cpu_ms"], _plans(row), row["ratio_to_best"])
            for row in gallery["plans"]
        ),
    )
    _print_table(
        ("searches a second", "system", "1 client", "2 clients", "8 clients"),
        (
            (row["case"], row["system"], *row["searches_a_second"].values())
            for row in _together(gallery["clients"], "case")
        ),
    )
    columns = ("system", "alone_a_second", "meanwhile_a_second", "search_p50_ms", "search_p95_ms")
    _print_table(
        ("insertions", *columns[1:]),
        ([row[name] for name in columns] for row in gallery["insertions"]),
    )
    print(f"strangers to whom anybody is shown: {gallery['strangers_that_match']:.2%}")
    for line in gallery["skipped"]:
        print(f"not measured: {line}")


def _together(rows: list[Row], column: str) -> list[Row]:
    """Those of equal values one after the other, in the order of their first appearance."""
    values = list(dict.fromkeys(row[column] for row in rows))
    return sorted(rows, key=lambda row: values.index(row[column]))


def _plans(row: Row) -> str:
    return ", ".join(
        f"{name} {_text(plan['cpu_ms'])} {_text(plan['shown_found'])}"
        for name, plan in row["plans"].items()
    )


def _print_table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    cells = [list(titles), *([_text(value) for value in row] for row in rows)]
    if len(cells) == 1:
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
    print()


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


def write_json(results: Row, path: Path) -> None:
    path.write_text(json.dumps(results, indent=1) + "\n")


def draw(results: Row, path: Path, *, cut: str = "default") -> None:
    """CPU a search over the share that may be found, one panel for each gallery."""
    from matplotlib.figure import Figure

    galleries = results["galleries"]
    figure = Figure(figsize=(6 * len(galleries), 5), layout="constrained")
    panels = figure.subplots(1, len(galleries), squeeze=False, sharey=True)[0]
    for panel, gallery in zip(panels, galleries, strict=True):
        for system in gallery["builds"]:
            rows = [
                row for row in gallery["searches"]
                if (row["system"], row["cut"]) == (system, cut) and row["case"].startswith("public")
            ]  # fmt: skip
            rows.sort(key=lambda row: row["allowed"])
            shares = [row["allowed"] / gallery["templates"] for row in rows]
            (line,) = panel.plot(shares, [row["cpu_ms"] for row in rows], label=system)
            for share, row in zip(shares, rows, strict=True):
                enough = row["shown_found"] is None or row["shown_found"] >= 0.99
                face = line.get_color() if enough else "white"
                panel.plot(share, row["cpu_ms"], "o", color=line.get_color(), markerfacecolor=face)
        panel.set(xscale="log", yscale="log", xlabel="share of the faces that may be found")
        panel.set_title(f"{gallery['templates']:,} faces (hollow: finds less than 0.99)")
        panel.grid(True, which="major", alpha=0.3)
    panels[0].set_ylabel("CPU a search, ms")
    panels[-1].legend()
    figure.savefig(path, dpi=120)
