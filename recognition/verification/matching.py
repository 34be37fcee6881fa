"""The main face of a picture, and what its comparison with a user says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from recognition.gallery.comparing import Compared
from recognition.inference.pipeline import DetectedFace
from recognition.packs import engine, thresholds
from recognition.packs.engine import Engine
from recognition.verification.evidence.inspection import Inspection


@dataclass(frozen=True)
class Probe:
    """The main face of a picture, embedded; None without a face.

    `mirrored` is its mirror image, where it was asked for and its embedding is another one.
    """

    by: Engine
    face: DetectedFace | None = None
    mirrored: DetectedFace | None = None


@dataclass(frozen=True)
class UserComparison:
    """A probe compared with a user; `nearest` is None when there was nothing to compare.

    `is_of_one_face`: the user's other faces were left out.
    """

    probe: Probe
    nearest: Compared | None
    level: str
    match_on: str = "face"
    is_of_one_face: bool = False

    @cached_property
    def confidence(self) -> float:
        """0 when nothing was compared."""
        if self.nearest is None:
            return 0.0
        return self.probe.by.scores.confidence(self.nearest.cosine(self.match_on))

    @cached_property
    def result(self) -> str:
        """What the faces alone say, whatever else speaks against the attempt."""
        if self.probe.face is None:
            return "no_face_detected"
        if self.nearest is None:
            return "no_registered_faces"
        is_match = self.confidence >= thresholds.level_confidence(self.level)
        return "success" if is_match else "no_match"


@dataclass(frozen=True)
class Verification:
    """What is answered. `compared` is None also when the attempt was refused."""

    by: Engine
    result: str
    level: str
    match_on: str
    compared: Compared | None
    risk: Mapping[str, object]

    @property
    def is_match(self) -> bool:
        return self.result == "success"

    @property
    def cosine(self) -> float | None:
        """The one that decided."""
        return self.compared.cosine(self.match_on) if self.compared else None


def look(
    image: bytes, inspection: Inspection, *, is_checked: bool = True, with_mirror: bool = False
) -> Probe:
    """The probe of a picture; its checks run beside the embedding. Raises ImageError."""
    with engine.at_work() as active:
        picture = active.decode(image)
        faces = active.detect(picture)
        if not faces:
            return Probe(active)
        inspection.see(picture)
        if is_checked:
            inspection.begin(active, picture, faces[0])
        face, *mirrored = active.embed(_with_mirror(active, faces[0], wanted=with_mirror))
    return Probe(active, face, next(iter(mirrored), None))


def _with_mirror(active: Engine, face: DetectedFace, *, wanted: bool) -> list[DetectedFace]:
    """A pack that embeds both sides of every crop gives the mirror image the same embedding."""
    if not wanted or active.pack.recogniser.mirror:
        return [face]
    return [face, replace(face, crop=np.ascontiguousarray(face.crop[:, ::-1]))]
