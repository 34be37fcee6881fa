"""Whether a user may take part: neither merged into another one nor suspended.

Services learn which of these it is. For end users a suspended user is as good as unknown, even if
it is they themselves: no answer tells an end user `suspended`.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from recognition.errors import ServiceError
from recognition.models import MergedUser, User
from recognition.models.user_ids import is_made
from recognition.prepared import Blank, kept


def is_hidden(user_id: UUID, *, is_told: bool) -> bool:
    """Whether the user is suspended; an unknown one is not.

    Raises user_merged and, for those who may know it, user_suspended.
    """
    found = _suspended_at({"user": user_id})
    if not found:
        require_not_merged(user_id)
        return False
    is_suspended = found[0][0] is not None
    if is_suspended and is_told:
        raise suspended(is_told=True)
    return is_suspended


@kept
def _suspended_at() -> QuerySet[Any, Any]:
    return User.objects.filter(pk=Blank("user")).values_list("suspended_at")


def is_suspended(user_id: UUID) -> bool:
    return User.objects.filter(pk=user_id, suspended_at__isnull=False).exists()


def require_not_merged(user_id: UUID) -> None:
    """Before a user is created. Raises user_merged."""
    if _is_merged(user_id):
        raise merged()


def not_found(user_id: UUID) -> ServiceError:
    """For a user who is not there: user_not_found, or user_merged, which says no more than that."""
    return merged() if _is_merged(user_id) else unknown()


def suspended(*, is_told: bool) -> ServiceError:
    """user_suspended for those who may know, and else user_not_found."""
    if is_told:
        return ServiceError("user_suspended", "The user is suspended.")
    return unknown()


def texts_of(keys: Iterable[UUID]) -> dict[str, str]:
    """The app's ids, by their keys, of users who exist or were merged, where a key does not say it.

    Asks the database only if there is such a key.
    """
    made = [key for key in keys if is_made(key)]
    if not made:
        return {}
    kinds = (User.objects, MergedUser.objects)
    users, merged = (kind.filter(pk__in=made).values_list("pk", "given_id") for kind in kinds)
    return {str(key): given for key, given in users.union(merged) if given}


def _is_merged(user_id: UUID) -> bool:
    return bool(_merged({"user": user_id}))


@kept
def _merged() -> QuerySet[Any, Any]:
    return MergedUser.objects.filter(pk=Blank("user")).values_list("pk")


def merged() -> ServiceError:
    return ServiceError("user_merged", "The user was merged into another one.")


def unknown() -> ServiceError:
    return ServiceError("user_not_found", "There is no such user.")
