"""Friendships between users.

Only services make friends: a user who could befriend others could find them. Users may list their
own friends and end a friendship; what belongs to others looks as if it did not exist.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from management.operations import user_of
from recognition import audit, people
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.models import Friendship, locks


def friends_of(caller: Caller, user_id: UUID) -> QuerySet[Friendship]:
    """Raises user_not_found."""
    return Friendship.objects.filter(user=user_of(caller, user_id))


def friendship_of(caller: Caller, user_id: UUID, other_id: UUID) -> Friendship:
    """Raises user_not_found, friendship_not_found."""
    friendship = friends_of(caller, user_id).filter(friend=other_id).first()
    if friendship is None:
        raise _not_found()
    return friendship


@transaction.atomic
def befriend(*, caller: Caller, user_id: UUID, other_id: UUID) -> tuple[Friendship, bool]:
    """Make two users friends; the second value says whether the friendship is new.

    Raises user_not_found, user_merged, service_only, invalid_friendship.
    """
    user_of(caller, user_id)
    caller.require_service()
    if user_id == other_id:
        raise ServiceError("invalid_friendship", "A user cannot be their own friend.")
    both = sorted((user_id, other_id))
    # Locked, so that neither is erased and a second call waits. All code locks in one order, or two
    # calls could wait for each other.
    for missing in set(both) - locks.lock_users(both).keys():
        raise people.not_found(missing)
    is_new = not Friendship.objects.filter(user=user_id, friend=other_id).exists()
    if is_new:
        rows = [Friendship(user_id=a, friend_id=b) for a, b in (both, both[::-1])]
        # An import does not take these locks.
        Friendship.objects.bulk_create(rows, ignore_conflicts=True)
        _note(caller, "friendship.create", user_id, other_id)
    return Friendship.objects.get(user=user_id, friend=other_id), is_new


@transaction.atomic
def unfriend(*, caller: Caller, user_id: UUID, other_id: UUID) -> None:
    """End a friendship. Raises user_not_found, friendship_not_found."""
    user_of(caller, user_id)
    both_rows = Q(user=user_id, friend=other_id) | Q(user=other_id, friend=user_id)
    # Locked in the order in which `befriend` makes them.
    rows = Friendship.objects.filter(both_rows).order_by("user_id", "friend_id").select_for_update()
    if not rows:
        raise _not_found()
    Friendship.objects.filter(pk__in=[row.pk for row in rows]).delete()
    _note(caller, "friendship.delete", user_id, other_id)


def _note(caller: Caller, action: str, user_id: UUID, other_id: UUID) -> None:
    """Note the change in the history of both users."""
    for a, b in ((user_id, other_id), (other_id, user_id)):
        audit.note(caller.name, action, user_id=a, friend_id=str(b))


def _not_found() -> ServiceError:
    return ServiceError("friendship_not_found", "They are not friends.")
