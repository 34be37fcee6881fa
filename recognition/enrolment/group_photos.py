"""Enrols several faces of one picture, each for a user of its own: all of them, or none."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import transaction

from recognition.enrolment import enrolling
from recognition.enrolment.enrolling import EnrolmentRequest
from recognition.errors import ServiceError
from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace
from recognition.models import Face
from recognition.models.user_ids import UserId
from recognition.packs import engine, main_face, serving
from recognition.packs.engine import Engine
from recognition.privacy import consent


class _Seen(NamedTuple):
    request: EnrolmentRequest
    face: DetectedFace
    crop: Image | None = None  # the picture of the face that is kept


def enrol(image: bytes, requests: Sequence[EnrolmentRequest]) -> list[Face]:
    """Store a face for each request. Their users differ, and are created if unknown.

    Raises ServiceError or ImageError; then nothing is stored. It is no_face if the picture has no
    face, and faces_refused if any face cannot be stored. Its details have each of those faces with
    what `enrolling.enrol` would raise about it.
    """
    known = {each.user_id: enrolling.is_known(each.user_id) for each in requests}
    return _look_and_store(image, requests, known)


@serving.once_more
def _look_and_store(
    image: bytes, requests: Sequence[EnrolmentRequest], known: Mapping[UserId, bool]
) -> list[Face]:
    refusals = _Refusals()
    active, seen = _look(image, requests, refusals)
    users, stored = {}, []
    with transaction.atomic():
        serving.hold(active)
        # In the order of recognition.models.locks.
        for request, *_ in sorted(seen, key=lambda each: each.request.user_id):
            user_id = request.user_id
            with refusals.of(request):
                users[user_id] = enrolling.locked(user_id, is_known=known[user_id])
        for request, face, crop in seen:
            if user := users.get(request.user_id):
                with refusals.of(request):
                    stored.append(enrolling.keep(active, user, face, crop, request))
        refusals.require_none(among=len(requests))
    return stored


def _look(
    image: bytes, requests: Sequence[EnrolmentRequest], refusals: "_Refusals"
) -> tuple[Engine, list[_Seen]]:
    """The faces that may be stored, embedded. Raises no_face."""
    with engine.at_work() as active:
        picture, faces = active.see(image, closer=lambda _: True)
        chosen, seen = [], []
        if not faces:
            enrolling.chosen_face(faces, None)
        for request in requests:
            with refusals.of(request):
                consent.require(request.metadata)
                face = enrolling.chosen_face(faces, request.face_index)
                chosen.append((request, main_face.closely(active, picture, face)))
        complete = active.complete(picture, [face for _, face in chosen])
        for (request, _), face in zip(chosen, complete, strict=True):
            with refusals.of(request):
                enrolling.require_quality(face, is_checked=request.check_quality)
                seen.append(_Seen(request, face, enrolling.crop_of(active, picture, face)))
    return active, seen


class _Refusals(list[dict[str, Any]]):
    """Which faces are refused, and why. A caller learns of all of them at once."""

    @contextmanager
    def of(self, request: EnrolmentRequest) -> Iterator[None]:
        """A block about one face. If it raises ServiceError, the face is refused."""
        try:
            yield
        except ServiceError as error:
            about = {"face_index": request.face_index, "user_id": request.user_id.text}
            why = {"code": error.code, "message": str(error), "details": error.details}
            self.append({**about, **why})

    def require_none(self, *, among: int) -> None:
        """Raises faces_refused."""
        if self:
            raise ServiceError(
                "faces_refused",
                f"{len(self)} of {among} faces cannot be enrolled, so none was.",
                {"faces": sorted(self, key=lambda face: face["face_index"])},
            )
