"""Links to the years, months and days of a long list, made without reading the list."""

from calendar import monthrange
from datetime import date
from typing import Any

from django.db.models import Max, Min
from django.utils import timezone
from django.utils.dateformat import format as formatted
from django.utils.translation import gettext as _

from recognition.admin.kit import UncountedList

_PARTS = ("year", "month", "day")


class DatedList(UncountedList):
    """A list with links to dates. The column of `date_hierarchy` needs an index.

    Django asks which days have rows, and reads the whole table for it. Here the first and the last
    time are enough: a day between them may turn out to be empty.
    """

    @property
    def dates(self) -> list[dict[str, str]]:
        field = str(self.date_hierarchy)
        given = [self.params.get(f"{field}__{part}") for part in _PARTS]
        try:
            chosen = tuple(int(part) for part in given if part)
        except ValueError:
            return []
        ends = self.root_queryset.order_by().aggregate(first=Min(field), last=Max(field))
        if ends["first"] is None:
            return []
        first, last = (timezone.localtime(ends[end]).date() for end in ("first", "last"))
        return [
            {"title": title, "link": self._link(field, parts)}
            for title, parts in choices(first, last, *chosen)
        ]

    def _link(self, field: str, parts: tuple[int, ...]) -> str:
        values = {f"{field}__{name}": str(part) for name, part in zip(_PARTS, parts, strict=False)}
        return self.get_query_string(values, [f"{field}__"])


def choices(first: date, last: date, *chosen: int) -> list[tuple[str, tuple[int, ...]]]:
    """The text of each link, and the year, month and day that it leads to. The first leads up."""
    if not chosen:
        return [(str(year), (year,)) for year in range(last.year, first.year - 1, -1)]
    year, month = chosen[0], (*chosen, 0)[1]
    if not 1 <= month <= 12:
        return [(_("‹ All dates"), ()), *_months(first, last, year)]
    if len(chosen) == 3:
        return [(f"‹ {formatted(date(year, month, 1), 'F Y')}", (year, month))]
    return [(f"‹ {year}", (year,)), *_days(first, last, year, month)]


def _months(first: date, last: date, year: int) -> list[tuple[str, tuple[int, ...]]]:
    ends = (first.year, first.month), (last.year, last.month)
    return [
        (formatted(date(year, month, 1), "F"), (year, month))
        for month in range(1, 13)
        if ends[0] <= (year, month) <= ends[1]
    ]


def _days(first: date, last: date, year: int, month: int) -> list[Any]:
    days = (date(year, month, day + 1) for day in range(monthrange(year, month)[1]))
    return [
        (formatted(day, _("F j")), (year, month, day.day)) for day in days if first <= day <= last
    ]
