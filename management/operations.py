"""Changes and deletes users and faces, with the audit trail."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import QuerySet

from management import broken_off
from recognition import audit, people
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.models import Face, FaceCrop, User, locks
from recognition.models.user_ids import UserId
from recognition.privacy import consent, sealing


def face_of(face_id: str, caller: Caller | None = None) -> Face:
    """The face; without a caller, any. Raises face_not_found, even for a face that is hidden."""
    face = Face.objects.select_related("user").filter(face_id=face_id).first()
    if face is None or not (caller is None or _may_see(caller, face)):
        raise ServiceError("face_not_found", "There is no such face.")
    return face


def _may_see(caller: Caller, face: Face) -> bool:
    is_shown = caller.is_service or not face.suspended_at
    return is_shown and caller.may_act_for(face.user_id)


@transaction.atomic
def crop_of(caller: Caller, face_id: str) -> bytes:
    """The kept picture of the face of `face_of`, a JPEG. The audit log notes who looked.

    Raises face_not_found, crop_not_found, encryption_not_set_up.
    """
    face = face_of(face_id, caller)
    sealed = FaceCrop.objects.filter(face=face).values_list("sealed", flat=True).first()
    if sealed is None:
        raise ServiceError("crop_not_found", "No picture of this face is kept.")
    try:
        picture = sealing.unseal(bytes(sealed))
    except (sealing.UnreadableError, ImproperlyConfigured) as error:
        message = "The service has no key that opens the picture of this face."
        raise ServiceError("encryption_not_set_up", message) from error
    audit.note(caller.name, "face.view", user_id=face.user_id, face_id=face_id)
    return picture


def faces_of(caller: Caller, user_id: UUID) -> QuerySet[Face]:
    """The faces of a user; end users see no suspended ones. Raises user_not_found, user_merged."""
    faces = Face.objects.filter(user=user_of(caller, user_id)).select_related("user")
    return faces if caller.is_service else faces.filter(suspended_at=None)


def locked_face(face_id: str, caller: Caller | None = None) -> Face:
    """The face of `face_of`, locked after its user, as everywhere. Raises face_not_found."""
    while True:
        owner = face_of(face_id, caller).user_id
        locks.lock_user(owner)
        if Face.objects.select_for_update().filter(face_id=face_id, user=owner):
            return face_of(face_id, caller)


def locked_user(user_id: UUID) -> User:
    """The user, locked for a change. Raises user_not_found, user_merged."""
    user = locks.lock_user(user_id)
    if user is None:
        raise people.not_found(user_id)
    return user


def user_of(caller: Caller, user_id: UUID) -> User:
    """The user. Raises user_not_found, to end users even for others and suspended ones;
    user_merged.
    """
    if not caller.speaks_for(user_id):
        raise people.unknown()
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise people.not_found(user_id)
    if user.suspended_at and not caller.is_service:
        raise people.unknown()
    return user


@transaction.atomic
def change_face(*, caller: Caller, face_id: str, changes: Mapping[str, Any]) -> Face:
    """Change face_group, metadata and privacy_settings; a missing field stays as it is."""
    face = locked_face(face_id, caller)
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
    """Delete a face and its templates; only the audit row stays."""
    face = locked_face(face_id, caller)
    audit.note(caller.name, "face.delete", user_id=face.user_id, face_id=face_id)
    face.delete()


@broken_off.repeated
def put_user(*, caller: Caller, user_id: UserId, changes: Mapping[str, Any]) -> tuple[User, bool]:
    """Create or change a user; the second value says whether it is new.

    Raises user_merged, and user_not_found when they are erased at the same time or, for themselves,
    suspended.
    """
    caller.require_own(user_id)
    people.require_not_merged(user_id)
    if not caller.may_act_for(user_id):
        raise people.unknown()
    defaults = {**changes, "given_id": user_id.given}
    user, is_new = User.objects.get_or_create(pk=user_id, defaults=defaults)
    if not is_new:
        user = locked_user(user_id)
        for name, value in changes.items():
            setattr(user, name, value)
        user.save(update_fields=[*changes, "updated_at"])
    action = "user.create" if is_new else "user.change"
    audit.note(caller.name, action, user_id=user_id, fields=sorted(changes))
    return user, is_new
