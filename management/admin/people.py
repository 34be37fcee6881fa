"""People: the list with its search, and the page of one person."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from management import erasure
from management.admin import actions, person_page, words
from management.admin.filters import LockedFilter, SuspendedFilter
from recognition import audit
from recognition.admin import finding
from recognition.admin.kit import ERASE, LargeTable, ReadOnly, actor_of, address_of, one_of, when
from recognition.models import Face, MergedUser, PrivacyLevel, User


def _number_of_faces() -> Coalesce:
    """Counts faces for the rows of the page only, by the index of a person's faces."""
    own = Face.objects.filter(user=OuterRef("pk")).order_by().values("user")
    return Coalesce(Subquery(own.annotate(number=Count("pk")).values("number")), 0)


@admin.register(User)
class PersonAdmin(LargeTable, ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "short_id", "privacy", "state", "faces", "since"]
    list_filter = [SuspendedFilter, LockedFilter, one_of("privacy_level", PrivacyLevel.values)]
    search_fields = ["display_name"]
    search_help_text = "A name or a part of it, an id or its first six digits, or a face id."
    ordering = ["-created_at", "-pk"]
    actions = None
    change_list_template = "people/people.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return User.objects.annotate(number_of_faces=_number_of_faces())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        return (finding.people(queryset, search_term) if search_term else queryset), False

    def name(self, user: User) -> str:
        return user.display_name or "Without a name"

    @admin.display(description="id")
    def short_id(self, user: User) -> str:
        return format_html('<code title="{}">{}…</code>', user.pk, str(user.pk)[:8])

    def privacy(self, user: User) -> str:
        return words.privacy(user).partition(":")[0]

    def state(self, user: User) -> str:
        return f"Suspended {when(user.suspended_at)}" if user.suspended_at else "Active"

    def faces(self, user: Any) -> int:
        return int(user.number_of_faces)

    @admin.display(description="known since")
    def since(self, user: User) -> str:
        return when(user.created_at)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(f"<uuid:user_id>/{name}/", self.admin_site.admin_view(view), name=f"{full}")
            for name, view in actions.OF_A_PERSON.items()
            for full in (f"recognition_user_{name}",)
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Shows what a moderator needs to know of a person; each look is audited."""
        user = self.get_object(request, object_id)
        if not self.has_view_permission(request, user):
            raise PermissionDenied
        if request.method != "GET":
            raise PermissionDenied
        if user is None:
            return _gone(request, object_id)
        audit.note(actor_of(request), "user.view", user_id=user.pk)
        context = {
            **self.admin_site.each_context(request),
            **person_page.sections(request, user),
            "title": self.name(user),
            "opts": self.opts,
            "original": user,
        }
        return TemplateResponse(request, "people/person.html", context)


def _gone(request: HttpRequest, object_id: str) -> HttpResponse:
    """Answers an old bookmark: with the receipt, or the person that this one was merged into."""
    try:
        user_id = UUID(object_id)
    except ValueError:
        raise Http404 from None
    merged = MergedUser.objects.select_related("into").filter(pk=user_id).first()
    if merged and merged.into:
        messages.info(request, f"That person was merged into this one: {merged.into}.")
        return HttpResponseRedirect(address_of(merged.into))
    if request.user.has_perm(ERASE) and erasure.receipt_of(user_id):
        return HttpResponseRedirect(reverse("admin:recognition_user_receipt", args=[user_id]))
    messages.warning(request, "There is no such person.")
    return HttpResponseRedirect(reverse("admin:recognition_user_changelist"))
