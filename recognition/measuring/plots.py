"""Error curves as pictures.

Drawn with OpenCV, which the service has anyway: two plain charts do not pay for a plotting library
with its ten dependencies in every installation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from recognition.inference.arrays import Floats, Image
from recognition.measuring.evaluation import Curve

# Drawn larger and then reduced, which smooths lines and letters alike.
_OVERSAMPLING = 2
_WIDTH, _HEIGHT = 1000, 700
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 40, 100, 80
# Blue, green, red.
_BLACK, _GREY, _PALE, _SHADE = (30, 30, 30), (120, 120, 120), (225, 225, 225), (244, 244, 244)
_CURVE, _POINT = (170, 90, 20), (30, 60, 200)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Point:
    """A threshold with the false match rate that was measured at it, and its interval."""

    fmr: float
    low: float
    high: float
    fnmr: float


@dataclass(frozen=True)
class Plot:
    title: str
    curve: Curve
    points: Sequence[Point]
    levels: dict[str, float]  # name of an operating point to its target FMR
    measured_from: float  # below this FMR the errors are too few to be called measured


@dataclass(frozen=True)
class _Axis:
    """Values to pixels of the finished picture, along one side."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def at(self, value: float) -> float:
        """Values beyond the ends are put there."""
        low, value, high = (
            math.log10(v) if self.logarithmic else v
            for v in (self.low, min(max(value, self.low), self.high), self.high)
        )
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            decades = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)
            return [10.0**decade for decade in decades]
        return [self.low + (self.high - self.low) * step / 10 for step in range(11)]

    def label(self, value: float) -> str:
        if not self.logarithmic:
            return f"{value:.3g}"
        return f"{value:g}" if value >= 0.01 else f"1e{math.log10(value):.0f}"


def draw_det(plot: Plot) -> Image:
    """Detection error trade-off: false non-match rate over false match rate, both logarithmic."""
    positive = plot.curve.fnmr[plot.curve.fnmr > 0]
    y = _vertical(10.0 ** math.floor(math.log10(positive.min(initial=0.1))), logarithmic=True)
    return _draw(plot, y, plot.curve.fnmr, [p.fnmr for p in plot.points], "False non-match rate")


def draw_roc(plot: Plot) -> Image:
    """Receiver operating characteristic: true accept rate over the logarithm of the FMR."""
    accepted = 1 - plot.curve.fnmr
    # What few errors stand behind would squeeze the rest of a good pack's curve into a line.
    least = accepted[plot.curve.fmr >= plot.measured_from].min(initial=1.0)
    y = _vertical(min(0.9, math.floor(10 * float(least)) / 10), logarithmic=False)
    return _draw(plot, y, accepted, [1 - p.fnmr for p in plot.points], "True accept rate")


def _vertical(low: float, *, logarithmic: bool) -> _Axis:
    return _Axis(low, 1.0, _HEIGHT - _BOTTOM, _TOP, logarithmic)


def _draw(plot: Plot, y: _Axis, rates: Floats, heights: Sequence[float], name: str) -> Image:
    least = 10.0 ** math.floor(math.log10(plot.curve.fmr.min()))
    x = _Axis(least, 1.0, _LEFT, _WIDTH - _RIGHT, logarithmic=True)
    canvas = _Canvas()
    canvas.shade(x.start, y.end, x.at(plot.measured_from), y.start)
    _draw_axes(canvas, x, y)
    canvas.text(plot.title, _LEFT, 32, size=20)
    canvas.text(name, 20, _TOP - 22, size=15)
    canvas.text("False match rate", _WIDTH / 2, _HEIGHT - 20, size=15, anchor=0.5)
    for level, fmr in plot.levels.items():
        if fmr >= least:
            canvas.line([(x.at(fmr), y.start), (x.at(fmr), y.end)], _GREY, dashed=True)
            canvas.text(level, x.at(fmr), _TOP - 8, size=14, colour=_GREY, anchor=0.5)
    if x.at(plot.measured_from) - x.start > 60:
        canvas.text("too few errors", x.start + 6, y.start - 24, size=12, colour=_GREY)
        canvas.text("to be measured", x.start + 6, y.start - 8, size=12, colour=_GREY)
    shown = [pair for pair in zip(plot.curve.fmr, rates, strict=True) if pair[1] >= y.low]
    canvas.line([(x.at(fmr), y.at(rate)) for fmr, rate in shown], _CURVE, width=2)
    for point, height in zip(plot.points, heights, strict=True):
        if height < y.low:
            continue
        bar = [(x.at(point.low), y.at(height)), (x.at(point.high), y.at(height))]
        canvas.line(bar, _POINT, width=1.5)
        canvas.dot(x.at(point.fmr), y.at(height), _POINT)
    canvas.text("bars: 95% interval", _WIDTH - _RIGHT, 60, size=13, colour=_POINT, anchor=1)
    return canvas.picture()


def _draw_axes(canvas: _Canvas, x: _Axis, y: _Axis) -> None:
    for tick in x.ticks():
        canvas.line([(x.at(tick), y.start), (x.at(tick), y.end)], _PALE)
        canvas.text(x.label(tick), x.at(tick), y.start + 24, size=14, anchor=0.5)
    for tick in y.ticks():
        canvas.line([(x.start, y.at(tick)), (x.end, y.at(tick))], _PALE)
        canvas.text(y.label(tick), x.start - 10, y.at(tick) + 5, size=14, anchor=1)
    frame = [(x.start, y.end), (x.start, y.start), (x.end, y.start)]
    canvas.line(frame, _BLACK, width=1.5)


class _Canvas:
    """A white picture; positions and sizes are in pixels of the finished one."""

    def __init__(self) -> None:
        size = (_HEIGHT * _OVERSAMPLING, _WIDTH * _OVERSAMPLING, 3)
        self._image = np.full(size, 255, np.uint8)

    def line(
        self,
        points: Sequence[tuple[float, float]],
        colour: tuple[int, int, int],
        *,
        width: float = 1,
        dashed: bool = False,
    ) -> None:
        pixels = np.round(np.array(points) * _OVERSAMPLING).astype(np.int32)
        pieces = [pixels]
        if dashed:
            count = max(2, int(np.abs(pixels[1] - pixels[0]).max()) // (6 * _OVERSAMPLING))
            steps = np.linspace(pixels[0], pixels[1], count).round().astype(np.int32)
            pieces = [steps[at : at + 2] for at in range(0, count - 1, 2)]
        thickness = round(width * _OVERSAMPLING)
        cv2.polylines(self._image, pieces, False, colour, thickness, cv2.LINE_AA)

    def dot(self, x: float, y: float, colour: tuple[int, int, int]) -> None:
        centre = (round(x * _OVERSAMPLING), round(y * _OVERSAMPLING))
        cv2.circle(self._image, centre, 4 * _OVERSAMPLING, colour, cv2.FILLED, cv2.LINE_AA)

    def shade(self, left: float, top: float, right: float, bottom: float) -> None:
        corners = [round(v * _OVERSAMPLING) for v in (left, top, right, bottom)]
        cv2.rectangle(self._image, corners[:2], corners[2:], _SHADE, cv2.FILLED)

    def text(
        self,
        text: str,
        x: float,
        y: float,
        *,
        size: float,
        colour: tuple[int, int, int] = _BLACK,
        anchor: float = 0,
    ) -> None:
        """On the base line `y`; `anchor` is the share of the text that is left of `x`."""
        # A scale of 1 is about 22 pixels from the base line to the top of a capital.
        scale = size * _OVERSAMPLING / 30
        width = cv2.getTextSize(text, _FONT, scale, _OVERSAMPLING)[0][0]
        corner = (round(x * _OVERSAMPLING - anchor * width), round(y * _OVERSAMPLING))
        cv2.putText(self._image, text, corner, _FONT, scale, colour, _OVERSAMPLING, cv2.LINE_AA)

    def picture(self) -> Image:
        size = (_WIDTH, _HEIGHT)
        return cv2.resize(self._image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
