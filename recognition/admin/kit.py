"""The common parts of all admin pages: rights, lists of large tables, links and times."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.text import capfirst, get_text_list
from django.utils.translation import gettext as _

from recognition import audit
from recognition.models import locks

# The permissions of the ready groups, beside Django's own permissions to view each model.
VIEW_PICTURES = "recognition.view_pictures"
MODERATE = "recognition.moderate_user"
ERASE = "recognition.erase_user"
MEASURE = "recognition.measure_model"

# The most pages of a list. A search or a filter finds later rows: to skip rows takes PostgreSQL as
# long as to read them.
_MOST_PAGES = 100


class ReadOnly:
    """Makes the rows and all `fields` read-only: Django's forms add, change and delete none."""

    fields: ClassVar[Any] = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields or ()

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


class LargeTable(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only rows whose list opens at once, however many there are.

    `ordering` has to be that of an index, and so has every column of `sortable_by`.
    """

    actions: Any = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    sortable_by: ClassVar[Any] = ()
    change_list_template: ClassVar[Any] = "recognition/change_list.html"
    list_class: type[ChangeList] = UncountedList
    # Those of some rows that a text means; None: Django's search in `search_fields`.
    find: Any = None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return self.list_class

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if self.find is None:
            return super().get_search_results(request, queryset, search_term)
        text = search_term.strip()
        return (self.find(queryset, text) if text else queryset), False

    def prepare(self, rows: list[Any]) -> None:
        """Look up what a page shows beside its rows: once for the page, and not for each row."""

    def get_object(self, *args: Any, **options: Any) -> Any:
        row = super().get_object(*args, **options)
        if row is not None:
            self.prepare([row])
        return row

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})


class OwnPages(LargeTable):
    """A list without actions, and pages of our own: one for each row, and `views`."""

    page_template: str
    # By their names: the route below the list, and the view.
    views: ClassVar[dict[str, tuple[str, Callable[..., HttpResponse]]]]

    def shown(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the template needs for the page of a row, with its title."""
        raise NotImplementedError

    def gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer for a row that is not there."""
        what = self.opts.verbose_name
        messages.warning(request, _("There is no such {what}.").format(what=what))
        return redirect(f"admin:recognition_{self.opts.model_name}_changelist")

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                route,
                self.admin_site.admin_view(view),
                name=f"recognition_{self.opts.model_name}_{name}",
            )
            for name, (route, view) in self.views.items()
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if not self.has_view_permission(request, row) or request.method != "GET":
            raise PermissionDenied
        if row is None:
            return self.gone(request, object_id)
        shown = {**self.shown(request, row), "original": row}
        return page(request, self.page_template, shown["title"], self.model, shown)


def column(words: Any, read: Callable[[Any], object]) -> Any:
    """A column of a list, or a fact on the page of a row: its name, and its text for a row."""
    return admin.display(description=words)(lambda self, row: read(row))


def time_column(words: Any, field: str) -> Any:
    return column(words, lambda row: when(getattr(row, field)))


def page(
    request: HttpRequest,
    template: str,
    title: str,
    model: type[Model],
    context: Mapping[str, Any],
    status: int = 200,
) -> TemplateResponse:
    """A page of our own in the frame of the admin site, below the pages of `model`."""
    frame = {**admin.site.each_context(request), "title": title, "opts": model._meta}
    return TemplateResponse(request, template, {**frame, **context}, status=status)


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
    """A code, such as `no_match`, as words in the language of the page; others stay as they are.

    Names of settings do so, too: somebody will type them.
    """
    words = code if code.isupper() else code.replace("_", " ")
    return _(words) if words else ""


def in_words(value: Any, spell: Callable[[str], str] = str) -> str:
    """A JSON value without its punctuation; `spell` gives the form of its texts."""
    if isinstance(value, dict):
        parts = [f"{spaced(key)} {in_words(each, spell)}" for key, each in value.items()]
        return ", ".join(parts) or _("nothing")
    if isinstance(value, list):
        return get_text_list([in_words(each, spell) for each in value], _("and")) or _("nothing")
    if value is None or isinstance(value, bool):
        return {None: "–", True: _("yes"), False: _("no")}[value]
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
