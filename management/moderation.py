"""What moderators do, for both the API and the admin pages.

Each function is one transaction with one audit event. `actor` is spelled as recognition.audit says;
`viewer_id` is the user that the actor acts for. The user concerned is locked first, as everywhere.
"""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from management import broken_off, merging
from management.operations import locked_user
from recognition import audit, people
from recognition.enrolment import lookalikes
from recognition.errors import ServiceError
from recognition.models import Attempt, Face, User, locks
from recognition.models.duplicates import DuplicateState, PossibleDuplicate
from recognition.privacy import moves
from recognition.privacy.keeping import KEEPS
from recognition.verification import lockout, sessions

MAX_REASON = 500  # characters
DECISIONS = (DuplicateState.SAME_PERSON.value, DuplicateState.DIFFERENT_PEOPLE.value)

# --- suspension -----------------------------------------------------------------------------------


@transaction.atomic
def suspend_user(
    *, actor: str, user_id: UUID, reason: str = "", viewer_id: UUID | None = None
) -> User:
    """Hide a user with all their faces, and end their sessions; a repeated call changes nothing.

    Raises user_not_found, user_merged.
    """
    user = locked_user(user_id)
    if user.suspended_at is None:
        user.suspended_at = timezone.now()
        user.save(update_fields=["suspended_at", "updated_at"])
        sessions.end_all(user_id)
        audit.note(actor, "user.suspend", user_id=user_id, viewer_id=viewer_id, **_because(reason))
    return user


@transaction.atomic
def unsuspend_user(
    *, actor: str, user_id: UUID, reason: str = "", viewer_id: UUID | None = None
) -> User:
    """Faces that were suspended themselves stay so. Raises user_not_found, user_merged."""
    user = locked_user(user_id)
    if user.suspended_at is not None:
        user.suspended_at = None
        user.save(update_fields=["suspended_at", "updated_at"])
        details = _because(reason)
        audit.note(actor, "user.unsuspend", user_id=user_id, viewer_id=viewer_id, **details)
    return user


@transaction.atomic
def suspend_face(
    *, actor: str, face_id: str, reason: str = "", viewer_id: UUID | None = None
) -> Face:
    """Exclude a face from all comparisons; again changes nothing. Raises face_not_found."""
    face = _face(face_id)
    if face.suspended_at is None:
        face.suspended_at = timezone.now()
        _save_face(actor, "face.suspend", face, reason, viewer_id)
    return face


@transaction.atomic
def unsuspend_face(
    *, actor: str, face_id: str, reason: str = "", viewer_id: UUID | None = None
) -> Face:
    """Raises face_not_found."""
    face = _face(face_id)
    if face.suspended_at is not None:
        face.suspended_at = None
        _save_face(actor, "face.unsuspend", face, reason, viewer_id)
    return face


def _save_face(actor: str, action: str, face: Face, reason: str, viewer_id: UUID | None) -> None:
    face.save(update_fields=["suspended_at", "updated_at"])
    about: dict[str, Any] = {
        "user_id": face.user_id,
        "face_id": face.face_id,
        "viewer_id": viewer_id,
    }
    audit.note(actor, action, **about, **_because(reason))


# --- failed attempts ------------------------------------------------------------------------------


@transaction.atomic
def unlock(*, actor: str, user_id: UUID, reason: str = "", viewer_id: UUID | None = None) -> int:
    """Forget the failed attempts; returns how many counts. Raises user_not_found, user_merged."""
    locked_user(user_id)
    return lockout.unlock(user_id, actor=actor, viewer_id=viewer_id, **_because(reason))


# --- whose face it is -----------------------------------------------------------------------------


def move_face(
    *,
    actor: str,
    face_id: str,
    user_id: UUID,
    reason: str = "",
    viewer_id: UUID | None = None,
) -> Face:
    """Give a face to another user, with its settings, its consent and its kept picture.

    Raises face_not_found, user_not_found, user_merged, same_user, unavailable.
    """
    return broken_off.whole(lambda: _move(actor, face_id, user_id, reason, viewer_id))


def _move(actor: str, face_id: str, to: UUID, reason: str, viewer_id: UUID | None) -> Face:
    was = _face_now(face_id).user_id
    if was == to:
        raise ServiceError("same_user", "The face already belongs to this user.")
    users = locks.lock_entirely(was, to)
    if to not in users:
        raise people.not_found(to)
    face = Face.objects.select_for_update().filter(face_id=face_id).first()
    if face is None or face.user_id != was:  # moved or deleted in between
        raise broken_off.ChangedError
    Attempt.objects.filter(user=was, face=face).update(face=None)
    moves.move([face.pk], to)
    face.refresh_from_db()
    for keeps in KEEPS:
        keeps.move_face(face, was)
    about: dict[str, Any] = {
        "user_id": was,
        "other_user_id": to,
        "face_id": face_id,
        "viewer_id": viewer_id,
    }
    audit.note(actor, "face.move", **about, **_because(reason))
    return face


def merge_users(
    *,
    actor: str,
    user_id: UUID,
    into: UUID,
    privacy_level: str | None = None,
    reason: str = "",
    viewer_id: UUID | None = None,
) -> User:
    """Merge two users; returns `into`, who stays. See management.merging.

    Without a `privacy_level` the stricter of both holds. Raises same_user, user_not_found,
    user_merged (of either), unavailable.
    """
    because = {"viewer_id": viewer_id, **_because(reason)}
    return broken_off.whole(
        lambda: merging.merge(actor, user_id, into, privacy_level=privacy_level, **because)
    )


def decide(
    *,
    actor: str,
    duplicate_id: int,
    decision: str,
    into: UUID | None = None,
    reason: str = "",
    viewer_id: UUID | None = None,
) -> PossibleDuplicate:
    """Decide that a pair is `different_people`, for all of their faces, or `same_person`.

    `same_person` merges the two: `into` stays, one of the two, by default the older user.
    Raises duplicate_not_found, already_decided, invalid_request, unavailable.
    """
    because = {"viewer_id": viewer_id, **_because(reason)}
    if decision == DuplicateState.DIFFERENT_PEOPLE:
        return broken_off.whole(lambda: _keep_apart(actor, duplicate_id, because))
    if decision == DuplicateState.SAME_PERSON:
        return broken_off.whole(lambda: _merge_pair(actor, duplicate_id, into, because))
    raise ValueError(f"{decision} is no decision")


def _keep_apart(actor: str, duplicate_id: int, because: dict[str, Any]) -> PossibleDuplicate:
    row = open_duplicate(duplicate_id)
    lookalikes.decide(row, DuplicateState.DIFFERENT_PEOPLE, actor)
    about: dict[str, Any] = {"user_id": row.user_a_id, "other_user_id": row.user_b_id}
    details = {"decision": row.state, "duplicate_id": duplicate_id, **because}
    audit.note(actor, "duplicate.decide", **about, **details)
    return row


def _merge_pair(
    actor: str, duplicate_id: int, into: UUID | None, because: dict[str, Any]
) -> PossibleDuplicate:
    row = _require_open(PossibleDuplicate.objects.filter(pk=duplicate_id).first())
    pair = locks.lock_entirely(*row.users)
    if open_duplicate(duplicate_id).users != row.users:  # one was merged into a third in between
        raise broken_off.ChangedError
    if into is not None and into not in pair:
        raise ServiceError("invalid_request", "`into` must be one of the two users.")
    first = min(pair.values(), key=lambda user: (user.created_at, user.pk))
    stays = into or first.pk
    (goes,) = pair.keys() - {stays}
    merging.merge(actor, goes, stays, duplicate_id=duplicate_id, **because)
    row.refresh_from_db()
    return row


def open_duplicate(duplicate_id: int) -> PossibleDuplicate:
    """The open pair, locked. Raises duplicate_not_found, already_decided."""
    rows = PossibleDuplicate.objects.select_for_update(of=("self",))
    return _require_open(rows.filter(pk=duplicate_id).first())


def _require_open(row: PossibleDuplicate | None) -> PossibleDuplicate:
    if row is None:
        raise ServiceError("duplicate_not_found", "There is no such possible duplicate.")
    if row.state != DuplicateState.OPEN:
        raise ServiceError("already_decided", "The pair is already decided.", {"state": row.state})
    return row


# --- what all of them need ------------------------------------------------------------------------


def _because(reason: str) -> dict[str, Any]:
    return {"reason": reason} if reason else {}


def _face_now(face_id: str) -> Face:
    face = Face.objects.filter(face_id=face_id).first()
    if face is None:
        raise ServiceError("face_not_found", "There is no such face.")
    return face


def _face(face_id: str) -> Face:
    """The face, locked after its user. Raises face_not_found."""
    while True:
        owner = _face_now(face_id).user_id
        locks.lock_user(owner)
        face = Face.objects.select_for_update().filter(face_id=face_id, user=owner).first()
        if face is not None:
            return face
