"""What the query of a list asks for."""

from collections.abc import Mapping
from datetime import datetime

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.utils.dateparse import parse_datetime

from recognition.api.fields import user_id_of
from recognition.errors import ServiceError
from recognition.models import Face, User

Query = Mapping[str, str]
LONGEST = 200  # characters of a text


def faces(wanted: Query) -> QuerySet[Face]:
    """The faces of a user, of a face_group, from a source, or of a time. Raises invalid_request."""
    found = Face.objects.select_related("user")
    if "user_id" in wanted:
        found = found.filter(user=user_id_of(wanted["user_id"], "user_id"))
    if (face_group := text_of(wanted, "face_group")) is not None:
        found = found.filter(face_group=face_group)
    if (source := text_of(wanted, "source")) is not None:
        # As the index face_by_source has it.
        found = found.annotate(source=KeyTextTransform("source", "metadata"))
        found = found.filter(source=source, metadata__has_key="source")
    if (since := time_of(wanted, "created_since")) is not None:
        found = found.filter(created_at__gte=since)
    if (before := time_of(wanted, "created_before")) is not None:
        found = found.filter(created_at__lt=before)
    return found


def users(wanted: Query) -> QuerySet[User]:
    """The users whose name has a part, in upper or lower case. Raises invalid_request."""
    part = text_of(wanted, "q") or ""
    return User.objects.filter(User.named(part)) if part else User.objects.all()


def text_of(wanted: Query, name: str) -> str | None:
    """Raises invalid_request."""
    text = wanted.get(name)
    if text is not None and ("\0" in text or len(text) > LONGEST):
        message = f"{name} must be a text of at most {LONGEST} characters."
        raise ServiceError("invalid_request", message)
    return text


def time_of(wanted: Query, name: str) -> datetime | None:
    """Raises invalid_request."""
    text = wanted.get(name)
    try:
        at = None if text is None else parse_datetime(text)
    except ValueError:
        at = None
    if text is not None and (at is None or at.tzinfo is None):
        message = f"{name} must be a time with its zone, as 2024-01-20T10:30:00Z."
        raise ServiceError("invalid_request", message)
    return at
