"""Groups and their members.

Only services make them. A member sees the group and their own membership, and may leave. To all
other users it looks as if the group did not exist.
"""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from recognition import audit, people
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.models import Group, Membership, locks
from recognition.models.graph import is_group_name


def group_of(caller: Caller, name: str) -> Group:
    """The group. Raises group_not_found, even for a group that the user is no member of."""
    # A text that cannot be a name may hold characters that the database refuses.
    group = Group.objects.filter(name=name).first() if is_group_name(name) else None
    if group is None or not (caller.is_service or members_of(caller, group).exists()):
        raise ServiceError("group_not_found", "There is no such group.")
    return group


def members_of(caller: Caller, group: Group) -> QuerySet[Membership]:
    """The members that the caller may see: an end user sees only their own membership."""
    members = Membership.objects.filter(group=group)
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
        _note(caller, "group.create", name)
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
    _note(caller, "group.delete", name, members=count)


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
    if not locks.lock_user(user_id):
        raise people.not_found(user_id)
    membership, is_new = Membership.objects.get_or_create(group=group, user_id=user_id)
    if is_new:
        _note(caller, "membership.create", name, user_id)
    return membership, is_new


@transaction.atomic
def leave(*, caller: Caller, name: str, user_id: UUID) -> None:
    """End a membership. Raises group_not_found, membership_not_found."""
    membership = membership_of(caller, name, user_id)
    count, _ = Membership.objects.filter(pk=membership.pk).delete()
    if not count:  # another request ended it first
        raise _not_a_member()
    _note(caller, "membership.delete", name, user_id)


def invalid_name() -> ServiceError:
    return ServiceError(
        "invalid_group_name",
        "A group's name has 1 to 64 printable characters in the normal form NFC, no slash and no "
        "blanks at its ends, and is not `public`, `friends`, `.` or `..`.",
    )


def _note(
    caller: Caller, action: str, name: str, user_id: UUID | None = None, **details: Any
) -> None:
    audit.note(caller.name, action, user_id=user_id, group=name, **details)


def _not_a_member() -> ServiceError:
    return ServiceError("membership_not_found", "There is no such member.")
