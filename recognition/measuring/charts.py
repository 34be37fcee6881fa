"""Error curves as SVG, which browsers show and for which nothing has to be installed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from recognition.inference.arrays import Floats
from recognition.measuring.evaluation import Curve

# Pixels, from the upper left corner.
_WIDTH, _HEIGHT = 1000, 700
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 960, 100, 620
_STYLE = """
text { font: 14px sans-serif; fill: #1e1e1e } .title { font-size: 20px } .note { fill: #777 }
.middle { text-anchor: middle } .end { text-anchor: end } .legend { fill: #c83c1e }
polyline { fill: none; stroke: #e1e1e1 } .frame { stroke: #1e1e1e } .few { fill: #f4f4f4 }
.level { stroke: #777; stroke-dasharray: 6 } .curve { stroke: #145aaa; stroke-width: 2 }
.bar { stroke: #c83c1e; stroke-width: 1.5 } circle { fill: #c83c1e }
"""


@dataclass(frozen=True)
class ChartPoint:
    """The false match rate that was measured at a threshold, and its interval."""

    fmr: float
    low: float
    high: float
    fnmr: float


@dataclass(frozen=True)
class Chart:
    title: str
    curve: Curve
    points: Sequence[ChartPoint]
    levels: dict[str, float]  # name of an operating point to its target FMR
    measured_from: float  # below this FMR there are too few errors for a measurement


@dataclass(frozen=True)
class Axis:
    """Values to pixels, along one side."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def at(self, value: float) -> float:
        """The place of a value; values beyond an end are put there."""
        low, value, high = (
            math.log10(v) if self.logarithmic else v
            for v in (self.low, min(max(value, self.low), self.high), self.high)
        )
        return round(self.start + (self.end - self.start) * (value - low) / (high - low), 1)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            decades = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)
            return [10.0**decade for decade in decades]
        return [self.low + (self.high - self.low) * step / 10 for step in range(11)]


def det(chart: Chart) -> str:
    """Detection error trade-off: false non-match rate over false match rate, both logarithmic."""
    least = float(chart.curve.fnmr[chart.curve.fnmr > 0].min(initial=0.1))
    y = Axis(10.0 ** math.floor(math.log10(least)), 1.0, _BOTTOM, _TOP, logarithmic=True)
    points = [point.fnmr for point in chart.points]
    return _svg(chart, y, chart.curve.fnmr, points, "False non-match rate")


def roc(chart: Chart) -> str:
    """Receiver operating characteristic: true accept rate over the logarithm of the FMR."""
    accepted = 1 - chart.curve.fnmr
    # The part with few errors would squeeze the rest of a good pack's curve into a line.
    least = float(accepted[chart.curve.fmr >= chart.measured_from].min(initial=1.0))
    y = Axis(min(0.9, math.floor(10 * least) / 10), 1.0, _BOTTOM, _TOP, logarithmic=False)
    return _svg(chart, y, accepted, [1 - point.fnmr for point in chart.points], "True accept rate")


def _svg(chart: Chart, y: Axis, rates: Floats, heights: Sequence[float], name: str) -> str:
    least = 10.0 ** math.floor(math.log10(chart.curve.fmr.min()))
    x = Axis(least, 1.0, _LEFT, _RIGHT, logarithmic=True)
    shown = [pair for pair in zip(chart.curve.fmr, rates, strict=True) if pair[1] >= y.low]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>',
        *_unmeasured(x, chart.measured_from),
        *_axes(x, y),
        text("title", _LEFT, 32, chart.title),
        text("", 20, _TOP - 22, name),
        text("middle", _WIDTH / 2, _HEIGHT - 20, "False match rate"),
        *_levels(x, chart.levels),
        line("curve", *((x.at(fmr), y.at(rate)) for fmr, rate in shown)),
        *_points(x, y, zip(chart.points, heights, strict=True)),
        text("legend end", _RIGHT, 60, "bars: 95% interval"),
        "</svg>",
    ]
    return "\n".join(parts)


def _unmeasured(x: Axis, measured_from: float) -> Iterable[str]:
    width = x.at(measured_from) - _LEFT
    yield (f'<rect class="few" x="{_LEFT}" y="{_TOP}" width="{width}" height="{_BOTTOM - _TOP}"/>')
    if width > 60:
        yield text("note", _LEFT + 6, _BOTTOM - 24, "too few errors")
        yield text("note", _LEFT + 6, _BOTTOM - 8, "to be measured")


def _axes(x: Axis, y: Axis) -> Iterable[str]:
    for tick in x.ticks():
        yield line("", (x.at(tick), _BOTTOM), (x.at(tick), _TOP))
        yield text("middle", x.at(tick), _BOTTOM + 24, f"{tick:g}")
    for tick in y.ticks():
        yield line("", (_LEFT, y.at(tick)), (_RIGHT, y.at(tick)))
        yield text("end", _LEFT - 10, y.at(tick) + 5, f"{tick:.3g}")
    yield line("frame", (_LEFT, _TOP), (_LEFT, _BOTTOM), (_RIGHT, _BOTTOM))


def _levels(x: Axis, levels: dict[str, float]) -> Iterable[str]:
    for name, fmr in levels.items():
        if fmr >= x.low:
            yield line("level", (x.at(fmr), _BOTTOM), (x.at(fmr), _TOP))
            yield text("note middle", x.at(fmr), _TOP - 8, name)


def _points(x: Axis, y: Axis, points: Iterable[tuple[ChartPoint, float]]) -> Iterable[str]:
    for point, height in points:
        if height >= y.low:
            yield line("bar", (x.at(point.low), y.at(height)), (x.at(point.high), y.at(height)))
            yield f'<circle cx="{x.at(point.fmr)}" cy="{y.at(height)}" r="4"/>'


def line(kind: str, *places: tuple[float, float]) -> str:
    return f'<polyline class="{kind}" points="{" ".join(f"{x},{y}" for x, y in places)}"/>'


def text(kind: str, x: float, y: float, words: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(words)}</text>'
