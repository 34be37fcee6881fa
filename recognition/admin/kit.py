"""The common parts of all admin pages: rights, lists of large tables, links and times."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.text import capfirst, get_text_list

from recognition import audit
from recognition.models import locks

# The permissions of the ready groups, beside Django's own permissions to view each model.
VIEW_PICTURES = "recognition.view_pictures"
MODERATE = "recognition.moderate_user"
ERASE = "recognition.erase_user"

# The most pages of a list. A search or a filter finds later rows: to skip rows takes PostgreSQL as
# long as to read them.
_MOST_PAGES = 100


class ReadOnly:
    """Makes the rows read-only: Django's forms add, change and delete none."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class UncountedList(ChangeList):
    """A page of a list, and whether there is another one; nothing counts the table.

    Django's own counts all rows twice for each page, which takes seconds for a million.
    """

    page_num: int
    list_per_page: int
    has_next: bool

    def get_results(self, request: HttpRequest) -> None:
        if not 1 <= self.page_num <= _MOST_PAGES:
            raise IncorrectLookupParameters
        first = (self.page_num - 1) * self.list_per_page
        rows = list(self.queryset[first : first + self.list_per_page + 1])
        self.result_list = rows[: self.list_per_page]
        self.model_admin.prepare(self.result_list)  # type: ignore[attr-defined]
        self.has_next = len(rows) > self.list_per_page and self.page_num < _MOST_PAGES
        self.is_cut_off = len(rows) > self.list_per_page and not self.has_next
        # These two are equal, so that Django's search form says nothing about totals.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.can_show_all = False
        self.show_admin_actions = bool(rows)
        self.multi_page = self.has_next or self.page_num > 1

    def previous_page(self) -> str:
        return self.get_query_string({"p": self.page_num - 1}) if self.page_num > 1 else ""

    def next_page(self) -> str:
        return self.get_query_string({"p": self.page_num + 1}) if self.has_next else ""


class LargeTable:
    """For a ModelAdmin: its list opens at once, however many rows there are.

    `ordering` has to be that of an index, and so has every column of `sortable_by`.
    """

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page: ClassVar[Any] = 50
    sortable_by: ClassVar[Any] = ()
    change_list_template: ClassVar[Any] = "recognition/change_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UncountedList

    def prepare(self, rows: list[Any]) -> None:
        """Look up what a page shows beside its rows: once for the page, and not for each row."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        model: type[Model] = self.model  # type: ignore[attr-defined]
        title = capfirst(str(model._meta.verbose_name_plural))
        context = {"title": title, **(extra_context or {})}
        answer: HttpResponse = super().changelist_view(request, context)  # type: ignore[misc]
        return answer


def one_of(field: str, values: Iterable[str]) -> type[admin.SimpleListFilter]:
    """A filter by a column with known values. Django's own reads the whole table for them."""

    class Filter(admin.SimpleListFilter):
        title, parameter_name = spaced(field), field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(value, capfirst(spaced(value))) for value in values]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{field: self.value()}) if self.value() else queryset

    return Filter


def actor_of(request: HttpRequest) -> str:
    """The operator's name as the audit log spells it."""
    return audit.operator(request.user)


def note_in_history(request: HttpRequest, rows: Iterable[Model], words: str) -> None:
    """Note what the operator did to the rows, in their HISTORY and "Recent actions"."""
    if noted := list(rows):
        LogEntry.objects.log_actions(
            request.user.pk,  # type: ignore[arg-type]
            noted,
            CHANGE,
            change_message=words,
        )


def note_about_person(request: HttpRequest, user_id: UUID, words: str) -> None:
    """Note the same about a person, unless the person is being erased."""
    with transaction.atomic():
        # An erasure waits for this lock, and deletes the entry too.
        if person := locks.lock_user(user_id):
            note_in_history(request, [person], words)


def spaced(code: str) -> str:
    """A code, such as `no_match`, as words."""
    return code.replace("_", " ")


def in_words(value: Any, spell: Callable[[str], str] = str) -> str:
    """A JSON value without its punctuation; `spell` gives the form of its texts."""
    if isinstance(value, dict):
        parts = [f"{spaced(key)} {in_words(each, spell)}" for key, each in value.items()]
        return ", ".join(parts) or "nothing"
    if isinstance(value, list):
        return get_text_list([in_words(each, spell) for each in value], "and") or "nothing"
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]
    return spell(str(value))


def when(at: datetime | None) -> str:
    """A time with seconds and zone, or a dash."""
    return formats.localize(timezone.localtime(at)) if at else "–"


def address_of(row: Model, page: str = "change") -> str:
    options = row._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_{page}", args=[row.pk])


def link(row: Model | None, text: str = "") -> str:
    """A link to the admin page of a row, with its name."""
    if row is None:
        return "–"
    return format_html('<a href="{}">{}</a>', address_of(row), text or str(row))
