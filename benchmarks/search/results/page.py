"""The tables and the picture of docs/sizing.md that are made of recorded.json.

After a change of this text: `python -m benchmarks.search.results.page`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search.results import chart
from benchmarks.service import PROJECT

RECORDED = Path(__file__).with_name("recorded.json")
PAGE = PROJECT / "docs" / "sizing.md"
CHART = PROJECT / "docs" / "sizing" / "growth.svg"
_MARK = re.compile(r"(<!-- bench-search: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_CUTS = ("default", "no FPR cut")
_NONE = "–"
# Sizes that nobody measured, beyond those that were.
_BEYOND = (3_000_000, 10_000_000, 30_000_000)
# A search reads all of a gallery but these.
_NOT_READ = ("recognition_face", "face_", "recognition_user", "user_")
Row = dict[str, Any]
Figures = Mapping[str, Any]


def recorded_growth(results: Figures) -> list[Row]:
    """What is kept of a run with --million, of the smallest gallery first."""
    return [_recorded(gallery) for gallery in results["galleries"]]


def _recorded(gallery: Row) -> Row:
    build = gallery["builds"]["facesvc"]
    ratios = {(row["case"], row["cut"]): row["ratio_to_best"] for row in gallery["plans"]}
    kept = ("setting", "cpu_ms", "web_cpu_ms", "mates_found", "shown_found")
    return {
        **{name: gallery[name] for name in ("templates", "people", "strangers_that_match")},
        **{name: build[name] for name in ("load_seconds", "load_cpu_seconds", "bytes")},
        "read_bytes": sum(
            size for name, size in build["relations"].items() if not name.startswith(_NOT_READ)
        ),
        "searches": {
            cut: {
                row["case"]: {
                    **{name: row[name] for name in kept},
                    "ratio_to_best": ratios.get((row["case"], cut)),
                }
                for row in gallery["searches"]
                if row["cut"] == cut
            }
            for cut in _CUTS
        },
    }


def load() -> dict[str, Any]:
    return json.loads(RECORDED.read_text()) if RECORDED.exists() else {}


def record(part: str, figures: Any, machine: str) -> None:
    """Keep the figures of a part, and write page and picture again."""
    whole = load()
    whole |= {part: figures, "machines": whole.get("machines", {}) | {part: machine}}
    RECORDED.write_text(json.dumps(whole, indent=1) + "\n")
    write()


def fill(page: str, recorded: Figures) -> str:
    def block(mark: re.Match[str]) -> str:
        return f"{mark[1]}{_BLOCKS[mark[2]](recorded)}\n{mark[3]}"

    return _MARK.sub(block, page)


def picture(recorded: Figures) -> str:
    growth = recorded["growth"]
    cases = [case for case in growth[0]["searches"]["default"] if case in _LABELS]
    lines = [chart.Costs(_LABELS[case], _costs(growth, case, "cpu_ms")) for case in cases]
    web = _costs(growth, "whole rule", "web_cpu_ms")
    return chart.growth([*lines, chart.Costs("the whole rule: the web process", web)])


_LABELS = {
    "whole rule": "the whole rule: 30% public, 200 friends, a group",
    "30% public": "30% public",
    "200 friends": "200 friends",
    "2,000 friends": "2,000 friends",
    "everyone": "everyone, for an administrator",
}


def _costs(growth: Sequence[Row], case: str, figure: str) -> dict[int, float]:
    return {each["templates"]: each["searches"]["default"][case][figure] for each in growth}


# --- Blocks ---------------------------------------------------------------------------------------


def _run(recorded: Figures) -> str:
    before, last = recorded["growth"][-2:]
    added = last["templates"] - before["templates"]
    machine = recorded["machines"]["growth"]
    return (
        f"The machine: {machine}. The gallery: {last['templates']:,} faces of "
        f"{last['people']:,} people in the end. To load the last {added:,} took "
        f"{last['load_seconds']:.0f} s, {last['load_cpu_seconds']:.0f} s of them CPU of the "
        "database's backend."
    )


def _default(recorded: Figures) -> str:
    return _by_size(recorded, lambda one: f"{_short(one['cpu_ms'])} {one['setting'].upper()}")


def _loose(recorded: Figures) -> str:
    return _by_size(
        recorded,
        lambda one: f"{_short(one['cpu_ms'])} {one['setting'].upper()}",
        cut="no FPR cut",
    )


def _web(recorded: Figures) -> str:
    return _by_size(recorded, lambda one: _short(one["web_cpu_ms"]))


def _by_size(recorded: Figures, cell: Callable[[Row], str], *, cut: str = "default") -> str:
    growth = recorded["growth"]
    cases = growth[-1]["searches"][cut]
    found = [each["searches"][cut] for each in growth]
    rows = [[case, *(cell(one[case]) if case in one else _NONE for one in found)] for case in cases]
    return _table(["who may be found", *(f"{each['templates']:,}" for each in growth)], rows)


def _found(recorded: Figures) -> str:
    """The least share of all kinds of searches."""
    head = ["faces", "true matches", "all who should be shown", "the same, the cut off"]
    head += ["chosen plan by best", "strangers who get somebody"]
    return _table(head, [_found_row(each) for each in recorded["growth"]])


def _found_row(each: Row) -> list[str]:
    default, loose = (list(each["searches"][cut].values()) for cut in _CUTS)
    ratios = [one["ratio_to_best"] for one in default + loose]
    return [
        f"{each['templates']:,}",
        _least(default + loose, "mates_found"),
        _least(default, "shown_found"),
        _least(loose, "shown_found"),
        f"{max(ratio for ratio in ratios if ratio):.2f}",
        f"{100 * each['strangers_that_match']:.1f}%",
    ]


def _least(searches: Iterable[Row], figure: str) -> str:
    shares = [one[figure] for one in searches if one[figure] is not None]
    return f"{min(shares):.3f}" if shares else _NONE


def _machines(recorded: Figures) -> str:
    head = ["faces", "", "disk", "memory", "the whole rule", "a second", "everyone", "a second"]
    growth = recorded["growth"]
    sizes = [*(each["templates"] for each in growth), *_BEYOND]
    return _table(head, [_machine(growth, size) for size in sizes if size >= 100_000])


def _machine(growth: Sequence[Row], size: int) -> list[str]:
    last = growth[-1]
    times = size / last["templates"]
    costs = [_cost(growth, case, size) for case in ("whole rule", "everyone")]
    return [
        f"{size:,}",
        "extrapolated" if size > last["templates"] else "measured",
        _gigabytes(times * last["bytes"]),
        _gigabytes(times * last["read_bytes"]),
        *(cell for ms in costs for cell in (f"{_short(ms)} ms", _short(1000 / ms))),
    ]


def _cost(growth: Sequence[Row], case: str, size: int) -> float:
    """As measured, or on the line through the two largest galleries."""
    measured = _costs(growth, case, "cpu_ms")
    if size in measured:
        return measured[size]
    (less, low), (more, high) = sorted(measured.items())[-2:]
    return low + (high - low) * (size - less) / (more - less)


def _replica(recorded: Figures) -> str:
    rows = recorded["replica"]["searches"]
    head = ["who may be found", "`match_on`", "cut", "database", "web", "primary", "replica"]
    head += ["web", "same answers"]
    table = _table(head, [_replica_row(row) for row in rows])
    return f"The machine: {recorded['machines']['replica']}.\n\n{table}"


def _replica_row(row: Row) -> list[str]:
    one, replica = row["one"], row["replica"]
    costs = [one["primary"], one["web"], replica["primary"], replica["replica"], replica["web"]]
    return [
        row["case"],
        "user" if row["by_user"] else "face",
        "default" if row["cut"] else "off",
        *(_short(ms, 2) for ms in costs),
        f"{row['same']} of {row['searches']}",
    ]


_BLOCKS: dict[str, Callable[[Figures], str]] = {
    "run": _run,
    "default": _default,
    "loose": _loose,
    "web": _web,
    "found": _found,
    "machines": _machines,
    "replica": _replica,
}


# --- Cells ----------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _short(value: float, digits: int = 1) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.{digits}f}"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.0f} GB" if size >= 10**10 else f"{size / 1e9:.1f} GB"


def write() -> None:
    recorded = load()
    PAGE.write_text(fill(PAGE.read_text(), recorded))
    CHART.write_text(picture(recorded))


if __name__ == "__main__":
    write()
