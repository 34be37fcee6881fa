"""What a moderator can do to a person; each action has a page that says what will happen.

The pages ask, and management.moderation and management.erasure act. HISTORY and "Recent actions"
note each act with its person. They never name a second person, so that an erasure finds all
entries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from management import erasure, moderation
from management.admin import choosing, person_page
from recognition.admin.kit import ERASE, MODERATE, actor_of, address_of, note_about_person, spaced
from recognition.errors import ServiceError
from recognition.models import Face, User

View = Callable[..., HttpResponse]


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=moderation.MAX_REASON,
        help_text="Goes into the audit log, which is kept for years: do not name anybody.",
        widget=forms.TextInput(attrs={"size": 60}),
    )


class SureForm(forms.Form):
    sure = forms.BooleanField(label="Yes, erase all of it. I know that nobody can bring it back.")


@dataclass(frozen=True)
class Question:
    """A page that asks before something is done. `run` gets the values of the form."""

    title: str
    explains: Sequence[str]
    button: str
    run: Callable[[dict[str, Any]], HttpResponse]
    about: User | Face
    form: type[forms.Form] = forms.Form
    is_dangerous: bool = False
    people: Sequence[User] = ()  # shown side by side

    @property
    def back(self) -> str:
        return address_of(self.about)


def ask(request: HttpRequest, question: Question) -> HttpResponse:
    form = question.form(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            return question.run(form.cleaned_data)
        except ServiceError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(question.back)
    context = {
        **admin.site.each_context(request),
        "people": person_page.side_by_side(request, question.people),
        "title": question.title,
        "question": question,
        "form": form,
        "opts": User._meta,
    }
    return TemplateResponse(request, "people/question.html", context)


def on_a_person(permission: str) -> Callable[[Callable[[HttpRequest, User], HttpResponse]], View]:
    """Gives a view an existing person. The page of a former person says what became of them."""

    def decorate(view: Callable[[HttpRequest, User], HttpResponse]) -> View:
        def wrapped(request: HttpRequest, user_id: UUID) -> HttpResponse:
            if not request.user.has_perms([permission, "recognition.view_user"]):
                raise PermissionDenied
            user = User.objects.filter(pk=user_id).first()
            if user is None:
                return _to_person(user_id)
            return view(request, user)

        return wrapped

    return decorate


def _to_person(user_id: UUID) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:recognition_user_change", args=[user_id]))


def done(request: HttpRequest, user_id: UUID, message: str) -> HttpResponse:
    note_about_person(request, user_id, message)
    messages.success(request, message)
    return _to_person(user_id)


# --- suspend and unlock ---------------------------------------------------------------------------


@on_a_person(MODERATE)
def suspend(request: HttpRequest, user: User) -> HttpResponse:
    def run(said: dict[str, Any]) -> HttpResponse:
        moderation.suspend_user(actor=actor_of(request), user_id=user.pk, reason=said["reason"])
        return done(request, user.pk, f"Suspended: {said['reason']}")

    explains = (
        "No search finds this person any more, and the person can neither enrol, be verified nor"
        " log in. Everything is kept, and you can undo it at any time.",
        "Only services learn why; end users get the same answer as for an unknown person.",
    )
    question = Question(f"Suspend {user}?", explains, "Suspend", run, user, ReasonForm, True)
    return ask(request, question)


@on_a_person(MODERATE)
def unsuspend(request: HttpRequest, user: User) -> HttpResponse:
    def run(_: dict[str, Any]) -> HttpResponse:
        moderation.unsuspend_user(actor=actor_of(request), user_id=user.pk)
        return done(request, user.pk, "No longer suspended")

    explains = ("Searches, verification and login know this person again, as before.",)
    question = Question(f"End the suspension of {user}?", explains, "End the suspension", run, user)
    return ask(request, question)


@on_a_person(MODERATE)
def unlock(request: HttpRequest, user: User) -> HttpResponse:
    def run(_: dict[str, Any]) -> HttpResponse:
        moderation.unlock(actor=actor_of(request), user_id=user.pk)
        return done(request, user.pk, "Unlocked: the failed attempts are forgotten")

    explains = ("All failed attempts for this person are forgotten, from every source.",)
    return ask(request, Question(f"Unlock {user}?", explains, "Unlock", run, user))


# --- merge ----------------------------------------------------------------------------------------


@on_a_person(MODERATE)
def merge(request: HttpRequest, user: User) -> HttpResponse:
    into = choosing.chosen(request)
    if into is None or into == user:
        title = f"Merge {user} into which other person?"
        return choosing.page(request, title, user, without=user)

    def run(_: dict[str, Any]) -> HttpResponse:
        moderation.merge_users(actor=actor_of(request), user_id=user.pk, into=into.pk)
        return done(request, into.pk, "Merged another person into this one")

    explains = (
        f"Faces, friends, groups, consent and history of {user} go over to {into}, and {user} is"
        " gone. The old id is remembered: it answers that the person was merged.",
        "Nobody can take the two apart again.",
    )
    question = Question(
        f"Merge {user} into {into}?",
        explains,
        "Merge",
        run,
        user,
        is_dangerous=True,
        people=(user, into),
    )
    return ask(request, question)


# --- erase ----------------------------------------------------------------------------------------


@on_a_person(ERASE)
def erase(request: HttpRequest, user: User) -> HttpResponse:
    def run(_: dict[str, Any]) -> HttpResponse:
        receipt = erasure.erase(actor=actor_of(request), user_id=user.pk)
        # The title does not name the person.
        what = f"A person was erased: {receipt.receipt_id}"
        account: Any = request.user
        LogEntry.objects.create(user=account, action_flag=DELETION, object_repr=what)
        return HttpResponseRedirect(reverse("admin:recognition_user_receipt", args=[user.pk]))

    explains = (
        "All data about this person will be deleted: faces with their templates and pictures,"
        " friendships, memberships, sessions, attempts, jobs, and mentions in other records.",
        "You get a receipt. Only the id stays, in the audit log. You cannot undo this; to hide a"
        " person for a while, suspend instead.",
    )
    question = Question(f"Erase {user}?", explains, "Erase for ever", run, user, SureForm, True)
    return ask(request, question)


def receipt(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """The receipt of an erasure, for those who may erase."""
    if not request.user.has_perm(ERASE):
        raise PermissionDenied
    found = erasure.receipt_of(user_id)
    if found is None:
        raise Http404
    removed = [(spaced(name), count) for name, count in found.removed.items()]
    context = {
        **admin.site.each_context(request),
        "title": "This person was erased",
        "receipt": found,
        "removed": removed,
        "opts": User._meta,
    }
    return TemplateResponse(request, "people/receipt.html", context)


OF_A_PERSON: dict[str, View] = {
    "suspend": suspend,
    "unsuspend": unsuspend,
    "unlock": unlock,
    "merge": merge,
    "erase": erase,
    "receipt": receipt,
}
