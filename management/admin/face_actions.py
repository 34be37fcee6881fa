"""What a moderator can do to one face; see management.admin.actions."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from management import moderation
from management.admin import choosing
from management.admin.actions import Question, ReasonForm, View, ask, done
from recognition.admin.kit import MODERATE, actor_of, note_about_person
from recognition.models import Face


def _on_a_face(view: Callable[[HttpRequest, Face], HttpResponse]) -> View:
    """Gives a view an existing face, if the operator may moderate."""

    def wrapped(request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.has_perms([MODERATE, "recognition.view_user", "recognition.view_face"]):
            raise PermissionDenied
        face = Face.objects.select_related("user").filter(pk=pk).first()
        if face is None:
            return HttpResponseRedirect(reverse("admin:recognition_face_change", args=[pk]))
        return view(request, face)

    return wrapped


@_on_a_face
def suspend(request: HttpRequest, face: Face) -> HttpResponse:
    def run(said: dict[str, Any]) -> HttpResponse:
        moderation.suspend_face(
            actor=actor_of(request), face_id=face.face_id, reason=said["reason"]
        )
        return done(request, face.user_id, f"Suspended {face.face_id}: {said['reason']}")

    explains = (
        "No search and no verification uses this face any more. The person's other faces stay as"
        " they are, and you can undo it at any time.",
    )
    question = Question(
        f"Suspend this face of {face.user}?",
        explains,
        "Suspend",
        run,
        face,
        ReasonForm,
        True,
    )
    return ask(request, question)


@_on_a_face
def unsuspend(request: HttpRequest, face: Face) -> HttpResponse:
    def run(_: dict[str, Any]) -> HttpResponse:
        moderation.unsuspend_face(actor=actor_of(request), face_id=face.face_id)
        return done(request, face.user_id, f"No longer suspended: {face.face_id}")

    question = Question(
        f"End the suspension of this face of {face.user}?",
        ("The face is used again as its settings say.",),
        "End the suspension",
        run,
        face,
    )
    return ask(request, question)


@_on_a_face
def move(request: HttpRequest, face: Face) -> HttpResponse:
    to = choosing.chosen(request)
    if to is None or to == face.user:
        title = f"To which person does this face of {face.user} belong?"
        return choosing.page(request, title, face, without=face.user)

    def run(_: dict[str, Any]) -> HttpResponse:
        moderation.move_face(actor=actor_of(request), face_id=face.face_id, user_id=to.pk)
        note_about_person(request, face.user_id, f"Moved {face.face_id} to another person")
        return done(request, to.pk, f"Moved {face.face_id} here from another person")

    question = Question(
        f"Move this face from {face.user} to {to}?",
        (
            f"Verification and searches will count it as a face of {to} from then on.",
            "Earlier verifications with it stay where they are.",
        ),
        "Move the face",
        run,
        face,
        people=(face.user, to),
    )
    return ask(request, question)


OF_A_FACE: dict[str, View] = {"suspend": suspend, "unsuspend": unsuspend, "move": move}
