"""What a moderator can do to a person or a face; each action has a page that says what will happen.

The pages ask, and management.moderation and management.erasure act. HISTORY and "Recent actions"
note each act with its person. They never name a second person, so that an erasure finds all
entries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.models import DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from management import erasure, moderation
from management.admin import person_page, words
from recognition.admin import finding
from recognition.admin.kit import (
    ERASE,
    MODERATE,
    actor_of,
    address_of,
    note_about_person,
    page,
    spaced,
)
from recognition.errors import ServiceError
from recognition.models import Face, User

View = Callable[..., HttpResponse]
# Hits that are shown. If there are more, the page asks for a better search.
_HITS = 20


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=moderation.MAX_REASON,
        label=_lazy("Reason"),
        help_text=_lazy("Goes into the audit log, which is kept for years: do not name anybody."),
        widget=forms.TextInput(attrs={"size": 60}),
    )


class SureForm(forms.Form):
    sure = forms.BooleanField(
        label=_lazy("Yes, erase all of it. I know that nobody can bring it back.")
    )


@dataclass(frozen=True)
class Question:
    """A page that asks before something is done. `run` and `done` get the values of the form."""

    about: User | Face
    title: str
    explains: Sequence[str]
    button: str
    run: Callable[..., object]
    done: str  # said afterwards, in the history too
    form: type[forms.Form] = forms.Form
    is_dangerous: bool = False
    into: User | None = None  # another person, who is shown beside the first
    next_page: str = "change"  # of the other person, or else of this one

    @property
    def back(self) -> str:
        return address_of(self.about)

    @property
    def person(self) -> User:
        return self.about.user if isinstance(self.about, Face) else self.about


def ask(request: HttpRequest, question: Question) -> HttpResponse:
    form = question.form(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            question.run(**form.cleaned_data)
        except ServiceError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(question.back)
        person, said = question.into or question.person, question.done.format(**form.cleaned_data)
        note_about_person(request, person.pk, said)
        messages.success(request, said)
        return HttpResponseRedirect(address_of(person, question.next_page))
    shown = (question.person, question.into) if question.into else ()
    people = person_page.side_by_side(request, shown)
    context = {"question": question, "form": form, "people": people}
    return page(request, "people/question.html", question.title, User, context)


def _on(model: type[Any], permission: str) -> Callable[[Callable[[HttpRequest, Any], Any]], View]:
    """Gives a view an existing person or face. The page of a former one says what became of it."""
    needed = {permission, "recognition.view_user", f"recognition.view_{model._meta.model_name}"}

    def decorate(view: Callable[[HttpRequest, Any], Any]) -> View:
        def wrapped(request: HttpRequest, pk: Any) -> HttpResponse:
            if not request.user.has_perms(needed):
                raise PermissionDenied
            row = model.objects.filter(pk=pk).first()
            return view(request, row) if row else HttpResponseRedirect(address_of(model(pk)))

        return wrapped

    return decorate


# --- suspend and unlock ---------------------------------------------------------------------------


@_on(User, MODERATE)
def suspend(request: HttpRequest, user: User) -> HttpResponse:
    explains = (
        _(
            "No search finds this person any more, and the person can neither enrol, be verified"
            " nor log in. Everything is kept, and you can undo it at any time."
        ),
        _("Only services learn why; end users get the same answer as for an unknown person."),
    )
    run = partial(moderation.suspend_user, actor=actor_of(request), user_id=user.pk)
    title, done = _("Suspend {person}?").format(person=user), _("Suspended: {reason}")
    return ask(request, Question(user, title, explains, _("Suspend"), run, done, ReasonForm, True))


@_on(User, MODERATE)
def unsuspend(request: HttpRequest, user: User) -> HttpResponse:
    title = _("End the suspension of {person}?").format(person=user)
    explains = (_("Searches, verification and login know this person again, as before."),)
    run = partial(moderation.unsuspend_user, actor=actor_of(request), user_id=user.pk)
    button, done = _("End the suspension"), _("No longer suspended")
    return ask(request, Question(user, title, explains, button, run, done))


@_on(User, MODERATE)
def unlock(request: HttpRequest, user: User) -> HttpResponse:
    explains = (_("All failed attempts for this person are forgotten, from every source."),)
    run = partial(moderation.unlock_user, actor=actor_of(request), user_id=user.pk)
    title = _("Unlock {person}?").format(person=user)
    done = _("Unlocked: the failed attempts are forgotten")
    return ask(request, Question(user, title, explains, _("Unlock"), run, done))


@_on(Face, MODERATE)
def suspend_face(request: HttpRequest, face: Face) -> HttpResponse:
    explains = (
        _(
            "No search and no verification uses this face any more. The person's other faces stay"
            " as they are, and you can undo it at any time."
        ),
    )
    run = partial(moderation.suspend_face, actor=actor_of(request), face_id=face.face_id)
    title = _("Suspend this face of {person}?").format(person=face.user)
    done = _("Suspended {face}: {reason}").format(face=face.face_id, reason="{reason}")
    return ask(request, Question(face, title, explains, _("Suspend"), run, done, ReasonForm, True))


@_on(Face, MODERATE)
def unsuspend_face(request: HttpRequest, face: Face) -> HttpResponse:
    title = _("End the suspension of this face of {person}?").format(person=face.user)
    explains = (_("The face is used again as its settings say."),)
    run = partial(moderation.unsuspend_face, actor=actor_of(request), face_id=face.face_id)
    button = _("End the suspension")
    done = _("No longer suspended: {face}").format(face=face.face_id)
    return ask(request, Question(face, title, explains, button, run, done))


# --- merge and move -------------------------------------------------------------------------------


def _chosen(request: HttpRequest) -> User | None:
    """The person that the address of the page names, if any."""
    user_id = finding.key_of(request.GET.get("person", ""))
    return User.objects.filter(pk=user_id).first() if user_id else None


def _choose(request: HttpRequest, title: str, about: User | Face) -> HttpResponse:
    """Shows the search of the list of people. Every hit links to this address with the person."""
    text = request.GET.get("q", "").strip()
    others = User.objects.exclude(pk=about.user_id if isinstance(about, Face) else about.pk)
    people = finding.people(others, text) if text else None
    hits = list(people.order_by("-created_at", "-pk")[: _HITS + 1]) if people is not None else []
    context = {
        "about": about,
        "back": address_of(about),
        "text": text,
        "hits": [(user, words.privacy(user).partition(":")[0]) for user in hits[:_HITS]],
        "are_more": len(hits) > _HITS,
    }
    return page(request, "people/choose.html", title, User, context)


@_on(User, MODERATE)
def merge(request: HttpRequest, user: User) -> HttpResponse:
    into = _chosen(request)
    if into is None or into == user:
        title = _("Merge {person} into which other person?").format(person=user)
        return _choose(request, title, user)
    title = _("Merge {person} into {other}?").format(person=user, other=into)
    explains = (
        _(
            "Faces, friends, groups, consent and history of {person} go over to {other}, and"
            " {person} is gone. The old id is remembered: it answers that the person was merged."
        ).format(person=user, other=into),
        _("You cannot take the two apart again."),
    )
    run = partial(moderation.merge_users, actor=actor_of(request), user_id=user.pk, into=into.pk)
    done = _("Merged another person into this one")
    question = Question(user, title, explains, _("Merge"), run, done, is_dangerous=True, into=into)
    return ask(request, question)


@_on(Face, MODERATE)
def move(request: HttpRequest, face: Face) -> HttpResponse:
    to = _chosen(request)
    if to is None or to == face.user:
        title = _("To which person does this face of {person} belong?").format(person=face.user)
        return _choose(request, title, face)

    def run() -> None:
        moderation.move_face(actor=actor_of(request), face_id=face.face_id, user_id=to.pk)
        said = _("Moved {face} to another person").format(face=face.face_id)
        note_about_person(request, face.user_id, said)

    title = _("Move this face from {person} to {other}?").format(person=face.user, other=to)
    explains = (
        _("Verification and searches will count it as a face of {other} from then on.").format(
            other=to
        ),
        _("Earlier verifications with it stay where they are."),
    )
    done = _("Moved {face} here from another person").format(face=face.face_id)
    return ask(request, Question(face, title, explains, _("Move the face"), run, done, into=to))


# --- erase ----------------------------------------------------------------------------------------


@_on(User, ERASE)
def erase(request: HttpRequest, user: User) -> HttpResponse:
    def run(sure: bool) -> None:
        receipt = erasure.erase(actor=actor_of(request), user_id=user.pk)
        # The title does not name the person.
        what = _("A person was erased: {receipt}").format(receipt=receipt.receipt_id)
        account: Any = request.user
        LogEntry.objects.create(user=account, action_flag=DELETION, object_repr=what)

    explains = (
        _(
            "All data about this person will be deleted: faces with their templates and pictures,"
            " friendships, memberships, sessions, attempts, jobs, and mentions in other records."
        ),
        _(
            "You get a receipt. Only the id stays, in the audit log. You cannot undo this; to hide"
            " a person for a while, suspend instead."
        ),
    )
    question = Question(
        user,
        _("Erase {person}?").format(person=user),
        explains,
        _("Erase for ever"),
        run,
        _("All data about this person is deleted."),
        SureForm,
        is_dangerous=True,
        next_page="receipt",
    )
    return ask(request, question)


def receipt(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The receipt of an erasure, for those who may erase."""
    if not request.user.has_perm(ERASE):
        raise PermissionDenied
    found = erasure.receipt_of(pk)
    if found is None:
        raise Http404
    removed = [(spaced(name), count) for name, count in found.removed.items()]
    context = {"receipt": found, "removed": removed}
    return page(request, "people/receipt.html", _("This person was erased"), User, context)


OF_A_PERSON: dict[str, View] = {
    "suspend": suspend,
    "unsuspend": unsuspend,
    "unlock": unlock,
    "merge": merge,
    "erase": erase,
    "receipt": receipt,
}
OF_A_FACE: dict[str, View] = {"suspend": suspend_face, "unsuspend": unsuspend_face, "move": move}
