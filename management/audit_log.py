"""Reading the audit log."""

from collections.abc import Mapping
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime

from recognition.errors import ServiceError
from recognition.models import AuditEvent
from recognition.privacy.keeping import ids_of


def events(wanted: Mapping[str, str]) -> QuerySet[AuditEvent]:
    """The events of a user and of ids merged into it, of one action, or since a time.

    All three arguments are texts. Raises invalid_request.
    """
    found = AuditEvent.objects.all()
    if (text := wanted.get("user_id")) is not None:
        ids = ids_of(_id(text))
        found = found.filter(Q(user_id__in=ids) | Q(other_user_id__in=ids))
    if (action := wanted.get("action")) is not None:
        if "\0" in action:
            raise ServiceError("invalid_request", "There is no such action.")
        found = found.filter(action=action)
    if (since := wanted.get("since")) is not None:
        try:
            at = parse_datetime(since)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            message = "since must be a time with its zone, as 2024-01-20T10:30:00Z."
            raise ServiceError("invalid_request", message)
        found = found.filter(at__gte=at)
    return found


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ServiceError("invalid_request", "user_id must be a UUID.") from None
