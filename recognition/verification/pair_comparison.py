"""The verb compare: whether two pictures show one person. No stored face is compared."""

from dataclasses import dataclass

from recognition.descriptions import quality_of
from recognition.errors import ServiceError
from recognition.inference.pipeline import DetectedFace
from recognition.packs import engine, main_face
from recognition.packs.engine import Engine
from recognition.packs.scores import level_confidence


@dataclass(frozen=True)
class Comparison:
    by: Engine
    face_a: DetectedFace
    face_b: DetectedFace
    cosine: float
    is_match: bool
    level: str


def compare(*, image_a: bytes, image_b: bytes, level: str) -> Comparison:
    """The main faces of two pictures. Raises ImageError, and no_face or low_quality (details: which
    picture).
    """
    faces = []
    with engine.at_work() as active:
        for name, image in (("image_a", image_a), ("image_b", image_b)):
            found = main_face.find(active, image).faces
            if not found:
                raise ServiceError("no_face", f"No face was found in {name}.", {"image": name})
            faces.append(found[0])
        face_a, face_b = active.embed(faces)
    for name, face in (("image_a", face_a), ("image_b", face_b)):
        if face.quality.is_misread:  # two of these would be alike, whose they are or not
            message = f"The face in {name} cannot be compared. {' '.join(face.quality.advice)}"
            raise ServiceError("low_quality", message, {"image": name, **quality_of(face)})
    cosine = float(active.template(face_a) @ active.template(face_b))
    matches = active.scores.confidence(cosine) >= level_confidence(level)
    return Comparison(active, face_a, face_b, cosine, matches, level)
