"""The comparison of the verb verify: is the main face of a picture the user?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import numpy as np

from recognition.errors import ServiceError
from recognition.gallery import comparing
from recognition.gallery.comparing import Compared
from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace
from recognition.model_change import activation
from recognition.models import Face
from recognition.packs import engine, thresholds
from recognition.packs.engine import Engine


@dataclass(frozen=True)
class Verification:
    """`compared` is None when there was nothing to compare with, `probe` when there was no face.

    `mirrored` is the probe's mirror image, where somebody asked for it and its embedding is another
    one; `is_of_one_face`: the user's other faces were left out of the comparison.
    """

    by: Engine
    result: str
    level: str
    match_on: str
    compared: Compared | None = None
    probe: DetectedFace | None = None
    mirrored: DetectedFace | None = None
    is_of_one_face: bool = False
    risk: Mapping[str, object] | None = None

    @property
    def is_match(self) -> bool:
        return self.result == "success"

    @property
    def cosine(self) -> float | None:
        """The one that decided."""
        return self.compared.cosine(self.match_on) if self.compared else None


# Told of the main face while it is not yet known whose it is, with the decoded picture.
OnFace = Callable[[Engine, Image, DetectedFace], None]
# What a probe is compared with a user by, as compare_with_user does.
Comparer = Callable[[Engine, UUID, DetectedFace], Compared | None]


def verify(
    *,
    user_id: UUID,
    image: bytes,
    level: str,
    face_id: str | None = None,
    match_on: str = "face",
    on_face: OnFace | None = None,
    compare: Comparer | None = None,
    with_mirror: bool = False,
) -> Verification:
    """Whether the main face of the picture is the user. Raises ImageError, face_not_found.

    Only the comparison: recognition.verification.attempts also knows of sessions, risk and earlier
    failures.
    """
    compare = compare or partial(comparing.compare_with_user, face_id=face_id)
    while True:
        with engine.at_work() as active:
            picture = active.decode(image)
            faces = active.detect(picture)
            if face_id is not None:
                _require_face(face_id, user_id)
            if not faces:
                return Verification(active, "no_face_detected", level, match_on)
            if on_face:
                on_face(active, picture, faces[0])
            probe, *mirrored = active.embed(_with_mirror(active, faces[0], wanted=with_mirror))
        compared = compare(active, user_id, probe)
        # If the model changed, the templates that this asked for may be gone: once more.
        if compared or activation.is_active(active):
            break
    found = Verification(active, "", level, match_on, compared, probe, next(iter(mirrored), None))
    return _judge(replace(found, is_of_one_face=face_id is not None))


def _with_mirror(active: Engine, face: DetectedFace, *, wanted: bool) -> list[DetectedFace]:
    """A pack that embeds both sides of every crop gives the mirror image the same embedding."""
    if not wanted or active.pack.recogniser.mirror:
        return [face]
    return [face, replace(face, crop=np.ascontiguousarray(face.crop[:, ::-1]))]


def _require_face(face_id: str, user_id: UUID) -> None:
    active = Face.objects.filter(suspended_at=None, user__suspended_at=None)
    if not active.filter(face_id=face_id, user=user_id).exists():
        raise ServiceError("face_not_found", "The user has no such face.")


def once_more(of: Verification, compare: Comparer, user_id: UUID) -> Verification:
    """The same probe with the faces that are there by now: one was deleted, or its user suspended,
    while somebody waited."""
    if of.probe is None or of.compared is None:
        return of
    return _judge(replace(of, compared=compare(of.by, user_id, of.probe)))


def _judge(of: Verification) -> Verification:
    if of.compared is None:
        return replace(of, result="no_registered_faces")
    confidence = of.by.scores.confidence(of.compared.cosine(of.match_on))
    is_match = confidence >= thresholds.level_confidence(of.level)
    return replace(of, result="success" if is_match else "no_match")
