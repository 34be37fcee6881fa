"""Finds the people and faces that a moderator's search text means."""

import re
from uuid import UUID

from django.db.models import Q, QuerySet

from recognition.models import Face, User

# An id or its beginning, without dashes.
_ID = re.compile(r"[0-9a-f]{6,32}")


def people(among: QuerySet[User], text: str) -> QuerySet[User]:
    """People by an id or a part of it (of a UUID the first six digits), by a face id, or by parts
    of the name in any order.

    Each way has an index: the keys, `user_by_part_of_given_id`, `user_by_part_of_name`, and the
    unique one of face ids.
    """
    if text.startswith("face_"):
        owners = faces(Face.objects.all(), text).values("user")
        return among.filter(Q(pk__in=owners) | Q(given_id=text))
    named = Q(*(User.named(word) for word in text.split()))
    named |= Q(given_id__icontains=text)
    digits = text.replace("-", "").lower()
    if _ID.fullmatch(digits):
        first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
        return among.filter(named | Q(pk__range=(first, last)))
    return among.filter(named)


def faces(among: QuerySet[Face], text: str) -> QuerySet[Face]:
    """Faces by the beginning of a face id, or by their person."""
    if text.startswith("face_"):
        return among.filter(face_id__startswith=text)
    return among.filter(user__in=people(User.objects.all(), text))


def key_of(text: str) -> UUID | None:
    """The key that a part of an address is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None
