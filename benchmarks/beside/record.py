"""The figures that docs/benchmarks.md shows, in recorded.json, and whether new ones are worse.

Only ratios are compared: milliseconds are those of one machine on one day.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

RECORDED = Path(__file__).with_name("recorded.json")
# How much worse a ratio may be. Requests a second depend on how the clients meet.
OF_CPU, OF_RATES = 1.25, 1.5


class Ratio(NamedTuple):
    """`is_cost`: less is better."""

    value: float
    is_cost: bool

    def is_worse_than(self, recorded: Ratio) -> bool:
        if self.is_cost:
            return self.value > recorded.value * OF_CPU
        return self.value < recorded.value / OF_RATES


def ratio_of(ours: float, theirs: float) -> dict[str, float]:
    """CPU milliseconds of both sides, and ours as a part of theirs."""
    figures = {"facesvc": round(ours, 2), "peer": round(theirs, 2)}
    return figures | {"ratio": round(ours / theirs, 3)}


def shown(figures: Mapping[str, float]) -> str:
    ours, theirs, ratio = (figures[key] for key in ("facesvc", "peer", "ratio"))
    return f"{ours:.1f} ms of CPU beside {theirs:.1f}, ratio {ratio}"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    parser.add_argument(
        "--record", action="store_true", help="keep the figures, and write docs/benchmarks.md"
    )


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options of the command line. Only a whole run is recorded: figures of different days
    would stand beside each other."""
    options = parser.parse_args()
    chosen = {
        name: value for name, value in vars(options).items() if name not in ("json", "record")
    }
    if options.record and any(value != parser.get_default(name) for name, value in chosen.items()):
        parser.error("--record keeps a whole run: leave out all other options but --json")
    return options


def finish(part: str, figures: Mapping[str, Any], options: argparse.Namespace) -> int:
    """What is done with the figures of a part; the exit code."""
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    if options.record:
        from benchmarks.beside import page

        whole = load() | {part: figures, "machine": machine()}
        RECORDED.write_text(json.dumps(whole, indent=1) + "\n")
        page.write()
    return 0


def load() -> dict[str, Any]:
    return json.loads(RECORDED.read_text()) if RECORDED.exists() else {}


def machine() -> str:
    """Such as "2 cores, AMD EPYC 7B13"."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return ", ".join([f"{os.cpu_count()} cores", *models[:1]])


def ratios(figures: Mapping[str, Any]) -> dict[str, Ratio]:
    """All ratios of what was measured, by name."""
    return dict(_ratios(figures))


def _ratios(figures: Mapping[str, Any]) -> Iterator[tuple[str, Ratio]]:
    service = figures.get("service", {})
    for case, each in service.get("cpu", {}).items():
        yield f"service, {case}", Ratio(each["ratio"], is_cost=True)
    for case, by_clients in service.get("load", {}).items():
        for clients, each in by_clients.items():
            if each["ratio"] is not None:
                name = f"service, {case}, requests a second with {clients} clients"
                yield name, Ratio(each["ratio"], is_cost=False)
    for pack, cases in figures.get("pipeline", {}).items():
        for case, each in cases.items():
            yield f"pipeline, {pack}, {case}", Ratio(each["ratio"], is_cost=True)


def worse(recorded: Mapping[str, Any], measured: Mapping[str, Any]) -> list[str]:
    """A line for each ratio that got worse. What only one of them has is not compared."""
    before = ratios(recorded)
    return [
        f"{name}: {ratio.value} now, {before[name].value} recorded"
        for name, ratio in ratios(measured).items()
        if name in before and ratio.is_worse_than(before[name])
    ]
