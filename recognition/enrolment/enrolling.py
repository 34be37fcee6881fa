"""The verb enrol: one face of a picture becomes a stored face with its template."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from recognition import audit, daily_counts, people
from recognition.descriptions import attributes_of, place_of, quality_of
from recognition.enrolment import lookalikes
from recognition.errors import ServiceError
from recognition.gallery import unlike_faces
from recognition.gallery.comparing import Compared, compare_with_all_of_user
from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace, FacesOfPicture
from recognition.models import CountedKind, Face, FaceCrop, Template, User, locks, new_face_id
from recognition.packs import engine, serving
from recognition.packs.engine import Engine
from recognition.privacy import consent, sealing


def enrol(
    *,
    actor: str,
    user_id: UUID,
    image: bytes,
    face_group: str = "primary",
    face_index: int | None = None,
    check_quality: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> Face:
    """Store the one face of a picture for a user, who is created if unknown.

    Raises ServiceError (no_face, multiple_faces, invalid_face_index, low_quality, duplicate_face,
    consent_required, user_not_found, user_merged, user_suspended) or ImageError; then nothing is
    stored.
    """
    consent.require(metadata or {})
    # Only services and commands may store what the quality gate refuses.
    check_quality = check_quality or audit.is_end_user(actor)
    is_known = User.objects.filter(pk=user_id).exists()

    @serving.once_more
    def look_and_store() -> Face:
        active, face, kept = _look(image, face_index, check_quality=check_quality)
        with transaction.atomic():
            serving.hold(active)
            user = _locked(user_id, is_known=is_known)
            if user.suspended_at:
                raise people.suspended(is_told=not audit.is_end_user(actor))
            nearest = _require_new(active, user, face)
            is_unlike = unlike_faces.is_unlike(active, user_id, face, nearest)
            stored = _store(active, user, face, face_group, metadata or {})
            if kept is not None:
                FaceCrop.objects.create(face=stored, sealed=sealing.seal_picture(kept))
            audit.note(actor, "face.register", user_id=user_id, face_id=stored.face_id)
            if is_unlike:
                unlike_faces.note(active, stored, nearest)
            lookalikes.note(active, stored.pk, user_id, active.template(face))
            daily_counts.note_if_stored(CountedKind.ENROLMENT)
            return stored

    return look_and_store()


def _look(
    image: bytes, face_index: int | None, *, check_quality: bool
) -> tuple[Engine, DetectedFace, Image | None]:
    """The face that is to be stored, embedded, by whom, and the picture of it that is kept."""
    with engine.at_work() as active:
        picture = active.decode(image)
        face = _only_face(active.detect(picture), face_index)
        if check_quality:
            _require_quality(face)
        (face,) = active.embed(active.describe(picture, [face]))
        kept = active.pipeline.surroundings(picture, face) if settings.STORE_FACE_CROPS else None
    return active, face, kept


def _locked(user_id: UUID, *, is_known: bool) -> User:
    """Created if unknown. Two registrations at once for one user come here one after the other.

    Who was erased since the request began is not brought back by it: raises user_not_found,
    user_merged.
    """
    if not is_known:
        people.require_not_merged(user_id)
        User.objects.get_or_create(pk=user_id)
    user = locks.lock_user(user_id)
    if user is None:
        raise people.not_found(user_id)
    return user


def _only_face(faces: FacesOfPicture, face_index: int | None) -> DetectedFace:
    if not faces:
        raise ServiceError("no_face", "No face was found in the picture.")
    if face_index is not None:
        if face_index >= len(faces):
            raise ServiceError(
                "invalid_face_index",
                f"The picture has {_count(faces)}, counted from 0.",
                {"faces_found": faces.found},
            )
        return faces[face_index]
    if len(faces) > 1:
        boxes = [{"face_index": i, **place_of(face)} for i, face in enumerate(faces)]
        raise ServiceError(
            "multiple_faces",
            f"The picture has {_count(faces)}; choose one by face_index.",
            {"faces": boxes, "faces_found": faces.found},
        )
    return faces[0]


def _count(faces: FacesOfPicture) -> str:
    chosen_from = f", of which the {len(faces)} largest count" if faces.found > len(faces) else ""
    return f"{faces.found} faces{chosen_from}"


def _require_quality(face: DetectedFace) -> None:
    quality = face.quality
    if quality.score < settings.MIN_FACE_QUALITY:
        raise ServiceError(
            "low_quality",
            f"The quality {quality.score} is below {settings.MIN_FACE_QUALITY}.",
            quality_of(face),
        )


def _require_new(active: Engine, user: User, face: DetectedFace) -> Compared | None:
    """The nearest face of the user, if any. Practically the same picture is refused; another
    picture of the same person is welcome.

    One that a moderator has suspended does not come back as another face, and is not named.
    """
    nearest = compare_with_all_of_user(active, user.pk, face)
    if nearest and nearest.face_cosine >= active.scores.duplicate_cosine:
        shown = Face.objects.filter(face_id=nearest.face_id, suspended_at=None)
        details = {"face_id": nearest.face_id} if shown.exists() else {}
        raise ServiceError("duplicate_face", "The user already has this picture.", details)
    return nearest


def _store(
    active: Engine, user: User, face: DetectedFace, group: str, metadata: Mapping[str, Any]
) -> Face:
    pack = active.pack
    versions = {"embedding_version": pack.embedding_version, "model_version": pack.model_version}
    stored = Face.objects.create(
        face_id=_unused_face_id(),
        user=user,
        face_group=group,
        quality_score=face.quality.score,
        quality_components=face.quality.components,
        attributes=attributes_of(face, pack.detector.landmark_names),
        metadata=dict(metadata),
        **versions,
    )
    Template.objects.create(
        face=stored,
        user=user,
        embedding=active.template(face).tolist(),
        embedding_version=active.template_version,
        model_version=pack.model_version,
    )
    return stored


def _unused_face_id() -> str:
    """Random; among ten million faces one new id in 28 million is taken already."""
    while Face.objects.filter(face_id=(face_id := new_face_id())).exists():
        pass
    return face_id
