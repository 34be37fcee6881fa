"""What moderators do, for both the API and the admin pages.

Each function is one transaction with one audit event. `actor` is spelled as recognition.audit says;
`noted` is what else goes into the event: the `reason`, and the `viewer_id` that the actor acts for.
The user concerned is locked first, as everywhere.
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from management import broken_off, merging
from management.operations import face_of, locked_face, locked_user
from recognition import audit, people
from recognition.enrolment import lookalikes
from recognition.errors import ServiceError
from recognition.models import Attempt, Face, User, locks
from recognition.models.duplicates import DuplicateState, PossibleDuplicate
from recognition.privacy.keeping import KEEPS, move_faces
from recognition.verification import lockout, sessions

MAX_REASON = 500  # characters
DECISIONS = (DuplicateState.SAME_PERSON.value, DuplicateState.DIFFERENT_PEOPLE.value)


class Unlocked(NamedTuple):
    user_id: UUID
    counts_forgotten: int


# --- suspension -----------------------------------------------------------------------------------


@transaction.atomic
def suspend_user(*, actor: str, user_id: UUID, **noted: Any) -> User:
    """Hide a user with all their faces, and end their sessions; a repeated call changes nothing.

    Raises user_not_found, user_merged.
    """
    user = locked_user(user_id)
    if _suspend(user, timezone.now()):
        sessions.end_all(user_id)
        audit.note(actor, "user.suspend", user_id=user_id, **noted)
    return user


@transaction.atomic
def unsuspend_user(*, actor: str, user_id: UUID, **noted: Any) -> User:
    """End a suspension; faces with their own stay suspended. Raises user_not_found, user_merged."""
    user = locked_user(user_id)
    if _suspend(user, None):
        audit.note(actor, "user.unsuspend", user_id=user_id, **noted)
    return user


@transaction.atomic
def suspend_face(*, actor: str, face_id: str, **noted: Any) -> Face:
    """Exclude a face from all comparisons; repeating it changes nothing. Raises face_not_found."""
    face = locked_face(face_id)
    if _suspend(face, timezone.now()):
        audit.note(actor, "face.suspend", user_id=face.user_id, face_id=face_id, **noted)
    return face


@transaction.atomic
def unsuspend_face(*, actor: str, face_id: str, **noted: Any) -> Face:
    """Raises face_not_found."""
    face = locked_face(face_id)
    if _suspend(face, None):
        audit.note(actor, "face.unsuspend", user_id=face.user_id, face_id=face_id, **noted)
    return face


def _suspend(row: User | Face, at: datetime | None) -> bool:
    """Suspend a row, or end its suspension (None); returns False for one that is so already."""
    if (row.suspended_at is None) == (at is None):
        return False
    row.suspended_at = at
    row.save(update_fields=["suspended_at", "updated_at"])
    return True


@transaction.atomic
def unlock_user(*, actor: str, user_id: UUID, **noted: Any) -> Unlocked:
    """Forget the failed attempts. Raises user_not_found, user_merged."""
    locked_user(user_id)
    return Unlocked(user_id, lockout.unlock(user_id, actor=actor, **noted))


# --- whose face it is -----------------------------------------------------------------------------


@broken_off.repeated
def move_face(*, actor: str, face_id: str, user_id: UUID, **noted: Any) -> Face:
    """Give a face to another user, with its settings, its consent and its kept picture.

    Raises face_not_found, user_not_found, user_merged, same_user, unavailable.
    """
    was = face_of(face_id).user_id
    if was == user_id:
        raise ServiceError("same_user", "The face already belongs to this user.")
    if user_id not in locks.lock_entirely(was, user_id):
        raise people.not_found(user_id)
    face = Face.objects.select_for_update().filter(face_id=face_id).first()
    if face is None or face.user_id != was:  # moved or deleted in between
        raise broken_off.ChangedError
    Attempt.objects.filter(user=was, face=face).update(face=None)
    move_faces([face.pk], user_id)
    face.refresh_from_db()
    for keeps in KEEPS:
        keeps.move_face(face, was)
    audit.note(actor, "face.move", user_id=was, other_user_id=user_id, face_id=face_id, **noted)
    return face


@broken_off.repeated
def merge_users(
    *, actor: str, user_id: UUID, into: UUID, privacy_level: str | None = None, **noted: Any
) -> User:
    """Merge two users; returns `into`, who stays. See management.merging.

    Without a `privacy_level` the stricter of both holds. Raises same_user, user_not_found,
    user_merged (of either), unavailable.
    """
    return merging.merge(actor, user_id, into, privacy_level=privacy_level, **noted)


@broken_off.repeated
def decide(
    *, actor: str, duplicate_id: int, decision: str, into: UUID | None = None, **noted: Any
) -> PossibleDuplicate:
    """Decide that a pair is `different_people`, for all of their faces, or `same_person`.

    `same_person` merges the two: `into` stays, one of the two, by default the older user.
    Raises duplicate_not_found, already_decided, invalid_request, unavailable.
    """
    if decision == DuplicateState.DIFFERENT_PEOPLE:
        return _keep_apart(actor, duplicate_id, noted)
    if decision == DuplicateState.SAME_PERSON:
        return _merge_pair(actor, duplicate_id, into, noted)
    raise ValueError(f"{decision} is no decision")


def _keep_apart(actor: str, duplicate_id: int, noted: dict[str, Any]) -> PossibleDuplicate:
    row = open_duplicate(duplicate_id)
    lookalikes.decide(row, DuplicateState.DIFFERENT_PEOPLE, actor)
    pair: dict[str, Any] = {"user_id": row.user_a_id, "other_user_id": row.user_b_id}
    noted = {"decision": row.state, "duplicate_id": duplicate_id, **noted}
    audit.note(actor, "duplicate.decide", **pair, **noted)
    return row


def _merge_pair(
    actor: str, duplicate_id: int, into: UUID | None, noted: dict[str, Any]
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
    merging.merge(actor, goes, stays, duplicate_id=duplicate_id, **noted)
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
