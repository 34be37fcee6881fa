"""The data of a person's page: a dozen statements, each with an index and a limit."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from management.admin import pictures, words
from recognition import audit
from recognition.admin.audit_sentences import Names, sentence
from recognition.admin.kit import ERASE, MODERATE, actor_of, spaced
from recognition.models import (
    Attempt,
    AuditEvent,
    Face,
    FailureCount,
    Friendship,
    Membership,
    PossibleDuplicate,
    Session,
    User,
)

# Rows of each kind on the page.
FACES, ROWS = 24, 15
# Faces of each person on a page that compares two people.
_COMPARED = 6


def sections(request: HttpRequest, user: User) -> dict[str, Any]:
    """The context of the template; rows that the operator may not view are None."""

    def may(model: str) -> bool:
        return request.user.has_perm(f"recognition.view_{model}")

    faces, groups = _faces(user), Membership.objects.filter(user=user).order_by("group")
    friends = Friendship.objects.filter(user=user).select_related("friend").order_by("friend")
    failures = list(FailureCount.objects.filter(user=user).order_by("source")[:ROWS])
    return {
        "person": user,
        "privacy": words.privacy(user),
        "may_moderate": request.user.has_perm(MODERATE),
        "may_erase": request.user.has_perm(ERASE),
        "is_locked": any(count.locked_at for count in failures),
        "may_unlock": bool(failures),
        "faces": face_cards(request, faces[:FACES]) if may("face") else None,
        "more_faces": len(faces) > FACES,
        "friends": [each.friend for each in friends[:ROWS]],
        "groups": groups.values_list("group__name", flat=True)[:ROWS],
        "sessions": _sessions(user) if may("session") else None,
        "attempts": _attempts(user) if may("attempt") else None,
        "failures": failures if may("failurecount") else None,
        "events": _events(user) if may("auditevent") else None,
        "duplicates": _open_duplicates(user) if may("possibleduplicate") else [],
        "limit": ROWS,
    }


def side_by_side(request: HttpRequest, people: Iterable[User]) -> list[dict[str, Any]]:
    """Each person with the newest faces, for a comparison. Audits that each was viewed."""
    shown = []
    for user in people:
        audit.note(actor_of(request), "user.view", user_id=user.pk)
        faces = _faces(user)[:_COMPARED] if request.user.has_perm("recognition.view_face") else []
        shown.append({"person": user, "faces": face_cards(request, faces)})
    return shown


def face_cards(request: HttpRequest, faces: Iterable[Face]) -> list[dict[str, Any]]:
    """Each face with its picture and its description, for `people/face_cards.html`."""
    return [
        {
            "face": face,
            "picture": pictures.picture_of(request, face),
            "quality": words.quality_of(face),
            "found_by": words.found_by(face),
        }
        for face in faces
    ]


def _faces(user: User) -> list[Face]:
    faces = pictures.with_pictures(Face.objects.filter(user=user))
    return list(faces.order_by("-pk")[: FACES + 1])


def _open_duplicates(user: User) -> list[dict[str, Any]]:
    pairs = PossibleDuplicate.objects.filter(Q(user_a=user) | Q(user_b=user), state="open")
    return [
        {
            "pair": pair,
            "other": pair.user_b if pair.user_a_id == user.pk else pair.user_a,
            "confidence": words.confidence(pair.confidence),
        }
        for pair in pairs.select_related("user_a", "user_b").order_by("-pk")[:ROWS]
    ]


def _sessions(user: User) -> list[dict[str, Any]]:
    sessions = Session.objects.filter(user=user).order_by("-created_at")[:ROWS]
    return [
        {
            "session": each,
            "purpose": spaced(each.purpose),
            "state": spaced(each.shown_state),
            "level": spaced(each.level),
        }
        for each in sessions
    ]


def _attempts(user: User) -> list[dict[str, Any]]:
    return [
        {
            "attempt": each,
            "result": spaced(each.result),
            "confidence": "–" if each.confidence is None else words.confidence(each.confidence),
            "risk": spaced(each.risk_level),
            "factors": ", ".join(map(spaced, each.factors)),
        }
        for each in Attempt.objects.filter(user=user).order_by("-at")[:ROWS]
    ]


def _events(user: User) -> list[dict[str, Any]]:
    about = Q(user_id=user.pk) | Q(other_user_id=user.pk)
    events = list(AuditEvent.objects.filter(about).order_by("-id")[:ROWS])
    names = Names.of(events)
    return [{"event": each, "what": sentence(each, names)} for each in events]
