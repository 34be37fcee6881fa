"""The one way into the audit log, and the one spelling of who acts.

An actor is `user:<id>` or `service:<name>` (Caller.name), `command:<name>`, `operator:<username>`
of the admin pages, or `system`.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from recognition.models import AuditEvent
from recognition.prepared import insert
from recognition.processes.current_request import NO_ID, current

SYSTEM = "system"
_LONGEST = 110  # characters of an actor


def operator(account: Any) -> str:
    """The actor of a request to the admin pages: `request.user`."""
    return f"operator:{account.get_username()}"[:_LONGEST]


def end_user(user_id: UUID) -> str:
    """The actor of a user's own token."""
    return f"user:{user_id}"


def is_end_user(actor: str) -> bool:
    return actor.startswith("user:")


def note(
    actor: str,
    action: str,
    *,
    user_id: UUID | None = None,
    face_id: str = "",
    other_user_id: UUID | None = None,
    viewer_id: UUID | None = None,
    **details: Any,
) -> AuditEvent:
    """Add an event, in the caller's transaction, with the id of the current request.

    `user_id` is whose history it belongs to, `other_user_id` who else it belongs to, `viewer_id` on
    whose behalf the actor acted. The database lets nobody change it afterwards.
    """
    event = _event(actor, action, details, user_id, face_id, other_user_id, viewer_id)
    insert(event)
    return event


def note_each(actor: str, action: str, events: Iterable[tuple[UUID, dict[str, Any]]]) -> None:
    """Add an event to the history of each of some people, with these details."""
    AuditEvent.objects.bulk_create(
        _event(actor, action, details, user_id) for user_id, details in events
    )


def _event(
    actor: str,
    action: str,
    details: dict[str, Any],
    user_id: UUID | None,
    face_id: str = "",
    other_user_id: UUID | None = None,
    viewer_id: UUID | None = None,
) -> AuditEvent:
    request_id = current.get().id
    return AuditEvent(
        actor=actor,
        action=action,
        user_id=user_id,
        face_id=face_id,
        other_user_id=other_user_id,
        viewer_id=viewer_id,
        request_id="" if request_id == NO_ID else request_id,
        details=details,
    )
