"""Friendships between users, and groups with their members.

Only services make them: a user who could befriend others could find them. Users may list their own
friends and end a friendship. A member sees the group and their own membership, and may leave. What
belongs to others looks as if it did not exist.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from management.operations import locked_user, user_of
from recognition import audit, people
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.models import Friendship, Group, Membership, locks
from recognition.models.graph import is_group_name


def friends_of(caller: Caller, user_id: UUID) -> QuerySet[Friendship]:
    """Raises user_not_found."""
    return Friendship.objects.filter(user=user_of(caller, user_id)).select_related("friend")


def friendship_of(caller: Caller, user_id: UUID, other_id: UUID) -> Friendship:
    """Raises user_not_found, friendship_not_found."""
    friendship = friends_of(caller, user_id).filter(friend=other_id).first()
    if friendship is None:
        raise _no_friends()
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
        _note_friends(caller, "friendship.create", user_id, other_id)
    made = Friendship.objects.select_related("friend")
    return made.get(user=user_id, friend=other_id), is_new


@transaction.atomic
def unfriend(*, caller: Caller, user_id: UUID, other_id: UUID) -> None:
    """End a friendship. Raises user_not_found, friendship_not_found."""
    user_of(caller, user_id)
    both_rows = Q(user=user_id, friend=other_id) | Q(user=other_id, friend=user_id)
    # Locked in the order in which `befriend` makes them.
    rows = Friendship.objects.filter(both_rows).order_by("user_id", "friend_id").select_for_update()
    if not rows:
        raise _no_friends()
    Friendship.objects.filter(pk__in=[row.pk for row in rows]).delete()
    _note_friends(caller, "friendship.delete", user_id, other_id)


def _note_friends(caller: Caller, action: str, user_id: UUID, other_id: UUID) -> None:
    """Note the change in the history of both users."""
    for a, b in ((user_id, other_id), (other_id, user_id)):
        audit.note(caller.name, action, user_id=a, friend_id=str(b))


def _no_friends() -> ServiceError:
    return ServiceError("friendship_not_found", "They are not friends.")


def group_of(caller: Caller, name: str) -> Group:
    """The group. Raises group_not_found, even for a group that the user is no member of."""
    # A text that cannot be a name may hold characters that the database refuses.
    group = Group.objects.filter(name=name).first() if is_group_name(name) else None
    if group is None or not (caller.is_service or members_of(caller, group).exists()):
        raise ServiceError("group_not_found", "There is no such group.")
    return group


def members_of(caller: Caller, group: Group) -> QuerySet[Membership]:
    """The members that the caller may see: an end user sees only their own membership."""
    members = Membership.objects.filter(group=group).select_related("user")
    if caller.is_service:
        return members
    return members.filter(user=caller.user_id, user__suspended_at=None)


def membership_of(caller: Caller, name: str, user_id: UUID) -> Membership:
    """Raises group_not_found, membership_not_found."""
    membership = members_of(caller, group_of(caller, name)).filter(user=user_id).first()
    if membership is None:
        raise _not_a_member()
    return membership


@transaction.atomic
def put_group(*, caller: Caller, name: str) -> tuple[Group, bool]:
    """Make a group; the second value says whether it is new.

    Raises group_not_found, service_only, invalid_group_name.
    """
    if not caller.is_service:
        group_of(caller, name)
    caller.require_service()
    if not is_group_name(name):
        raise invalid_name()
    group, is_new = Group.objects.get_or_create(name=name)
    if is_new:
        audit.note(caller.name, "group.create", group=name)
    return group, is_new


@transaction.atomic
def delete_group(*, caller: Caller, name: str) -> None:
    """Remove a group with all memberships. Raises group_not_found, service_only."""
    group = group_of(caller, name)
    caller.require_service()
    # Waits for requests that join the group now; later ones wait for this.
    if not Group.objects.select_for_update().filter(pk=group.pk):
        raise ServiceError("group_not_found", "There is no such group.")
    count, _ = Membership.objects.filter(group=group).delete()
    group.delete()
    audit.note(caller.name, "group.delete", group=name, members=count)


@transaction.atomic
def join(*, caller: Caller, name: str, user_id: UUID) -> tuple[Membership, bool]:
    """Make a user a member; the second value says whether the membership is new.

    Raises group_not_found, membership_not_found, service_only, user_not_found.
    """
    group = group_of(caller, name)
    if not caller.may_act_for(user_id):
        raise _not_a_member()
    caller.require_service()
    # Locked, so that neither is removed before the membership is stored.
    if not Group.objects.select_for_update(no_key=True).filter(pk=group.pk):
        raise ServiceError("group_not_found", "There is no such group.")
    user = locked_user(user_id)
    membership, is_new = Membership.objects.get_or_create(group=group, user=user)
    membership.user = user
    if is_new:
        audit.note(caller.name, "membership.create", user_id=user_id, group=name)
    return membership, is_new


@transaction.atomic
def leave(*, caller: Caller, name: str, user_id: UUID) -> None:
    """End a membership. Raises group_not_found, membership_not_found."""
    membership = membership_of(caller, name, user_id)
    count, _ = Membership.objects.filter(pk=membership.pk).delete()
    if not count:  # another request ended it first
        raise _not_a_member()
    audit.note(caller.name, "membership.delete", user_id=user_id, group=name)


def invalid_name() -> ServiceError:
    return ServiceError(
        "invalid_group_name",
        "A group's name has 1 to 64 printable characters in the normal form NFC, no slash and no "
        "blanks at its ends, and is not `public`, `friends`, `.` or `..`.",
    )


def _not_a_member() -> ServiceError:
    return ServiceError("membership_not_found", "There is no such member.")
