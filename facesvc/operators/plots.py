"""The geometry of bars for each day; templates/operators/plot.html draws it as inline SVG.

No script and no style attribute: the content security policy allows neither. Colours are classes of
operators.css, which knows light and dark.
"""

from dataclasses import dataclass
from datetime import date
from math import ceil, log10

from django.utils.translation import gettext as _

# Units of the drawing, which scales with the page.
WIDTH, HEIGHT = 300, 80
_SHARE = 0.76  # share of a day's width that its bar takes
# A count of one must not vanish beside a thousand.
_LEAST = 1.5


@dataclass(frozen=True)
class Series:
    name: str
    counts: list[int]  # one for each day

    @property
    def today(self) -> int:
        return self.counts[-1]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class Bar:
    """The part of a day's bar for one series, whose number counts from 1."""

    number: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Day:
    day: date
    counts: list[int]
    words: str
    bars: list[Bar]
    x: float  # the day's whole width, over which a pointer shows the words


@dataclass(frozen=True)
class DailyPlot:
    title: str
    series: list[Series]
    days: list[Day]
    top: int  # the count at the upper edge
    day_width: float
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def today(self) -> int:
        return sum(each.today for each in self.series)

    @property
    def total(self) -> int:
        return sum(each.total for each in self.series)

    @property
    def words(self) -> str:
        busiest = max(self.days, key=lambda day: sum(day.counts))
        if not self.total:
            return _("None in {days} days.").format(days=len(self.days))
        said = _(
            "{total:,} in {days} days, {today:,} today. The most in a day: {most:,} on "
            "{day:%Y-%m-%d}."
        )
        return said.format(
            total=self.total,
            days=len(self.days),
            today=self.today,
            most=sum(busiest.counts),
            day=busiest.day,
        )


def plot(title: str, days: list[date], series: list[Series]) -> DailyPlot:
    """Stacked bars, the first series at the bottom."""
    sums = [sum(each.counts[at] for each in series) for at in range(len(days))]
    top = _round_up(max(sums))
    width = WIDTH / len(days)
    drawn = [
        _day(day, [each.counts[at] for each in series], series, at * width, width, top)
        for at, day in enumerate(days)
    ]
    return DailyPlot(title, series, drawn, top, round(width, 2))


def _day(
    day: date, counts: list[int], series: list[Series], x: float, width: float, top: int
) -> Day:
    bars, y = [], float(HEIGHT)
    for number, count in enumerate(counts, 1):
        if count:
            height = max(_LEAST, count / top * HEIGHT)
            y -= height
            at = round(x + width * (1 - _SHARE) / 2, 2)
            bars.append(Bar(number, at, round(y, 2), round(width * _SHARE, 2), round(height, 2)))
    named = [f"{count:,} {each.name}" for each, count in zip(series, counts, strict=True) if count]
    return Day(day, counts, f"{day:%Y-%m-%d}: {', '.join(named) or _('none')}", bars, round(x, 2))


def _round_up(count: int) -> int:
    """The count rounded up to a small multiple of a power of ten."""
    if count <= 1:
        return 1
    power: int = 10 ** int(log10(count))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step >= ceil(count / power))
