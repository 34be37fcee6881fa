"""People: the list with its search, and the page of one person."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from management import erasure
from management.admin import actions, person_page, words
from recognition import audit
from recognition.admin import finding
from recognition.admin.filters import choices, is_set, one_of
from recognition.admin.kit import (
    ERASE,
    OwnPages,
    actor_of,
    address_of,
    column,
    time_column,
    when,
)
from recognition.models import Face, FailureCount, MergedUser, PrivacyLevel, User

# Each choice with few rows has an index.
SUSPENDED = is_set(
    _lazy("suspension"), "suspended", "suspended_at", _lazy("Suspended"), _lazy("Not suspended")
)
# A moderator has to unlock these people after too many failed attempts.
_LOCKED = Q(pk__in=FailureCount.objects.filter(locked_at__isnull=False).values("user"))


def _number_of_faces() -> Coalesce:
    """Counts faces for the rows of the page only, by the index of a person's faces."""
    own = Face.objects.filter(user=OuterRef("pk")).order_by().values("user")
    return Coalesce(Subquery(own.annotate(number=Count("pk")).values("number")), 0)


@admin.register(User)
class PersonAdmin(OwnPages):
    list_display = ["name", "short_id", "privacy", "state", "faces", "since"]
    list_filter = [
        SUSPENDED,
        choices(
            _lazy("failed attempts"), "locked", {"yes": (_lazy("Locked after failures"), _LOCKED)}
        ),
        one_of("privacy_level", PrivacyLevel.values),
    ]
    search_fields = ["display_name"]
    search_help_text = _lazy(
        "A name or a part of it, an id or a part of it (of a UUID the first six digits), or a "
        "face id."
    )
    ordering = ["-created_at", "-pk"]
    change_list_template = "people/people.html"
    page_template = "people/person.html"
    find = staticmethod(finding.people)
    views = {name: (f"<uuid:pk>/{name}/", view) for name, view in actions.OF_A_PERSON.items()}

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return User.objects.annotate(number_of_faces=_number_of_faces())

    @admin.display(description=_lazy("id"))
    def short_id(self, user: User) -> str:
        shown = Truncator(user.app_id).chars(9)
        return format_html('<code title="{}">{}</code>', user.app_id, shown)

    @admin.display(description=_lazy("state"))
    def state(self, user: User) -> str:
        if user.suspended_at:
            return _("Suspended {time}").format(time=when(user.suspended_at))
        return _("Active")

    name = column(_lazy("name"), lambda user: user.display_name or _("Without a name"))
    privacy = column(_lazy("privacy"), lambda user: words.privacy(user).partition(":")[0])
    faces = column(_lazy("faces"), lambda user: user.number_of_faces)
    since = time_column(_lazy("known since"), "created_at")

    def shown(self, request: HttpRequest, row: User) -> dict[str, Any]:
        """What a moderator needs to know of a person; each look is audited."""
        audit.note(actor_of(request), "user.view", user_id=row.pk)
        return {**person_page.sections(request, row), "title": self.name(row)}

    def gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answers an old bookmark: the receipt, or the person that this one was merged into."""
        user_id = finding.key_of(object_id)
        if user_id is None:
            raise Http404
        merged = MergedUser.objects.select_related("into").filter(pk=user_id).first()
        if merged and merged.into:
            said = _("That person was merged into this one: {person}.")
            messages.info(request, said.format(person=merged.into))
            return HttpResponseRedirect(address_of(merged.into))
        if request.user.has_perm(ERASE) and erasure.receipt_of(user_id):
            return HttpResponseRedirect(address_of(User(user_id), "receipt"))
        return super().gone(request, object_id)
