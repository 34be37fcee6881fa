"""The common parts of the admin pages of jobs and callbacks."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.text import capfirst

from recognition.admin.kit import LargeTable, ReadOnly


class Rows(LargeTable, ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """The page of each row has a button for the list's action, while that makes sense."""

    ordering = ["-pk"]
    change_form_template = "batch/row.html"

    def button(self, row: Any) -> str:
        """The text of the button for the first action; empty for no button."""
        return ""

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        act, row = None, self.get_object(request, unquote(object_id))
        for name in self.get_actions(request) if row else ():
            address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
            act = {"name": name, "words": self.button(row), "address": address}
        context = {
            "title": capfirst(str(self.opts.verbose_name)),
            "act": act if act and act["words"] else None,
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)


class Part(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """The parts of a row, for all who may view the row."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        of = self.parent_model._meta
        return request.user.has_perm(f"{of.app_label}.view_{of.model_name}")
