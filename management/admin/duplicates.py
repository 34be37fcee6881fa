"""Pairs of people who may be one person, side by side, for a decision."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from management import moderation
from management.admin import person_page, pictures, words
from recognition.admin import finding
from recognition.admin.kit import (
    MODERATE,
    OwnPages,
    actor_of,
    address_of,
    column,
    note_about_person,
    time_column,
)
from recognition.errors import ServiceError
from recognition.models import Face, PossibleDuplicate, User
from recognition.models.duplicates import DuplicateState

_STATES = {
    DuplicateState.OPEN: _lazy("Open"),
    DuplicateState.SAME_PERSON: _lazy("The same person: merged"),
    DuplicateState.DIFFERENT_PEOPLE: _lazy("Different people"),
}
_LIST = "admin:recognition_possibleduplicate_changelist"


class StateFilter(admin.SimpleListFilter):
    """Shows the open pairs, unless the filter asks for others."""

    title, parameter_name = _lazy("state"), "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("all", _("All")), *((state.value, name) for state, name in _STATES.items())]

    def choices(self, changelist: Any) -> Any:
        chosen = self.value() or DuplicateState.OPEN
        for value, name in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": value == chosen, "query_string": query, "display": name}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value() or DuplicateState.OPEN
        return queryset if chosen == "all" else queryset.filter(state=chosen)


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(widget=forms.RadioSelect)

    def __init__(self, pair: PossibleDuplicate, data: Any = None) -> None:
        super().__init__(data)
        same = _("The same person: {gone} is merged into {kept}")
        self.fields["decision"].choices = [  # type: ignore[attr-defined]
            (
                "different",
                _("Different people: both stay as they are, and the pair is never listed again"),
            ),
            (str(pair.user_a_id), same.format(gone=pair.user_b, kept=pair.user_a)),
            (str(pair.user_b_id), same.format(gone=pair.user_a, kept=pair.user_b)),
        ]


def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Handles the form. An answer that is not possible leads back to the pair."""
    if not request.user.has_perms([MODERATE, "recognition.view_possibleduplicate"]):
        raise PermissionDenied
    pair = PossibleDuplicate.objects.select_related("user_a", "user_b").filter(pk=pk).first()
    if pair is None:
        return _gone(request)
    form = DecisionForm(pair, request.POST)
    try:
        if pair.state != DuplicateState.OPEN:
            messages.error(request, _("The pair has already been decided."))
        elif request.method != "POST" or not form.is_valid():
            said = _("Nothing was decided: choose one of the three answers.")
            messages.error(request, said)
        else:
            return _decide(request, pair, form.cleaned_data["decision"])
    except ServiceError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(address_of(pair))


def _gone(request: HttpRequest) -> HttpResponse:
    said = _("There is no such pair any more: one of the two people is gone.")
    messages.warning(request, said)
    return redirect(_LIST)


def _decide(request: HttpRequest, pair: PossibleDuplicate, decision: str) -> HttpResponse:
    is_different = decision == "different"
    kept = None if is_different else UUID(decision)
    state = DuplicateState.DIFFERENT_PEOPLE if is_different else DuplicateState.SAME_PERSON
    moderation.decide(actor=actor_of(request), duplicate_id=pair.pk, decision=state, into=kept)
    if kept:
        note_about_person(request, kept, _("Merged a possible duplicate into this person"))
        messages.success(request, _("The two are one person now."))
        return HttpResponseRedirect(address_of(User(kept)))
    for user_id in pair.users:
        said = _("Decided that a possible duplicate is another person")
        note_about_person(request, user_id, said)
    messages.success(request, _("Noted: different people. They are not listed again."))
    return redirect(_LIST)


def _with(pairs: QuerySet[PossibleDuplicate], text: str) -> QuerySet[PossibleDuplicate]:
    people = finding.people(User.objects.all(), text).values("pk")
    return pairs.filter(user_a__in=people) | pairs.filter(user_b__in=people)


@admin.register(PossibleDuplicate)
class DuplicateAdmin(OwnPages):
    list_display = ["pair", "likeness", "shown_state", "found"]
    list_filter = [StateFilter]
    list_select_related = ["user_a", "user_b"]
    search_fields = ["user_a__display_name"]
    search_help_text = _lazy("One of the two: a name or a part of it, an id, a face id.")
    ordering = ["-pk"]
    page_template = "people/duplicate.html"
    find = staticmethod(_with)
    views = {"decide": ("<int:pk>/decide/", decide)}

    pair = column(_lazy("pair"), lambda pair: _both(pair))
    likeness = column(_lazy("confidence"), lambda pair: words.confidence(pair.confidence))
    shown_state = column(_lazy("state"), lambda pair: str(_STATES[DuplicateState(pair.state)]))
    found = time_column(_lazy("found"), "found_at")

    def shown(self, request: HttpRequest, row: PossibleDuplicate) -> dict[str, Any]:
        """Both crops side by side, and below them the form of the decision."""
        may_decide = row.state == DuplicateState.OPEN and request.user.has_perm(MODERATE)
        return {
            "title": self.pair(row),
            "pair": row,
            "state": self.shown_state(row),
            "likeness": self.likeness(row),
            "people": _people(request, row),
            "form": DecisionForm(row) if may_decide else None,
        }

    def gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _gone(request)


def _both(pair: PossibleDuplicate) -> str:
    former = _("a former person")
    return _("{one} and {other}").format(one=pair.user_a, other=pair.user_b or former)


def _people(request: HttpRequest, pair: PossibleDuplicate) -> list[dict[str, Any]]:
    """Both people, each with the face that resembles the other's and the newest others."""
    resembling = pair.face_a_id, pair.face_b_id
    faces = Face.objects.filter(pk__in=filter(None, resembling))
    known = {face.pk: face for face in pictures.with_pictures(faces)}
    shown = person_page.side_by_side(request, filter(None, (pair.user_a, pair.user_b)))
    for each, face in zip(shown, resembling, strict=False):
        if face in known:
            (each["resembling"],) = person_page.face_cards(request, [known[face]])
            each["faces"] = [card for card in each["faces"] if card["face"].pk != face]
    return shown
