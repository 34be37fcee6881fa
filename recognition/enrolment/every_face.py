"""Enrols the faces of one picture, each for a user without a name: those that can be recognised.

It is for apps that store faces first, and say later whose they are (management.naming).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import transaction

from recognition.enrolment import enrolling
from recognition.enrolment.enrolling import EnrolmentRequest
from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace
from recognition.models import Face, PrivacyLevel, User, user_ids
from recognition.packs import engine, main_face, serving
from recognition.packs.engine import Engine
from recognition.prepared import insert
from recognition.privacy import consent


@dataclass(frozen=True)
class EveryFaceRequest:
    """What is asked about a picture. `actor` is named in the audit log.

    Faces of a lower quality than `least_quality` are refused, and the smallest of more than `most`.
    `metadata_of` says what is stored with a face of the upright picture.
    """

    actor: str
    metadata_of: Callable[[DetectedFace, Image], Mapping[str, Any]]
    least_quality: float = 0.0
    most: int | None = None


class StoredFace(NamedTuple):
    row: Face
    seen: DetectedFace


class RefusedFace(NamedTuple):
    seen: DetectedFace
    is_beyond_most: bool  # and else its quality is too low


class EveryFace(NamedTuple):
    """What became of the faces of a picture, the largest first."""

    by: Engine
    picture: Image
    stored: list[StoredFace]
    refused: list[RefusedFace]


class _Seen(NamedTuple):
    face: DetectedFace
    crop: Image | None  # the picture of the face that is kept
    metadata: Mapping[str, Any]


@serving.once_more
def enrol(image: bytes, request: EveryFaceRequest) -> EveryFace:
    """Store each face that is good enough, for a new user that everybody may find.

    Raises ImageError, consent_required; then nothing is stored.
    """
    active, picture, seen, refused = _look(image, request)
    stored = []
    with transaction.atomic():
        serving.hold(active)
        for face, crop, metadata in seen:
            user_id = user_ids.nameless()
            user = User.new(user_id)
            user.privacy_level = PrivacyLevel.PUBLIC
            insert(user)
            wanted = EnrolmentRequest(request.actor, user_id, metadata=metadata)
            stored.append(StoredFace(enrolling.keep(active, user, face, crop, wanted), face))
    return EveryFace(active, picture, stored, refused)


def _look(
    image: bytes, request: EveryFaceRequest
) -> tuple[Engine, Image, list[_Seen], list[RefusedFace]]:
    """The faces that are to be stored, embedded, and those that are refused."""
    with engine.at_work() as active:
        picture, faces = active.see(image, closer=lambda _: True)
        closely = [main_face.closely(active, picture, face) for face in faces]
        left = sorted(closely, key=lambda face: -face.area)
        most = len(left) if request.most is None else request.most
        seen: list[_Seen] = []
        refused = []
        while left and len(seen) < most:
            some, left = left[: most - len(seen)], left[most - len(seen) :]
            for face in active.complete(picture, some):
                if face.quality.reaches(request.least_quality):
                    crop = enrolling.crop_of(active, picture, face)
                    seen.append(_Seen(face, crop, request.metadata_of(face, picture)))
                else:
                    refused.append(RefusedFace(face, is_beyond_most=False))
        refused += [RefusedFace(face, is_beyond_most=True) for face in left]
    for each in seen:
        consent.require(each.metadata)
    return active, picture, seen, refused
