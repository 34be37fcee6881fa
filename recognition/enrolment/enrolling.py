"""The verb enrol: one face of a picture becomes a stored face with its template."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from django.db import transaction
from django.db.models import QuerySet

from recognition import audit, daily_counts, people
from recognition.access import Caller
from recognition.collections.current import rule
from recognition.descriptions import attributes_of, place_of, quality_of
from recognition.enrolment import lookalikes
from recognition.errors import ServiceError
from recognition.gallery import comparing
from recognition.gallery.comparing import Compared
from recognition.inference.arrays import Floats, Image
from recognition.inference.pipeline import DetectedFace, FacesOfPicture
from recognition.models import CountedKind, Face, FaceCrop, Template, User, locks, new_face_id
from recognition.models.user_ids import UserId
from recognition.packs import engine, main_face, serving
from recognition.packs.engine import Engine
from recognition.prepared import Blank, insert, kept
from recognition.privacy import consent, sealing


@dataclass(frozen=True)
class EnrolmentRequest:
    """What is asked about a picture. `actor` is named in the audit log."""

    actor: str
    user_id: UserId
    face_group: str = "primary"
    face_index: int | None = None  # of the faces as detect lists them; None: there is only one
    check_quality: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, caller: Caller, options: Mapping[str, Any]) -> Self:
        """With the options of a validated body, or of a job. Raises not_your_user."""
        user_id, metadata = options["user_id"], options["metadata"]
        if isinstance(user_id, str):  # of a job
            user_id = UserId(user_id)
        caller.require_own(user_id)
        return cls(
            actor=caller.name,
            user_id=user_id,
            face_group=options["face_group"],
            face_index=options.get("face_index"),
            # Only services and commands may store what the quality gate refuses.
            check_quality=metadata.get("quality_check", True) or not caller.is_service,
            metadata=metadata,
        )


def enrol(image: bytes, request: EnrolmentRequest) -> Face:
    """Store the one face of a picture for a user, who is created if unknown.

    Raises ServiceError (no_face, multiple_faces, invalid_face_index, low_quality, duplicate_face,
    consent_required, user_not_found, user_merged, user_suspended) or ImageError; then nothing is
    stored.
    """
    consent.require(request.metadata)
    return _look_and_store(image, request, is_known=is_known(request.user_id))


def is_known(user_id: UserId) -> bool:
    """Whether there is such a user, before anything takes long."""
    return bool(_known({"user": user_id}))


@kept
def _known() -> QuerySet[Any, Any]:
    return User.objects.filter(pk=Blank("user")).values_list("pk")


@serving.once_more
def _look_and_store(image: bytes, request: EnrolmentRequest, *, is_known: bool) -> Face:
    active, face, crop = _look(image, request)
    with transaction.atomic():
        serving.hold(active)
        user = locked(request.user_id, is_known=is_known)
        return keep(active, user, face, crop, request)


def keep(
    active: Engine, user: User, face: DetectedFace, crop: Image | None, request: EnrolmentRequest
) -> Face:
    """Store an embedded face for a user, who is locked. `crop` is the picture of it that is kept.

    Raises duplicate_face, user_suspended, user_not_found.
    """
    if user.suspended_at:
        raise people.suspended(is_told=not audit.is_end_user(request.actor))
    template = active.template(face)
    nearest = _require_new(active, user, template)
    is_unlike = comparing.is_unlike(active, user.pk, template, nearest)
    stored = _store(active, user, face, request)
    stored_template = Template(
        face=stored,
        user=user,
        embedding=template,
        embedding_version=active.template_version,
        model_version=stored.model_version,
    )
    insert(stored_template)
    if crop is not None:
        insert(FaceCrop(face=stored, sealed=sealing.seal_picture(crop)))
    audit.note(request.actor, "face.register", user_id=user.pk, face_id=stored.face_id)
    if is_unlike:
        comparing.note_unlike(active, stored, nearest)
    if not user.is_nameless:
        lookalikes.note_new(stored)
    daily_counts.note_if_stored(CountedKind.ENROLMENT)
    return stored


def _look(image: bytes, request: EnrolmentRequest) -> tuple[Engine, DetectedFace, Image | None]:
    """The engine, the face that is to be stored, embedded, and the picture of it that is kept."""
    with engine.at_work() as active:
        index = request.face_index
        # One large face is the one that is meant, though others stand far behind it.
        picture, faces = active.see(image, closer=lambda found: index is not None or found != 1)
        face = chosen_face(faces, index)
        (face,) = active.complete(picture, [main_face.closely(active, picture, face)])
        require_quality(face, is_checked=request.check_quality)
        return active, face, crop_of(active, picture, face)


def crop_of(active: Engine, picture: Image, face: DetectedFace) -> Image | None:
    """The picture of a face that is kept, if any is."""
    return active.pipeline.surroundings(picture, face) if rule("STORE_FACE_CROPS") else None


def locked(user_id: UserId, *, is_known: bool) -> User:
    """The user, created if unknown. Two registrations for one user come here one after the other.

    A user who was erased since the request began is not brought back by it. Raises user_not_found,
    user_merged.
    """
    if not is_known:
        people.require_not_merged(user_id)
        User.objects.bulk_create([User.new(user_id)], ignore_conflicts=True)
    user = locks.lock_user(user_id)
    if user is None:
        raise people.not_found(user_id)
    return user


def chosen_face(faces: FacesOfPicture, face_index: int | None) -> DetectedFace:
    """The face that is meant. Raises no_face, invalid_face_index, multiple_faces."""
    if not faces:
        raise ServiceError(
            "no_face",
            "No face was found in the picture. Face the camera with nothing over the face, with "
            "light from the front, and come closer.",
            {"smallest_face": faces.smallest_face},
        )
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


def require_quality(face: DetectedFace, *, is_checked: bool) -> None:
    """Raises low_quality. The template of a misread face would be alike to those of all others, so
    that nobody may store it.
    """
    quality = face.quality
    if quality.is_misread or (is_checked and quality.score < rule("MIN_FACE_QUALITY")):
        advice = " ".join(quality.advice) or "Take another photo: closer, and in even light."
        raise ServiceError(
            "low_quality",
            f"The face cannot be recognised surely enough. {advice}",
            {"needed": rule("MIN_FACE_QUALITY"), "advice": quality.advice, **quality_of(face)},
        )


def _require_new(active: Engine, user: User, template: Floats) -> Compared | None:
    """The nearest face of the user, if any. Raises duplicate_face for practically the same
    picture; another picture of the same person is welcome.

    A face that a moderator has suspended cannot be enrolled again, and the error does not name it.
    """
    nearest = comparing.compare_with_all_of_user(active, user.pk, template)
    if nearest and nearest.photo_distance <= active.scores.duplicate_distance:
        face_id = comparing.same_photo(active, user.pk, template)
        shown = Face.objects.filter(face_id=face_id, suspended_at=None)
        details = {"face_id": face_id} if shown.exists() else {}
        raise ServiceError("duplicate_face", "The user already has this picture.", details)
    return nearest


def _store(active: Engine, user: User, face: DetectedFace, request: EnrolmentRequest) -> Face:
    pack = active.pack
    stored = Face(
        face_id=_unused_face_id(),
        user=user,
        face_group=request.face_group,
        quality_score=face.quality.score,
        quality_components=face.quality.components,
        attributes=attributes_of(face, pack.detector.landmark_names),
        metadata=dict(request.metadata),
        embedding_version=pack.template_version,
        model_version=pack.model_version,
    )
    insert(stored)
    return stored


def _unused_face_id() -> str:
    """Few new ids are already taken: one in 28 million by ten million faces of other minutes, and
    one in 430,000 by ten thousand that this process has stored in the same minutes.
    """
    while _taken({"face": (face_id := new_face_id())}):
        pass
    return face_id


@kept
def _taken() -> QuerySet[Any, Any]:
    return Face.objects.filter(face_id=Blank("face")).values_list("pk")
