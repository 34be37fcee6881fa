"""Who is calling, and for which users they may act."""

from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

from recognition import people
from recognition.collections.current import DEFAULT, here
from recognition.errors import ServiceError

# Makes, lists and erases collections: only a service of `default` may. See management.collections.
OVER_COLLECTIONS = "face:collections"
SCOPES = (
    "face:register",
    "face:verify",
    "face:identify",
    "face:manage",
    "face:batch",
    OVER_COLLECTIONS,
    "face:admin",
)


@dataclass(frozen=True)
class Caller:
    """The subject of a verified token: an end user, or a service that acts for any user."""

    subject: str
    user_id: UUID | None  # of an end user
    scopes: frozenset[str]
    calls_per_minute: int | None = None  # of the token itself, in place of the settings' limits
    collection: str = DEFAULT.name
    issued_at: int | None = field(default=None, compare=False)  # in seconds, if the token says so

    is_authenticated = True  # asked for by Django REST framework

    @cached_property
    def is_service(self) -> bool:
        return self.user_id is None

    @property
    def name(self) -> str:
        """For the audit log."""
        return f"service:{self.subject}" if self.is_service else f"user:{self.subject}"

    def speaks_for(self, user_id: UUID) -> bool:
        """By the token alone: the user may be suspended, and see nothing."""
        return self.is_service or self.user_id == user_id

    def may_act_for(self, user_id: UUID) -> bool:
        """Whether what is the user's is the caller's to see. To a suspended user nothing is."""
        is_hidden = not self.is_service and people.is_suspended(user_id)
        return self.speaks_for(user_id) and not is_hidden

    def require_own(self, user_id: UUID) -> None:
        """Raises not_your_user, whether or not there is such a user."""
        if not self.speaks_for(user_id):
            raise ServiceError("not_your_user", "The token belongs to another user.")

    def require_service(self) -> None:
        """Raises service_only. Users who made friends themselves could find anybody."""
        if not self.is_service:
            raise ServiceError("service_only", "Only a service may do this.")

    def require_default(self) -> None:
        """Raises default_collection_only. No collection has a say in others."""
        if not here().is_default:
            message = "Only a service of the collection default may do this."
            raise ServiceError("default_collection_only", message)
