"""Faces that an app stores before it says whose they are, and the people who get them.

Such a face has a user of its own without a name (recognition.models.user_ids.nameless). It is given
to a person by a merge of the two, and taken from the person by a move to such a user.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from management import erasure, moderation, operations
from recognition import audit, people
from recognition.access import Caller
from recognition.enrolment import lookalikes
from recognition.errors import ServiceError
from recognition.gallery import comparing
from recognition.gallery.scope import Gallery
from recognition.models import Face, PrivacyLevel, Template, User, user_ids
from recognition.models.user_ids import UserId
from recognition.packs import engine, serving

# The most faces that a person may get.
MOST_FACES = 100
_AT_ONCE = 100  # faces that are deleted in one transaction


class FaceOutcome(StrEnum):
    """What became of a face that was to be given, taken or deleted."""

    DONE = "done"
    NOTHING = "nothing"  # it is so already
    NOT_FOUND = "not found"
    OF_ANOTHER = "of another"  # person
    UNLIKE = "unlike"  # the person's other faces
    TOO_MANY = "too many"  # faces


# --- users ----------------------------------------------------------------------------------------


def create_user(*, caller: Caller, user_id: UserId) -> bool:
    """A new public user. Returns False if there is one. Raises user_merged."""
    caller.require_service()
    people.require_not_merged(user_id)
    with transaction.atomic():
        defaults = {"given_id": user_id.given, "privacy_level": PrivacyLevel.PUBLIC}
        _, is_new = User.objects.get_or_create(pk=user_id, defaults=defaults)
        if is_new:
            audit.note(caller.name, "user.create", user_id=user_id, fields=["privacy_level"])
    return is_new


def erase_user(*, caller: Caller, user_id: UserId) -> None:
    """Take all faces from a user, and erase the user. Raises user_not_found, user_merged."""
    faces = operations.faces_of(caller, user_id)
    for face_id in faces.values_list("face_id", flat=True):
        take_face(caller=caller, user_id=user_id, face_id=face_id)
    erasure.erase_for(caller=caller, user_id=user_id)


def has_user(user_id: UserId) -> bool:
    """Whether there is such a user with a name."""
    return _named().filter(pk=user_id).exists()


def named_users(*, after: UUID | None = None, most: int) -> list[User]:
    """Users with a name in the order of their keys, from the one behind `after` on."""
    found = _named().order_by("pk")
    return [*(found.filter(pk__gt=after) if after else found)[:most]]


def _named() -> QuerySet[User]:
    return User.objects.exclude(given_id__startswith=user_ids.NAMELESS)


def counts() -> tuple[int, int]:
    """How many faces there are that the active model knows, and how many users with a name."""
    return Gallery.of_everybody(engine.current()).searched, _named().count()


# --- faces ----------------------------------------------------------------------------------------


def faces(
    *, after: int = 0, most: int, of: UUID | None = None, face_ids: Sequence[str] | None = None
) -> list[Face]:
    """Faces with their users, in the order of their keys, from the one behind `after` on: all, or
    those of a user, or with these ids.
    """
    found = Face.objects.filter(pk__gt=after).select_related("user").order_by("pk")
    if of is not None:
        found = found.filter(user=of)
    if face_ids is not None:
        found = found.filter(face_id__in=face_ids)
    return [*found[:most]]


def _face(face_id: str) -> Face | None:
    return next(iter(faces(most=1, face_ids=[face_id])), None)


def give_face(
    *, caller: Caller, user_id: UserId, face_id: str, least_confidence: float
) -> tuple[FaceOutcome, float | None]:
    """Give a face without a name to a user, if it is like the faces that the user has.

    The second value says how alike they are, where there was something to compare. Raises
    user_not_found, user_merged.
    """
    user = operations.user_of(caller, user_id)
    if (face := _face(face_id)) is None:
        return FaceOutcome.NOT_FOUND, None
    if not face.user.is_nameless:
        is_theirs = face.user_id == user_id
        return (FaceOutcome.NOTHING if is_theirs else FaceOutcome.OF_ANOTHER), None
    if user.faces.count() >= MOST_FACES:
        return FaceOutcome.TOO_MANY, None
    confidence = _likeness(face, user_id)
    if confidence is not None and confidence < least_confidence:
        return FaceOutcome.UNLIKE, confidence
    try:
        with transaction.atomic():
            moderation.merge_users(actor=caller.name, user_id=face.user_id, into=user_id)
            lookalikes.note_named(face)
    except ServiceError:
        if (now := _face(face_id)) and now.user_id == face.user_id:
            raise
        # Somebody else gave or deleted it in between.
        return give_face(
            caller=caller, user_id=user_id, face_id=face_id, least_confidence=least_confidence
        )
    return FaceOutcome.DONE, confidence


@serving.once_more
def _likeness(face: Face, user_id: UserId) -> float | None:
    """The confidence that a face is the user's, by the mean of all faces; None without any."""
    active = engine.current()
    templates = Template.objects.filter(face=face, embedding_version=active.template_version)
    embedding = templates.values_list("embedding", flat=True).first()
    if embedding is None:
        serving.require(active)
        return None
    template = np.array(embedding, np.float32)
    compared = comparing.compare_with_user(active, user_id, template)
    return active.scores.confidence(compared.by_mean) if compared else None


def take_face(*, caller: Caller, user_id: UserId, face_id: str) -> FaceOutcome:
    """Take a face from a user; it stays, without a name. Raises user_not_found, user_merged."""
    operations.user_of(caller, user_id)
    if (face := _face(face_id)) is None:
        return FaceOutcome.NOT_FOUND
    if face.user_id != user_id:
        return FaceOutcome.OF_ANOTHER
    owner = user_ids.nameless()
    try:
        with transaction.atomic():
            create_user(caller=caller, user_id=owner)
            moderation.move_face(actor=caller.name, face_id=face_id, user_id=owner)
    except ServiceError as error:
        if error.code != "face_not_found":
            raise
        return FaceOutcome.NOT_FOUND  # somebody else deleted it in between
    return FaceOutcome.DONE


Deletion = tuple[FaceOutcome, Face | None]


def delete_faces(*, caller: Caller, face_ids: Sequence[str]) -> Iterator[tuple[str, Deletion]]:
    """Delete faces without a name. One of a person is kept, and returned.

    Those who go are erased some at a time: one at a time costs some fifty statements each.
    """
    for place in range(0, len(face_ids), _AT_ONCE):
        some = [*dict.fromkeys(face_ids[place : place + _AT_ONCE])]
        found = {face.face_id: face for face in faces(most=len(some), face_ids=some)}
        owners = {face.user.user_id for face in found.values() if face.user.is_nameless}
        are_gone = erasure.erase_together(caller=caller, user_ids=[*owners])
        for each in some:
            face = found.get(each)
            if face is None:
                yield each, (FaceOutcome.NOT_FOUND, None)
            elif not face.user.is_nameless:
                yield each, (FaceOutcome.OF_ANOTHER, face)
            elif are_gone:
                yield each, (FaceOutcome.DONE, face)
            else:  # somebody else gave or deleted one of them
                yield each, _delete_face(caller, each)


def _delete_face(caller: Caller, face_id: str) -> Deletion:
    if (face := _face(face_id)) is None:
        return FaceOutcome.NOT_FOUND, None
    if not face.user.is_nameless:
        return FaceOutcome.OF_ANOTHER, face
    try:
        erasure.erase_for(caller=caller, user_id=face.user.user_id)
    except ServiceError:
        if (now := _face(face_id)) and now.user_id == face.user_id:
            raise
        return _delete_face(caller, face_id)  # somebody else gave or deleted it
    return FaceOutcome.DONE, face
