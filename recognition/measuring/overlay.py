"""Error curves of several packs in one picture, for a page that is read on a phone, too."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recognition.measuring.charts import Axis, line, text

# Pixels, from the upper left corner. The picture is narrow, so that its words stay legible where
# it is shown at the width of a phone.
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 480, 56, 464, 52, 340
LEGEND, ROW = 404, 24
# The width on a page that has room. Without one a browser makes it as wide as the page.
_SHOWN = 640
# The false match rates that are of interest, and those that levels stand for.
_RAREST, _COMMONEST = 1e-5, 1e-1
_LEVELS = {"basic": 1e-3, "standard": 1e-4}
# Colours that the colour-blind can tell apart, after Okabe and Ito; dashes tell the lines apart
# where there are no colours.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#5b5b5b")
_ON_DARK = ("#56b4e9", "#ff8c42", "#2fd3a5", "#f0a6cf", "#f0e442", "#c0c0c0")
_DASHES = ("", "9 4", "3 3", "12 4 3 4", "1 4", "6 2")
_STYLE = """
text { font: 14px sans-serif; fill: #1e1e1e } .note { fill: #5b5b5b; font-size: 13px }
.middle { text-anchor: middle } .end { text-anchor: end } .paper { fill: #fff }
polyline { fill: none; stroke: #e1e1e1 } .frame { stroke: #1e1e1e }
.level { stroke: #8a8a8a; stroke-dasharray: 2 4 }
"""
_STYLE_ON_DARK = """
text { fill: #e8e8e8 } .note { fill: #b0b0b0 } .paper { fill: #161b22 }
polyline { stroke: #30363d } .frame { stroke: #e8e8e8 } .level { stroke: #8a8a8a }
"""


@dataclass(frozen=True)
class PackCurve:
    """A pack's false non-match rate (FNMR) at rising false match rates (FMR)."""

    label: str
    fmr: Sequence[float]
    fnmr: Sequence[float]
    measured_from: float  # below this FMR there are too few errors for a measurement


def det(lines: Sequence[PackCurve]) -> str:
    """Detection error trade-off of up to six packs as SVG, light or dark as the reader has it."""
    rates = [fnmr for each in lines for _, fnmr in _shown(each)] or [_COMMONEST]
    x = Axis(_RAREST, _COMMONEST, LEFT, RIGHT, logarithmic=True)
    ticks = _ticks(min(rates), max(rates))
    y = Axis(ticks[0], ticks[-1], BOTTOM, TOP, logarithmic=True)
    labels = [each.label for each in lines]
    return picture([*_axes(x, y, ticks), *_curves(x, y, lines)], labels)


def picture(parts: Iterable[str], labels: Sequence[str]) -> str:
    """The parts of a picture of up to six lines, above a legend; `curve packN` is line N."""
    height = LEGEND + ROW * len(labels)
    whole = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SHOWN}" viewBox="0 0 {WIDTH} {height}">',
        f"<style>{_STYLE}{_colours(_COLOURS)}",
        f"@media (prefers-color-scheme: dark) {{{_STYLE_ON_DARK}{_colours(_ON_DARK)}}}</style>",
        '<rect class="paper" width="100%" height="100%" rx="6"/>',
        *parts,
        *_legend(labels),
        "</svg>\n",
    ]
    return "\n".join(whole)


def _shown(each: PackCurve) -> list[tuple[float, float]]:
    """The part of a curve that is inside of the picture; no error at all has no logarithm."""
    points = zip(each.fmr, each.fnmr, strict=True)
    return [(fmr, fnmr) for fmr, fnmr in points if _RAREST <= fmr <= _COMMONEST and fnmr > 0]


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, from one below all rates to one above."""
    steps = [float(f"{step}e{decade}") for decade in range(-6, 1) for step in (1, 2, 5)]
    first = max((number for number, step in enumerate(steps) if step <= low), default=0)
    last = next(number for number, step in enumerate(steps) if step >= high and number > first)
    return steps[first : last + 1]


def _axes(x: Axis, y: Axis, ticks: Sequence[float]) -> Iterable[str]:
    yield text("", 10, 24, "True pairs that are refused")
    for tick in ticks:
        yield line("", (LEFT, y.at(tick)), (RIGHT, y.at(tick)))
        yield text("end", LEFT - 8, y.at(tick) + 5, f"{100 * tick:g}%")
    for tick in x.ticks():
        yield line("", (x.at(tick), BOTTOM), (x.at(tick), TOP))
        yield text("middle", x.at(tick), BOTTOM + 20, f"{round(1 / tick):,}")
    for name, fmr in _LEVELS.items():
        yield line("level", (x.at(fmr), BOTTOM), (x.at(fmr), TOP))
        yield text("note middle", x.at(fmr), TOP - 6, name)
    yield line("frame", (LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM))
    yield text("middle", (LEFT + RIGHT) / 2, BOTTOM + 42, "One pair of strangers in ... matches")


def _curves(x: Axis, y: Axis, lines: Sequence[PackCurve]) -> Iterable[str]:
    for number, each in enumerate(lines):
        measured = [point for point in _shown(each) if point[0] >= each.measured_from]
        few = [point for point in _shown(each) if point[0] < each.measured_from]
        for kind, points in (("few", [*few, *measured[:1]]), ("curve", measured)):
            places = [(x.at(fmr), y.at(fnmr)) for fmr, fnmr in points]
            yield line(f"{kind} pack{number}", *places)


def _legend(labels: Sequence[str]) -> Iterable[str]:
    for number, label in enumerate(labels):
        height = LEGEND + ROW * number
        yield line(f"curve pack{number}", (LEFT, height - 5), (LEFT + 44, height - 5))
        yield text("", LEFT + 54, height, label)


def _colours(colours: Sequence[str]) -> str:
    """The faint part of a line is of too few errors."""
    return ".curve { stroke-width: 2.5 } .few { stroke-width: 1.5; opacity: 0.5 }" + "".join(
        f".pack{number} {{ stroke: {colour}; stroke-dasharray: {dash or 'none'} }}"
        for number, (colour, dash) in enumerate(zip(colours, _DASHES, strict=True))
    )
