"""Changing and removing what is stored, with its audit trail."""

from collections.abc import Mapping
from typing import Any, NoReturn
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from recognition import audit, consent
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.models import Face, User


def face_of(caller: Caller, face_id: str) -> Face:
    """Raises face_not_found, also for another user's face: that it exists is private."""
    face = Face.objects.filter(face_id=face_id).first()
    if face is None or not caller.may_act_for(face.user_id):
        raise ServiceError("face_not_found", "There is no such face.")
    return face


def locked_face_of(caller: Caller, face_id: str) -> Face:
    """The same, to be changed: locked, after its user as everywhere. Raises face_not_found."""
    face = face_of(caller, face_id)
    locked(face.user_id)
    Face.objects.select_for_update().filter(pk=face.pk).first()
    return face_of(caller, face_id)


def locked(user_id: UUID) -> User | None:
    """A user to be changed. Others may still name it in a row of theirs (no_key)."""
    return User.objects.select_for_update(no_key=True).filter(pk=user_id).first()


def user_of(caller: Caller, user_id: UUID) -> User:
    """Raises user_not_found, also for another user."""
    user = User.objects.filter(pk=user_id).first()
    if user is None or not caller.may_act_for(user_id):
        _not_found()
    return user


def _not_found() -> NoReturn:
    raise ServiceError("user_not_found", "There is no such user.")


def all_users(caller: Caller) -> QuerySet[User]:
    """Raises service_only."""
    caller.require_service()
    return User.objects.all()


@transaction.atomic
def change_face(*, caller: Caller, face_id: str, changes: Mapping[str, Any]) -> Face:
    """Change face_group, metadata and privacy_settings; what is left out stays."""
    face = locked_face_of(caller, face_id)
    fields = {name: value for name, value in changes.items() if name != "privacy_settings"}
    fields |= changes.get("privacy_settings", {})
    if "metadata" in fields:
        fields["metadata"] = consent.kept(face.metadata, fields["metadata"])
    for name, value in fields.items():
        setattr(face, name, value)
    face.save(update_fields=[*fields, "updated_at"])
    audit.note(
        caller.name, "face.change", user_id=face.user_id, face_id=face_id, fields=sorted(fields)
    )
    return face


@transaction.atomic
def delete_face(*, caller: Caller, face_id: str) -> None:
    """Remove a face and its templates; what remains is the audit row."""
    face = locked_face_of(caller, face_id)
    audit.note(caller.name, "face.delete", user_id=face.user_id, face_id=face_id)
    face.delete()


@transaction.atomic
def put_user(*, caller: Caller, user_id: UUID, changes: Mapping[str, Any]) -> tuple[User, bool]:
    """Create or change a user; the second value says whether it is new. Raises user_not_found when
    they are erased meanwhile."""
    caller.require_own(user_id)
    user, is_new = User.objects.get_or_create(pk=user_id, defaults=dict(changes))
    if not is_new:
        user = locked(user_id) or _not_found()
        for name, value in changes.items():
            setattr(user, name, value)
        user.save(update_fields=[*changes, "updated_at"])
    action = "user.create" if is_new else "user.change"
    audit.note(caller.name, action, user_id=user_id, fields=sorted(changes))
    return user, is_new
