"""Filters of lists, with choices that are known before the table is read."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.text import capfirst

from recognition.admin.kit import spaced


def later(make: Callable[..., str], *values: Any) -> Any:
    """A text that is made whenever it is shown, in the language of that page."""
    return lazy(make, str)(*values)


def choices(
    words: Any, name: str, known: Mapping[str, tuple[Any, Q]]
) -> type[admin.SimpleListFilter]:
    """A filter with known choices: their words, and which rows they show.

    Django's own filter by a column reads the whole table for the values that there are.
    """

    class Filter(admin.SimpleListFilter):
        title, parameter_name = words, name

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(value, text) for value, (text, _) in known.items()]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            chosen = known.get(self.value() or "")
            return queryset.filter(chosen[1]) if chosen else queryset

    return Filter


def is_set(words: Any, name: str, column: str, yes: Any, no: Any) -> type[admin.SimpleListFilter]:
    """A filter by whether a column has a value."""
    known = {"yes": (yes, Q(**{f"{column}__isnull": False})), "no": (no, Q(**{column: None}))}
    return choices(words, name, known)


def one_of(field: str, values: Iterable[str]) -> type[admin.SimpleListFilter]:
    """A filter by the value of a column."""
    known = {value: (later(_capital, value), Q(**{field: value})) for value in values}
    return choices(later(spaced, field), field, known)


class ByChoice(admin.ChoicesFieldListFilter):
    """Django's filter by a column with choices, whose names are translated."""

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield {**choice, "display": _capital(str(choice["display"]).lower())}


def _capital(code: str) -> str:
    return capfirst(spaced(code))
