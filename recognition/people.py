"""Whether a user may take part: neither merged into another one nor suspended.

Services learn which of these it is. For end users somebody who is suspended is as good as
unknown, also where it is they themselves: to them no answer says `suspended`.
"""

from enum import Enum
from uuid import UUID

from recognition.errors import ServiceError
from recognition.models import MergedUser, User


class Standing(Enum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    MERGED = "merged"
    UNKNOWN = "unknown"


def standing_of(user_id: UUID) -> Standing:
    users = User.objects.filter(pk=user_id).values_list("suspended_at", flat=True)
    found = list(users[:1])
    if found:
        return Standing.SUSPENDED if found[0] else Standing.ACTIVE
    return Standing.MERGED if _is_merged(user_id) else Standing.UNKNOWN


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


def _is_merged(user_id: UUID) -> bool:
    return MergedUser.objects.filter(pk=user_id).exists()


def merged() -> ServiceError:
    return ServiceError("user_merged", "The user was merged into another one.")


def unknown() -> ServiceError:
    return ServiceError("user_not_found", "There is no such user.")
