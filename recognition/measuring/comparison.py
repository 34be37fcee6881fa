"""A page that shows packs side by side, made of the files that `evaluate --json` wrote.

The page belongs to people: only what stands between two marks of one of the BLOCKS is replaced.
A file of a pack that cannot be measured has `published` instead: what its authors say of it.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from recognition.measuring.overlay import PackCurve, det
from recognition.measuring.pairs import ERRORS_NEEDED
from recognition.measuring.photos import PhotosError

Report = dict[str, Any]
_NONE = "–"
_FMRS = {"1e-3": "1e-3 (`basic`)", "1e-4": "1e-4 (`standard`)", "1e-5": "1e-5"}
_MARK = re.compile(r"(<!-- evaluate: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_KEYS = {"label", "pack", "licence", "download_bytes", "disk_bytes"}


def read_reports(paths: Sequence[Path]) -> list[Report]:
    """Raises PhotosError, OSError."""
    return [_read(path) for path in paths]


def _read(path: Path) -> Report:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PhotosError(f"{path} is no JSON file: {error}") from error
    if not isinstance(report, dict) or not set(report) >= _KEYS:
        raise PhotosError(f"{path} is no report of `evaluate --json`")
    return report


def fill(page: str, reports: Sequence[Report], chart: str) -> str:
    """The page with its blocks made again; `chart` is the picture's path. Raises PhotosError."""
    if not _MARK.search(page):
        raise PhotosError("the page has no marks: `<!-- evaluate: packs -->` and `<!-- end -->`")

    def block(mark: re.Match[str]) -> str:
        make = BLOCKS.get(mark[2])
        if make is None:
            raise PhotosError(f"the page asks for {mark[2]!r}: there are {', '.join(BLOCKS)}")
        return f"{mark[1]}\n{make(reports, chart)}\n\n{mark[3]}"

    return _MARK.sub(block, page)


def new_page() -> str:
    marks = "\n\n".join(f"<!-- evaluate: {name} -->\n<!-- end -->" for name in BLOCKS)
    return f"# Packs side by side\n\n{marks}\n"


def chart(reports: Sequence[Report]) -> str:
    """The error curves of all that are measured, as SVG."""
    return det(
        [
            PackCurve(
                report["label"],
                report["curve"]["fmr"],
                report["curve"]["fnmr"],
                ERRORS_NEEDED / report["non_mated_pairs"],
            )
            for report in _measured(reports)
        ]
    )


# --- Blocks ---------------------------------------------------------------------------------------


def _packs(reports: Sequence[Report], chart: str) -> str:
    head = ["pack", *_FMRS.values(), "found first", "CPU a photo", "download", "on disk", "licence"]
    return _table(head, [_pack(report) for report in reports])


def _pack(report: Report) -> list[str]:
    about = [_megabytes(report[key]) for key in ("download_bytes", "disk_bytes")]
    name = f"**{report['label']}**" if report.get("curve") else f"{report['label']}, not measured"
    return [name, *_figures(report), *about, report["licence"]]


def _figures(report: Report) -> list[str]:
    if "published" in report:
        return [_NONE] * (len(_FMRS) + 2)
    shares = [_share(report["tar_at_fmr"][fmr]) for fmr in _FMRS]
    speed = report["speed"]
    times = f"{speed['times_reference']:.2g}" if speed else _NONE
    return [*shares, _share(report["identification"]["rank1"]), times]


def _intervals(reports: Sequence[Report], chart: str) -> str:
    rows = []
    for report in _measured(reports):
        spans = (_between(report["tar_interval"][fmr]) for fmr in _FMRS)
        rows.append([report["label"], *spans, _share(report["accuracy"], 4)])
    return _table(["pack", *_FMRS.values(), "accuracy (LFW)"], rows)


def _thresholds(reports: Sequence[Report], chart: str) -> str:
    """What the service's own thresholds did on these people."""
    rows = []
    for report in _measured(reports):
        for name in ("basic", "standard"):
            level = report["operating_points"].get(name)
            if level:
                fmr, times = level["fmr"], 1 / level["target_fmr"]
                span = _times_between(fmr["low"] * times, fmr["high"] * times)
                accepted = _share(1 - level["fnmr"]["value"])
                rows.append(
                    [report["label"], f"`{name}`", f"{fmr['value'] * times:.2g} ({span})", accepted]
                )
    head = ["pack", "level", "false matches, as a multiple of what is promised", "accepted"]
    return _table(head, rows)


def _groups(reports: Sequence[Report], chart: str) -> str:
    """How many times as often as average strangers those of one group match."""
    measured = [report for report in _measured(reports) if report.get("groups")]
    names = dict.fromkeys(each["group"] for r in measured for each in r["groups"]["groups"])
    rows = []
    for name in names:
        found = [_group(report, name) for report in measured]
        some = next(each for each in found if each)
        about = f"{some['people']} ({some['fmr']['trials']:,} pairs)"
        rows.append([name, about, *map(_multiple, found, measured)])
    return _table(["people", "how many", *(report["label"] for report in measured)], rows)


def _group(report: Report, name: str) -> Report | None:
    return next((each for each in report["groups"]["groups"] if each["group"] == name), None)


def _multiple(group: Report | None, report: Report) -> str:
    if group is None:
        return _NONE
    rate, times = group["fmr"], 1 / float(report["groups"]["fmr"])
    span = _times_between(rate["low"] * times, rate["high"] * times)
    accepted = 1 - group["fnmr"]["value"] if group["fnmr"]["trials"] else None
    return f"{_short(rate['value'] * times)} times ({span}); {_share(accepted)} accepted"


def _speed(reports: Sequence[Report], chart: str) -> str:
    stages = {"detect": "find faces", "embed": "compare a face", "antispoofing": "anti-spoofing"}
    rows = [
        [report["label"], *(_milliseconds(report["speed"], stage) for stage in stages)]
        for report in _measured(reports)
        if report["speed"]
    ]
    return _table(["pack", *stages.values()], rows)


def _published(reports: Sequence[Report], chart: str) -> str:
    rows = [
        [report["label"], each["figure"], f"[{each['source']}]({each['address']})"]
        for report in reports
        for each in report.get("published", [])
    ]
    return _table(["pack", "published", "where"], rows)


def _picture(reports: Sequence[Report], chart: str) -> str:
    names = ", ".join(report["label"] for report in _measured(reports))
    return f"![How many true pairs {names} refuse at each false match rate]({chart})"


Block = Callable[[Sequence[Report], str], str]
BLOCKS: dict[str, Block] = {
    "packs": _packs,
    "det": _picture,
    "intervals": _intervals,
    "thresholds": _thresholds,
    "groups": _groups,
    "speed": _speed,
    "published": _published,
}


def _measured(reports: Sequence[Report]) -> list[Report]:
    return [report for report in reports if "published" not in report]


# --- Cells ----------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _share(value: float | None, digits: int = 3) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _between(interval: Sequence[float] | None) -> str:
    return _NONE if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _times_between(low: float, high: float) -> str:
    return f"{_short(low)} to {_short(high)}"


def _short(times: float) -> str:
    return f"{times:.0f}" if times >= 10 else f"{times:.2g}"


def _megabytes(size: int | None) -> str:
    if size is None:
        return _NONE
    return f"{size / 1e6:.0f} MB" if size else "none"


def _milliseconds(speed: Report, stage: str) -> str:
    spent = cast("dict[str, float]", speed["milliseconds"]).get(stage)
    return _NONE if spent is None else f"{spent:.0f} ms"
