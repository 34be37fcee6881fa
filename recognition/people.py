"""Whether a user may take part: neither merged into another one nor suspended.

Services are told which of these it is. To end users somebody who is suspended is as good as
unknown, also where it is they themselves.
"""

from uuid import UUID

from recognition.errors import ServiceError
from recognition.models import MergedUser, User


def not_found(user_id: UUID) -> ServiceError:
    """For a user who is not there: user_not_found, or user_merged, which says no more than that."""
    if MergedUser.objects.filter(pk=user_id).exists():
        return ServiceError("user_merged", "The user was merged into another one.")
    return _unknown()


def require_not_merged(user_id: UUID) -> None:
    """Before a user is created. Raises user_merged."""
    error = not_found(user_id)
    if error.code == "user_merged":
        raise error


def is_suspended(user_id: UUID) -> bool:
    return User.objects.filter(pk=user_id, suspended_at__isnull=False).exists()


def suspended(*, is_told: bool) -> ServiceError:
    if is_told:
        return ServiceError("user_suspended", "The user is suspended.")
    return _unknown()


def _unknown() -> ServiceError:
    return ServiceError("user_not_found", "There is no such user.")
