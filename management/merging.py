"""Merges two users: all data of one moves to the other, whose id stays.

The merged id is remembered (MergedUser): no user can be created with it, and it answers
user_merged.
"""

from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, Value
from django.db.models.functions import Replace

from recognition import audit, people
from recognition.api import idempotency
from recognition.enrolment import lookalikes
from recognition.errors import ServiceError
from recognition.models import (
    Attempt,
    Face,
    FailureCount,
    Friendship,
    Membership,
    MergedUser,
    PrivacyLevel,
    RecentProbe,
    Session,
    User,
    locks,
)
from recognition.privacy.keeping import KEEPS, Person, move_faces
from recognition.verification import sessions

_MILDEST_FIRST = (PrivacyLevel.PUBLIC, PrivacyLevel.FRIENDS, PrivacyLevel.PRIVATE)

# A link that both users have stays. Rows are inserted in the order of their unique keys, as
# everywhere; the rows of the merged user are locked.
_FRIENDSHIPS = """
INSERT INTO recognition_friendship (user_id, friend_id, created_at)
SELECT CASE user_id WHEN %(was)s THEN %(into)s ELSE user_id END AS a,
    CASE friend_id WHEN %(was)s THEN %(into)s ELSE friend_id END AS b, created_at
FROM recognition_friendship
WHERE id = ANY(%(rows)s) AND %(into)s NOT IN (user_id, friend_id)
ORDER BY a, b
ON CONFLICT (user_id, friend_id) DO NOTHING
"""
_MEMBERSHIPS = """
INSERT INTO recognition_membership (group_id, user_id, created_at)
SELECT group_id, %(into)s, created_at FROM recognition_membership WHERE id = ANY(%(rows)s)
ORDER BY group_id
ON CONFLICT (group_id, user_id) DO NOTHING
"""
# The stricter of two counts stays: a merge must not reset failed attempts.
_FAILURES = """
INSERT INTO recognition_failurecount AS kept
    (user_id, source, failures, parts, blocked_until, locked_at, last_failure_at)
SELECT %(into)s, source, failures, parts, blocked_until, locked_at, last_failure_at
FROM recognition_failurecount WHERE user_id = %(was)s ORDER BY source
ON CONFLICT (user_id, source) DO UPDATE SET
    failures = greatest(kept.failures, excluded.failures),
    parts = greatest(kept.parts, excluded.parts),
    blocked_until = greatest(kept.blocked_until, excluded.blocked_until),
    locked_at = coalesce(kept.locked_at, excluded.locked_at),
    last_failure_at = greatest(kept.last_failure_at, excluded.last_failure_at)
"""
# Deleted without the receiver of pre_delete, which would erase what was moved.
_REMOVE_USER = "DELETE FROM recognition_user WHERE id = %(was)s"


def merge(
    actor: str, user_id: UUID, into: UUID, *, privacy_level: str | None = None, **noted: Any
) -> User:
    """Merge in the caller's transaction; returns who stays. `noted` goes into the audit log.

    Raises same_user, user_not_found, user_merged.
    """
    if user_id == into:
        raise ServiceError("same_user", "A user is not merged into itself.")
    for keeps in KEEPS:
        keeps.hand_over(user_id, into)
    users = locks.lock_entirely(user_id, into)
    for each in (user_id, into):
        if each not in users:
            raise people.not_found(each)
    goes, stays = users[user_id], users[into]
    # First, while the rows still show whose they are.
    sessions.end_all(user_id)
    idempotency.forget(Person.of(user_id))
    faces = Face.objects.filter(user=user_id).values_list("pk", flat=True)
    counts: dict[str, Any] = {"faces": move_faces(faces, into), **_hand_over_links(user_id, into)}
    _hand_over_history(user_id, into)
    lookalikes.follow_merge(user_id, into, actor=actor)
    _settle(goes, stays, privacy_level)
    MergedUser.objects.filter(into=user_id).update(into=into)
    MergedUser.objects.create(pk=user_id, given_id=goes.given_id, into=stays)
    _execute(_REMOVE_USER, was=user_id)
    audit.note(actor, "user.merge", user_id=user_id, other_user_id=into, **counts, **noted)
    return stays


def _settle(goes: User, stays: User, privacy_level: str | None) -> None:
    """Set the stricter privacy level, unless a level is given, and fill in a missing name."""
    stricter = max(goes.privacy_level, stays.privacy_level, key=_MILDEST_FIRST.index)
    stays.privacy_level = privacy_level or stricter
    if goes.suspended_at and not stays.suspended_at:
        stays.suspended_at = goes.suspended_at
        sessions.end_all(stays.pk)
    stays.display_name = stays.display_name or goes.display_name
    stays.profile_image = stays.profile_image or goes.profile_image
    stays.save()


def _hand_over_links(was: UUID, into: UUID) -> dict[str, int]:
    """Move friendships and memberships; returns how many are new."""
    friends = Friendship.objects.filter(Q(user=was) | Q(friend=was))
    friends = friends.order_by("user_id", "friend_id").select_for_update()
    rows = [row.pk for row in friends]
    befriended = _execute(_FRIENDSHIPS, was=was, into=into, rows=rows) // 2
    Friendship.objects.filter(pk__in=rows).delete()
    members = Membership.objects.filter(user=was).order_by("group_id").select_for_update()
    rows = [row.pk for row in members]
    joined = _execute(_MEMBERSHIPS, into=into, rows=rows)
    Membership.objects.filter(pk__in=rows).delete()
    return {"friendships": befriended, "memberships": joined}


def _hand_over_history(was: UUID, into: UUID) -> None:
    """Move sessions, attempts (with the known devices), used pictures and counts of failures."""
    named = {"user": into}
    for model, column in ((Session, "client"), (Attempt, "source")):
        by_name = Replace(column, Value(f"user:{was}"), Value(f"user:{into}"))
        model._default_manager.filter(user=was).update(**named, **{column: by_name})
    RecentProbe.objects.filter(user=was).update(**named)
    _execute(_FAILURES, was=was, into=into)
    FailureCount.objects.filter(user=was).delete()


def _execute(statement: str, **values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)
