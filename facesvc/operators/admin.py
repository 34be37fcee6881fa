"""Pages of no single app: the audit log, the model that serves, and the operators."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User as Account
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

# These two register their pages.
from facesvc.operators import bindings, measuring_pages, model_page
from facesvc.operators import collection_pages as collection_pages
from facesvc.operators import key_pages as key_pages
from facesvc.operators.dates import DatedList
from recognition import audit
from recognition.admin import finding
from recognition.admin.audit_sentences import SENTENCES, Names, label, sentence
from recognition.admin.filters import choices, later
from recognition.admin.kit import (
    MEASURE,
    LargeTable,
    ReadOnly,
    column,
    page,
    time_column,
)
from recognition.collections.models import Collection, OperatorOf
from recognition.models import ActiveModel, AuditEvent, User
from recognition.models.user_ids import parsed

_ACTORS = {
    "operator": _lazy("operators of these pages"),
    "service": _lazy("services"),
    "user": _lazy("people themselves"),
    "command": _lazy("commands on the server"),
    "system": _lazy("the service itself"),
}
# How many people of that name a search of the log considers.
_MOST_PEOPLE = 200


_ACTED = {kind: (words, Q(actor__startswith=kind)) for kind, words in _ACTORS.items()}
_ACTIONS = {action: (later(label, action), Q(action=action)) for action in SENTENCES}


@admin.register(AuditEvent)
class AuditEventAdmin(LargeTable):
    list_display = ["when", "what"]
    list_display_links = ["when"]
    list_filter = [
        choices(_lazy("who did it"), "by", _ACTED),
        choices(_lazy("what was done"), "action", _ACTIONS),
    ]
    search_fields = ["actor"]
    search_help_text = _lazy(
        "A name or a part of it, a person's id, a face id, an operator as operator:mia, "
        "or the id of a request."
    )
    date_hierarchy = "at"
    list_class = DatedList
    ordering = ["-pk"]
    fields = ["when", "what", "action", "actor", "user_id", "other_user_id", "viewer_id", "face_id"]
    fields += ["request_id"]

    def prepare(self, rows: list[AuditEvent]) -> None:
        names = Names.of(rows)
        for row in rows:
            row.sentence = sentence(row, names)  # type: ignore[attr-defined]

    def find(self, rows: QuerySet[AuditEvent], text: str) -> QuerySet[AuditEvent]:
        return rows.filter(_about(text))

    when = time_column(_lazy("when"), "at")
    what = column(_lazy("what happened"), lambda event: event.sentence)


def _about(text: str) -> Q:
    """Filters the log. Each filter has an index, except those by actor and by request."""
    kind, __, name = text.partition(":")
    if kind in _ACTORS:
        user_id = parsed(name) if kind == "user" else None
        return Q(actor=audit.end_user(user_id) if user_id else text)
    if text.startswith("face_"):
        return Q(face_id=text)
    # The log has keys, which the pages show of those who are gone.
    ids = {each for each in (parsed(text), finding.key_of(text)) if each}
    people = User.objects.filter(User.named(text)).values_list("pk", flat=True)
    ids.update(people[:_MOST_PEOPLE])
    return Q(user_id__in=ids) | Q(other_user_id__in=ids) | Q(request_id=text)


@admin.register(ActiveModel)
class ActiveModelAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows one page in place of a list: the row says little without its pack."""

    def get_urls(self) -> list[URLPattern]:
        return [*measuring_pages.urls(self.admin_site), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        may_measure = request.user.has_perm(MEASURE)
        context = {"page": model_page.page(), "may_measure": may_measure, **(extra_context or {})}
        return page(request, "operators/model.html", _("Active model"), ActiveModel, context)


class BindingInline(admin.TabularInline):  # type: ignore[type-arg]
    """The collections that an operator is bound to, on the operator's page."""

    model = OperatorOf
    fields = ("collection",)
    extra = 1
    template = "operators/bindings.html"
    verbose_name = _lazy("collection")
    verbose_name_plural = _lazy("May see these collections alone")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = Collection.objects.filter(erasing_at=None).order_by("pk")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "collection":  # whose own page says nothing about the operator
            field.widget.can_view_related = False
        return field


def _are_several() -> bool:
    return Collection.objects.filter(erasing_at=None).count() > 1


# This import registers Django's own page, which is replaced here.
admin.site.unregister(Account)


@admin.register(Account)
class OperatorAdmin(UserAdmin):  # type: ignore[type-arg]
    """The form for a new operator asks for a group, so that the account can be used at once."""

    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2")}),
        (_lazy("What this operator may do"), {"fields": ("is_staff", "groups")}),
    )

    inlines = (BindingInline,)

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        """A new operator can be bound at once, and need not see `default` until then. With
        `default` alone there is nothing to choose.
        """
        return self.inlines if _are_several() else ()

    def get_list_display(self, request: HttpRequest) -> Any:
        name, *others = super().get_list_display(request)
        return [name, *(["sees"] if _are_several() else []), *others]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return bindings.with_collections(super().get_queryset(request))

    @admin.display(description=_lazy("sees collections"))
    def sees(self, operator: Any) -> str:
        names = bindings.seen_by(operator)
        return _("all") if names is None else ", ".join(names) or _("none")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"is_staff": True, **super().get_changeform_initial_data(request)}
