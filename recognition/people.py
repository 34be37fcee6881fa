"""Whether a user may take part: neither merged into another one nor suspended.

Services learn which of these it is. For end users a suspended user is as good as unknown, even if
it is they themselves: no answer tells an end user `suspended`.
"""

from uuid import UUID

from recognition.errors import ServiceError
from recognition.models import MergedUser, User


def is_hidden(user_id: UUID, *, is_told: bool) -> bool:
    """Whether the user is suspended; an unknown one is not.

    Raises user_merged and, for those who may know it, user_suspended.
    """
    found = list(User.objects.filter(pk=user_id).values_list("suspended_at", flat=True))
    if not found:
        require_not_merged(user_id)
    elif found[0] and is_told:
        raise suspended(is_told=True)
    return any(found)


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
