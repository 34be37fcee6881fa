"""Who the one person in several photos is: identify with the mean of their templates."""

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from recognition.descriptions import quality_of
from recognition.errors import ServiceError, of_photo
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking
from recognition.identification import identifying
from recognition.identification.identifying import (
    Identification,
    IdentificationRequest,
    IdentifiedFace,
)
from recognition.inference.arrays import Floats
from recognition.inference.images import ImageError
from recognition.inference.pipeline import DetectedFace, FacesOfPicture
from recognition.packs import engine, serving
from recognition.packs.engine import Engine
from recognition.packs.scores import ScoreScale
from recognition.packs.serving import ModelChangedError
from recognition.processes import slots
from recognition.processes.current_request import current

# Photos of a person. What a mean is worth was measured with so many.
LEAST, MOST = 2, 5
# This share of strangers' photos passes for one of the same person. On lfw-a, at 0.01 photos of
# one person are refused in up to 0.15% of all requests with `permissive`, and 0.4% with `dlib`; at
# 0.001 it would be 0.8% and 4%.
_STRANGERS_WHO_PASS = 0.01


@serving.once_more
def identify(images: Sequence[bytes], request: IdentificationRequest) -> Identification:
    """Who in the scope is the person whose main face all photos show.

    Raises different_people, rate_limited, and with the place of the photo: no_face, low_quality and
    the codes of an ImageError.
    """
    since = asking.moment()
    active, faces = _main_faces(images)
    request.budget.take(len(faces))
    templates = np.stack([active.template(face) for face in faces])
    if others := _other_people(templates, active.scores):
        message = "The photos do not show one person; `details.images` says which of them differ."
        raise ServiceError("different_people", message, {"images": others})
    searched = identifying.search(active, request, [SearchProbe.of_one_person(templates)], since)
    (people,) = searched.people
    seen = [IdentifiedFace(face, people, bool(people)) for face in faces]
    return identifying.identification(active, request, faces, seen, searched)


def _main_faces(images: Sequence[bytes]) -> tuple[Engine, FacesOfPicture]:
    """The main face of each photo. Each photo takes a slot of its own, as other requests do.

    Raises ModelChangedError if they were embedded by two models.
    """
    seconds = current.get().limit.seconds
    looked = []
    for place, image in enumerate(images):
        with slots.waiting(seconds) if place else nullcontext():
            looked.append(_looked(place, image))
    engines, pictures = zip(*looked, strict=True)
    if any(each is not engines[0] for each in engines):
        raise ModelChangedError
    main = [_main_face(place, found) for place, found in enumerate(pictures)]
    faces = FacesOfPicture(main, found=sum(found.found for found in pictures))
    faces.smallest_face = max(found.smallest_face for found in pictures)
    return engines[0], faces


def _looked(place: int, image: bytes) -> tuple[Engine, FacesOfPicture]:
    try:
        return engine.look(image, most=1)
    except ImageError as error:
        raise of_photo(place, error.code, str(error), {}) from error


def _main_face(place: int, found: FacesOfPicture) -> DetectedFace:
    if not found:
        raise of_photo(place, "no_face", "No face was found.", {})
    face = found[0]
    if face.quality.is_misread:
        message = f"The face cannot be compared. {' '.join(face.quality.advice)}"
        raise of_photo(place, "low_quality", message, quality_of(face))
    return face


def _other_people(templates: Floats, scores: ScoreScale) -> list[int]:
    """The places of the photos that show somebody else than the most do; all if no two are alike.

    A photo is compared with the mean of the others. As long as the least similar one is too
    unlike them, it is left out.
    """
    cosines = templates @ templates.T
    alike = list(range(len(templates)))
    needed = scores.cosine_of_fmr(_STRANGERS_WHO_PASS)
    while len(alike) > 1:
        others = len(alike) - 1
        own = cosines[np.ix_(alike, alike)]
        means = (own.sum(axis=1) - own.diagonal()) / others
        least = int(means.argmin())
        if scores.worth_of_mean(float(means[least]), others) >= needed:
            return sorted({*range(len(templates))} - {*alike})
        del alike[least]
    return list(range(len(templates)))
