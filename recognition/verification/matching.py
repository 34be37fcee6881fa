"""The picture of an attempt: whose face it shows, and what else it says of itself."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

import cv2
import numpy as np

from recognition.collections.hashes import keyed
from recognition.gallery.comparing import Compared
from recognition.inference.arrays import Floats, Image
from recognition.packs import engine, main_face
from recognition.packs.engine import Engine
from recognition.packs.scores import level_confidence
from recognition.verification import providers
from recognition.verification.providers import Outcome

_SALT = "recognition.inspection"  # a part of stored hashes


@dataclass(frozen=True)
class Probe:
    """What was found in a picture. Without a face only the first two fields are set, and of a
    misread one no template.

    `template` is that of the main face, of shape (512,). `mirrored` is that of its mirror image,
    where it was asked for and is another one. `outcomes` are those of the checks that were made.
    """

    by: Engine
    picture_hash: str
    pixels_hash: str = ""
    quality: float = 0.0  # of the main face, from 0 to 1
    template: Floats | None = None
    mirrored: Floats | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)


def look(
    image: bytes, user_id: UUID, *, is_checked: bool = True, with_mirror: bool = False
) -> Probe:
    """The probe of a picture for a user; its checks run beside the embedding. Raises ImageError."""
    picture_hash = _keyed(hashlib.sha256(image).digest())
    with engine.at_work() as active:
        seen = main_face.find(active, image, least_box=providers.least_box() if is_checked else 0)
        if not seen.faces:
            return Probe(active, picture_hash)
        pixels_hash = _hash_of_pixels(seen.first_look)
        (face,) = wanted = list(seen.faces)
        checks = providers.begin(active, seen.picture, face, str(user_id)) if is_checked else {}
        # A pack that embeds both sides of every crop gives the mirror image the same embedding.
        if with_mirror and not active.pack.recogniser.mirror:
            wanted.append(replace(face, crop=np.ascontiguousarray(face.crop[:, ::-1])))
        face, *mirrored = active.embed(wanted)
        if face.quality.is_misread:
            # It is nobody's, and is not compared with anybody's.
            mirrored, template = [], None
        else:
            template = active.template(face)
    return Probe(
        active,
        picture_hash,
        pixels_hash,
        face.quality.score,
        template,
        active.template(mirrored[0]) if mirrored else None,
        providers.wait(checks),
    )


def _hash_of_pixels(picture: Image) -> str:
    """The same with other metadata, and in another lossless format.

    It is that of the means of 2 x 2 pixels, whose bytes take a quarter of the time.
    """
    rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
    even = picture[: 2 * rows, : 2 * columns]
    means = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA)
    digest = hashlib.sha256(str(picture.shape).encode())
    digest.update(means.data)
    return _keyed(digest.digest())


def _keyed(digest: bytes) -> str:
    """A reader of the table cannot find out whether it holds a picture that they have."""
    return keyed(_SALT, digest).hexdigest()


@dataclass(frozen=True)
class UserComparison:
    """A probe compared with a user; `nearest` is None when there was nothing to compare.

    `leaves_out`: not all of the user's faces were compared. `cosine` is the one that decides.
    `threshold` is the confidence that a match needs. `result` is what the faces alone say, whatever
    else speaks against the attempt.
    """

    probe: Probe
    nearest: Compared | None
    level: str
    match_on: str
    leaves_out: bool
    cosine: float | None
    confidence: float  # 0 when nothing was compared
    threshold: float
    result: str


def compared(
    probe: Probe,
    nearest: Compared | None,
    level: str,
    match_on: str = "face",
    leaves_out: bool = False,
) -> UserComparison:
    cosine, confidence = None, 0.0
    threshold = level_confidence(level)
    result = "no_face_detected" if probe.template is None else "no_registered_faces"
    if nearest:
        cosine = nearest.by_mean if match_on == "user" else nearest.by_face
        confidence = probe.by.scores.confidence(cosine)
        result = "success" if confidence >= threshold else "no_match"
    return UserComparison(
        probe, nearest, level, match_on, leaves_out, cosine, confidence, threshold, result
    )
