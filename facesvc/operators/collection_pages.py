"""The collections of the installation: the list, and the page where one is suspended or erased.

They are made, and get rules, by services and by commands.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from management import collections
from recognition.admin.kit import (
    LargeTable,
    actor_of,
    column,
    note_in_history,
    page,
    time_column,
    when,
)
from recognition.collections.current import DEFAULT, CollectionGoneError, entered
from recognition.collections.models import Collection
from recognition.errors import ServiceError
from recognition.models import Face, User

# Django's own permissions. An operator who is bound to collections has neither, see `bindings`.
SUSPEND = "collections.change_collection"
ERASE = "collections.delete_collection"
Act = Callable[[HttpRequest, Collection], HttpResponse | None]
_LIST = "admin:collections_collection_changelist"


class EraseForm(forms.Form):
    """Is valid if somebody has typed the name of the collection."""

    name = forms.CharField(
        max_length=255,
        label=_lazy("Type the name of the collection to erase it"),
        widget=forms.TextInput(attrs={"size": 40}),
    )

    def __init__(self, *args: Any, wanted: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wanted = wanted

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self._wanted:
            raise forms.ValidationError(_("This is not the name of the collection."))
        return name


@admin.register(Collection)
class CollectionAdmin(LargeTable):
    list_display = ["name", "state", "made_by", "users", "faces", "created"]
    list_per_page = 20
    ordering = ["pk"]
    search_fields = ["name"]
    search_help_text = _lazy("A part of the name.")

    def prepare(self, rows: list[Collection]) -> None:
        for row in rows:
            row.counts = _counts(row)  # type: ignore[attr-defined]

    state = column(_lazy("state"), lambda row: _state(row))
    users = column(_lazy("users"), lambda row: row.counts[0])
    faces = column(_lazy("faces"), lambda row: row.counts[1])
    created = time_column(_lazy("created"), "created_at")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A collection, and what can be done with it. A POST does it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            messages.warning(request, _("There is no such collection."))
            return redirect(_LIST)
        is_erasing = request.POST.get("act") == "erase"
        form = EraseForm(request.POST if is_erasing else None, wanted=row.name)
        if request.method == "POST":
            erase: Act = partial(_erase, form=form)
            acts = {"suspend": _suspend, "resume": _resume, "erase": erase}
            if answer := _act(request, row, acts.get(request.POST.get("act", ""))):
                return answer
        shown = {**_shown(request, row), "form": form}
        return page(request, "operators/collection_page.html", row.name, Collection, shown)


def _shown(request: HttpRequest, row: Any) -> dict[str, Any]:
    is_default = row.pk == DEFAULT.number
    can_change = not is_default and row.erasing_at is None
    return {
        "original": row,
        "state": _state(row),
        "users": row.counts[0],
        "faces": row.counts[1],
        "made": when(row.created_at),
        "rules": sorted(row.rules.items()),
        "is_default": is_default,
        "may_change": can_change and request.user.has_perm(SUSPEND),
        "may_erase": can_change and request.user.has_perm(ERASE),
    }


# --- what can be done with one --------------------------------------------------------------------


def _act(request: HttpRequest, row: Collection, act: Act | None) -> HttpResponse | None:
    """The answer to a POST; None where a form says what is wrong."""
    if act is None:
        raise PermissionDenied
    if row.erasing_at:  # its name may be that of another collection by now
        messages.warning(request, _("There is no such collection."))
        return redirect(_LIST)
    try:
        return act(request, row)
    except ServiceError as error:
        messages.error(request, str(error))
        return redirect(request.path)


def _suspend(request: HttpRequest, row: Collection) -> HttpResponse:
    _require(request, SUSPEND)
    collections.suspend(row.name, actor=actor_of(request))
    note_in_history(request, [row], _("Suspended"))
    messages.success(request, _("The collection is suspended: every request for it is refused."))
    return redirect(request.path)


def _resume(request: HttpRequest, row: Collection) -> HttpResponse:
    _require(request, SUSPEND)
    collections.resume(row.name, actor=actor_of(request))
    note_in_history(request, [row], _("No longer suspended"))
    messages.success(request, _("The collection answers requests again."))
    return redirect(request.path)


def _erase(request: HttpRequest, row: Collection, form: EraseForm) -> HttpResponse | None:
    _require(request, ERASE)
    if not form.is_valid():
        return None
    gone = collections.erase(row.name, actor=actor_of(request))
    account: Any = request.user
    what = _("A collection was erased: {name}").format(name=gone.name)
    LogEntry.objects.create(user=account, action_flag=DELETION, object_repr=what[:200])
    words = _("The collection {name} is erased, with {users} users and {faces} faces.")
    said = words.format(name=gone.name, users=f"{gone.users:,}", faces=f"{gone.faces:,}")
    messages.success(request, said)
    return redirect(_LIST)


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _state(row: Collection) -> str:
    if row.erasing_at:
        return _("is being erased")
    return _("suspended") if row.suspended_at else _("active")


def _counts(row: Collection) -> tuple[str, str]:
    """How many users and faces a collection has; dashes when it is gone."""
    if row.erasing_at:
        return "–", "–"
    try:
        with entered(row.entered):
            return f"{User.objects.count():,}", f"{Face.objects.count():,}"
    except CollectionGoneError:
        return "–", "–"
