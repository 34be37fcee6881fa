"""Erases a person: all their data goes, and a receipt stays in the audit log."""

import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connection
from django.db.models import Model
from django.utils import translation

from management import broken_off
from recognition import audit, people
from recognition.access import Caller
from recognition.models import AuditEvent, Friendship, User
from recognition.models.user_ids import UserId, is_made
from recognition.privacy import erasure

# The text of a key that came alone, of an erasure that a backup lacks: for as long as it takes.
_UNKNOWN = ""


@dataclass(frozen=True)
class Receipt:
    """What was removed of a person, in rows of each kind, and when. It is the audit row."""

    receipt_id: str
    user_id: UUID  # with its text, if the caller knows it: the log has none
    erased_at: datetime
    removed: dict[str, int]
    together: int = 1  # people whose rows `removed` counts


def erase_for(*, caller: Caller, user_id: UserId) -> Receipt:
    """Erase for a caller. Raises user_not_found, even for another user or to a suspended one;
    user_merged, unavailable.
    """
    if not caller.may_act_for(user_id):
        raise people.unknown()
    return erase(actor=caller.name, user_id=user_id)


@broken_off.repeated
def erase(*, actor: str, user_id: UUID) -> Receipt:
    """Delete all data about a person; a repeated call returns the same receipt.

    Raises user_not_found if no data was ever held; user_merged, unavailable.
    """
    people.require_not_merged(user_id)
    # Someone without a user row may have jobs. With the row, a registration has to wait.
    given = _UNKNOWN if is_made(user_id) else None
    defaults = {"given_id": getattr(user_id, "given", given)}
    _, is_new = User.objects.get_or_create(pk=user_id, defaults=defaults)
    try:
        gone = erasure.erase(user_id)
    except erasure.NoUserError as error:
        raise broken_off.ChangedError from error
    removed = _named(gone.removed)
    if is_new:
        del removed["users"]
    if not removed:
        if receipt := receipt_of(user_id):
            return replace(receipt, user_id=user_id)
        raise people.not_found(user_id)
    details: dict[str, Any] = {"receipt_id": _new_receipt_id(), "removed": removed}
    for former in gone.person.ids[1:]:
        # A backup from before the merge has this id: see facesvc.backup.
        audit.note(actor, erasure.ERASED, user_id=former, **{**details, "removed": {}})
    receipt = _receipt(audit.note(actor, erasure.ERASED, user_id=user_id, **details))
    return replace(receipt, user_id=user_id)


def erase_together(*, caller: Caller, user_ids: Sequence[UserId]) -> bool:
    """Erase several users at once, by the same statements as one: each costs some fifty.

    Each has a receipt, whose numbers are those of all. Returns False, and does nothing, if one of
    them is not there: erase each by itself then. Raises user_not_found, unavailable.
    """
    if not all(map(caller.may_act_for, user_ids)):
        raise people.unknown()
    return not user_ids or _erase_together(caller.name, user_ids)


@broken_off.repeated
def _erase_together(actor: str, user_ids: Sequence[UUID]) -> bool:
    try:
        gone = erasure.erase(*user_ids)
    except erasure.NoUserError:
        return False
    of_all = {"removed": _named(gone.removed), "together": len(user_ids)}
    details: list[dict[str, Any]] = [of_all] * len(user_ids)
    details += [{"removed": {}}] * (len(gone.person.ids) - len(user_ids))  # those merged before
    events = [
        (each, {"receipt_id": _new_receipt_id(), **more})
        for each, more in zip(gone.person.ids, details, strict=True)
    ]
    audit.note_each(actor, erasure.ERASED, events)
    return True


def note_former(user_id: UUID, at: datetime) -> None:
    """Note an erasure that a restored backup lacks; it removed nothing here."""
    details = {"receipt_id": _new_receipt_id(), "removed": {}}
    with connection.cursor() as cursor:
        # SQL, since the model would date the event now.
        cursor.execute(
            "INSERT INTO recognition_auditevent (at, actor, action, user_id, face_id, details)"
            " VALUES (%s, 'command:restore', %s, %s, '', %s)",
            [at, erasure.ERASED, user_id, json.dumps(details)],
        )


def _new_receipt_id() -> str:
    return f"erasure_{secrets.token_hex(8)}"


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by plain names, from counts by the labels of models."""
    named: Counter[str] = Counter()
    for label, count in counts.items():
        model = apps.get_model(label)
        if model is Friendship:
            count //= 2  # each has two rows
        # The API calls people users, as it does everywhere; the admin pages call them people.
        name = "users" if model is User else _english_name(model)
        named[name.lower().replace(" ", "_")] += count
    return dict(sorted((+named).items()))


def _english_name(model: type[Model]) -> str:
    """What is stored does not depend on the language of the operator who erases."""
    with translation.override("en"):
        return str(model._meta.verbose_name_plural)


def receipt_of(user_id: UUID) -> Receipt | None:
    """The receipt of the last erasure of a person."""
    events = AuditEvent.objects.filter(user_id=user_id, action=erasure.ERASED)
    event = events.order_by("-at", "-pk").first()
    return _receipt(event) if event else None


def _receipt(event: AuditEvent) -> Receipt:
    if event.user_id is None:
        raise ValueError("an erasure without a user")
    details = event.details
    together = details.get("together", 1)
    return Receipt(details["receipt_id"], event.user_id, event.at, details["removed"], together)
