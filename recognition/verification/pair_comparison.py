"""The verb compare: whether two pictures show one person. No stored face is compared.

Every face of one picture is compared with every face of the other, unless only the main ones are
asked for: the person who is meant often stands behind the one who holds the camera.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from recognition.descriptions import quality_of
from recognition.errors import ServiceError
from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace, FacesOfPicture
from recognition.packs import engine, main_face
from recognition.packs.engine import Engine
from recognition.packs.scores import level_confidence


@dataclass(frozen=True)
class Pair:
    """Two faces, by their places in the lists of the pictures' faces. `cosine` is what theirs is
    worth where this is the one pair that is compared.
    """

    index_a: int
    index_b: int
    cosine: float
    is_match: bool


@dataclass(frozen=True)
class Comparison:
    """`main` compares the main faces, None if one of them is misread. `best` is the most similar
    pair of all that were compared.
    """

    by: Engine
    level: str
    faces_a: FacesOfPicture
    faces_b: FacesOfPicture
    main: Pair | None
    best: Pair

    @property
    def face_a(self) -> DetectedFace:
        return self.faces_a[0]

    @property
    def face_b(self) -> DetectedFace:
        return self.faces_b[0]

    @property
    def cosine(self) -> float | None:
        return self.main.cosine if self.main else None

    @property
    def is_match(self) -> bool:
        return self.main is not None and self.main.is_match


@dataclass(frozen=True)
class ComparedPicture:
    """A picture and its faces, the main one first; with `cosines`, what each has in common with the
    main face of another picture: None where the quality of a face is too low.
    """

    picture: Image
    faces: FacesOfPicture
    cosines: tuple[float | None, ...] = ()


def compare_with_each(
    source: bytes, target: bytes, *, least_quality: float
) -> tuple[Engine, ComparedPicture, ComparedPicture]:
    """The main face of one picture with every face of another, each pair for itself.

    Raises ImageError, and no_face or low_quality of the source.
    """
    with engine.at_work() as active:
        picture, faces = active.see(source, closer=lambda found: found < 1)
        other_picture, others = active.see(target, closer=lambda _: True)
        if not faces:
            raise ServiceError("no_face", "No face was found in the source.", {"image": "source"})
        faces[0] = main_face.closely(active, picture, faces[0])
        embedded = active.embed([faces[0], *others])
    faces[0], others[:] = embedded[0], embedded[1:]
    if not faces[0].quality.reaches(least_quality):
        advice = " ".join(faces[0].quality.advice)
        message = f"The face in the source cannot be compared. {advice}"
        raise ServiceError("low_quality", message, quality_of(faces[0]))
    template = active.template(faces[0])
    cosines = tuple(
        float(template @ active.template(face)) if face.quality.reaches(least_quality) else None
        for face in others
    )
    seen = ComparedPicture(picture, faces)
    return active, seen, ComparedPicture(other_picture, others, cosines)


def compare(*, image_a: bytes, image_b: bytes, level: str, main_only: bool) -> Comparison:
    """Raises ImageError, and no_face or low_quality (details: which picture)."""
    with engine.at_work() as active:
        pictures = {"image_a": image_a, "image_b": image_b}
        seen = {name: _faces_of(active, image, main_only) for name, image in pictures.items()}
        for name, faces in seen.items():
            if not faces:
                raise ServiceError("no_face", f"No face was found in {name}.", {"image": name})
        faces_a, faces_b = seen.values()
        embedded = active.embed([*faces_a, *faces_b])
    faces_a[:], faces_b[:] = embedded[: len(faces_a)], embedded[len(faces_a) :]
    places = {name: _compared(name, faces) for name, faces in seen.items()}
    return _comparison(active, level, faces_a, faces_b, **places)


def _faces_of(active: Engine, image: bytes, main_only: bool) -> FacesOfPicture:
    """The faces of a picture, main one first, without embeddings."""
    if main_only:
        return main_face.find(active, image).faces
    picture, faces = active.see(image, closer=lambda _: True)
    if faces:
        faces[0] = main_face.closely(active, picture, faces[0])
    return faces


def _compared(name: str, faces: list[DetectedFace]) -> list[int]:
    """The places of the faces that are compared. Raises low_quality if there is none.

    Two misread faces would be alike, whose they are or not.
    """
    places = [place for place, face in enumerate(faces) if not face.quality.is_misread]
    if not places:
        advice = " ".join(faces[0].quality.advice)
        message = f"The face in {name} cannot be compared. {advice}"
        raise ServiceError("low_quality", message, {"image": name, **quality_of(faces[0])})
    return places


def _comparison(
    active: Engine,
    level: str,
    faces_a: FacesOfPicture,
    faces_b: FacesOfPicture,
    image_a: list[int],
    image_b: list[int],
) -> Comparison:
    """`image_a` and `image_b` are the places of the faces that are compared."""
    cosines = _templates(active, faces_a, image_a) @ _templates(active, faces_b, image_b).T
    scores, needed = active.scores, level_confidence(level)

    def pair(place: Any, among: int) -> Pair:
        place_a, place_b = place
        worth = scores.worth_of_best(float(cosines[place]), among)
        is_match = scores.confidence(worth) >= needed
        return Pair(image_a[place_a], image_b[place_b], worth, is_match)

    best = pair(np.unravel_index(cosines.argmax(), cosines.shape), among=cosines.size)
    main = pair((0, 0), among=1) if image_a[0] == image_b[0] == 0 else None
    return Comparison(active, level, faces_a, faces_b, main, best)


def _templates(active: Engine, faces: list[DetectedFace], places: list[int]) -> Any:
    """(N, 512) of the faces at these places."""
    return np.stack([active.template(faces[place]) for place in places])
