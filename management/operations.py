"""Changing and removing what is stored, with its audit trail."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.models import AuditEvent, Face, User


def face_of(caller: Caller, face_id: str, *, lock: bool = False) -> Face:
    """Raises face_not_found, also for another user's face: that it exists is private."""
    faces = Face.objects.select_for_update() if lock else Face.objects.all()
    face = faces.filter(face_id=face_id).first()
    if face is None or not caller.may_act_for(face.user_id):
        raise ServiceError("face_not_found", "There is no such face.")
    return face


def user_of(caller: Caller, user_id: UUID) -> User:
    """Raises user_not_found, also for another user."""
    user = User.objects.filter(pk=user_id).first()
    if user is None or not caller.may_act_for(user_id):
        raise ServiceError("user_not_found", "There is no such user.")
    return user


def all_users(caller: Caller) -> QuerySet[User]:
    """Raises service_only."""
    caller.require_service()
    return User.objects.all()


@transaction.atomic
def change_face(*, caller: Caller, face_id: str, changes: Mapping[str, Any]) -> Face:
    """Change face_group, metadata and privacy_settings; what is left out stays."""
    face = face_of(caller, face_id, lock=True)
    fields = {name: value for name, value in changes.items() if name != "privacy_settings"}
    fields |= changes.get("privacy_settings", {})
    for name, value in fields.items():
        setattr(face, name, value)
    face.save(update_fields=[*fields, "updated_at"])
    AuditEvent.objects.create(
        actor=caller.name,
        action="face.change",
        user_id=face.user_id,
        face_id=face_id,
        details={"fields": sorted(fields)},
    )
    return face


@transaction.atomic
def delete_face(*, caller: Caller, face_id: str) -> None:
    """Remove a face and its templates; what remains is the audit row."""
    face = face_of(caller, face_id, lock=True)
    AuditEvent.objects.create(
        actor=caller.name, action="face.delete", user_id=face.user_id, face_id=face_id
    )
    face.delete()


@transaction.atomic
def put_user(*, caller: Caller, user_id: UUID, changes: Mapping[str, Any]) -> tuple[User, bool]:
    """Create or change a user; the second value says whether it is new."""
    caller.require_own(user_id)
    user, is_new = User.objects.update_or_create(pk=user_id, defaults=dict(changes))
    AuditEvent.objects.create(
        actor=caller.name,
        action="user.create" if is_new else "user.change",
        user_id=user_id,
        details={"fields": sorted(changes)},
    )
    return user, is_new
