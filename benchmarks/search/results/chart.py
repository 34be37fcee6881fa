"""What a search costs as its gallery grows, as SVG: light or dark, legible on a phone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recognition.measuring.charts import Axis, line, text
from recognition.measuring.overlay import BOTTOM, LEFT, RIGHT, TOP, picture


@dataclass(frozen=True)
class Costs:
    """Milliseconds of CPU by the number of faces."""

    label: str
    by_faces: dict[int, float]

    def in_order(self) -> list[tuple[int, float]]:
        return sorted(self.by_faces.items())


def growth(lines: Sequence[Costs]) -> str:
    """Up to six lines. Both axes are logarithmic."""
    faces = [size for each in lines for size in each.by_faces]
    costs = [cost for each in lines for cost in each.by_faces.values()]
    x = Axis(min(faces), max(faces), LEFT, RIGHT, logarithmic=True)
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    y = Axis(10.0**low, 10.0**high, BOTTOM, TOP, logarithmic=True)
    curves = (
        line(f"curve pack{number}", *((x.at(size), y.at(ms)) for size, ms in each.in_order()))
        for number, each in enumerate(lines)
    )
    return picture([*_axes(x, y, sorted(set(faces))), *curves], [each.label for each in lines])


def _axes(x: Axis, y: Axis, sizes: Sequence[int]) -> Iterable[str]:
    yield text("", 10, 24, "CPU milliseconds of a search")
    for tick in y.ticks():
        yield line("", (LEFT, y.at(tick)), (RIGHT, y.at(tick)))
        yield text("end", LEFT - 8, y.at(tick) + 5, f"{tick:g}")
    for size in sizes:
        yield line("", (x.at(size), BOTTOM), (x.at(size), TOP))
        kind = "end" if size == sizes[-1] else "middle"  # a long number would leave the picture
        yield text(kind, x.at(size), BOTTOM + 20, _short(size))
    yield line("frame", (LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM))
    yield text("middle", (LEFT + RIGHT) / 2, BOTTOM + 42, "Faces in the gallery")


def _short(size: int) -> str:
    return f"{size // 10**6} million" if size >= 10**6 else f"{size:,}"
