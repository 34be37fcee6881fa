"""All that is like a face, for apps that store faces before people: every face, or the people.

`identify` answers each person once, and knows no face without a person. Here a search answers faces
one by one, or only people who have got a name.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

import numpy as np

from recognition import daily_counts
from recognition.errors import ServiceError
from recognition.gallery import finding, plans
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking
from recognition.gallery.scope import PUBLIC, Gallery, Scope
from recognition.gallery.statements import searching
from recognition.identification import by_face, identifying
from recognition.identification.identifying import IdentificationRequest, IdentifiedPerson
from recognition.inference.arrays import Image
from recognition.inference.pipeline import FacesOfPicture
from recognition.models import CountedKind, Face, Template
from recognition.packs import engine, serving
from recognition.packs.engine import Engine
from recognition.processes.slots import stage

# Everybody who is public, as a service finds them that names no viewer.
_EVERYBODY = Scope(None, frozenset({PUBLIC}))


@dataclass(frozen=True)
class MatchRequest:
    """How alike what is found has to be, and how much of it is wanted."""

    least_confidence: float  # from 0 to below 1
    most: int


class FoundFace(NamedTuple):
    face: Face  # with its user
    cosine: float


class SeenPicture(NamedTuple):
    """The picture of a search; the main one of its faces is searched."""

    by: Engine
    picture: Image
    faces: FacesOfPicture

    @property
    def probe(self) -> SearchProbe:
        return SearchProbe(self.by.template(self.faces[0]))


class FoundFaces(NamedTuple):
    by: Engine
    faces: list[FoundFace]  # best first


class FoundPeople(NamedTuple):
    by: Engine
    people: list[IdentifiedPerson]  # best first


# --- of a picture ---------------------------------------------------------------------------------


@serving.once_more
def faces_like_picture(
    image: bytes, request: MatchRequest, *, least_quality: float
) -> tuple[SeenPicture, FoundFaces]:
    """Raises ImageError, no_face, low_quality."""
    seen = _look(image, least_quality)
    return seen, FoundFaces(seen.by, _faces(seen.by, seen.probe, request))


@serving.once_more
def people_like_picture(
    image: bytes, request: MatchRequest, *, least_quality: float
) -> tuple[SeenPicture, FoundPeople]:
    """Raises ImageError, no_face, low_quality."""
    seen = _look(image, least_quality)
    return seen, FoundPeople(seen.by, _people(seen.by, seen.probe, request))


def _look(image: bytes, least_quality: float) -> SeenPicture:
    with engine.at_work() as active:
        picture, faces = active.see(image, closer=lambda found: found < 1)
        if not faces:
            raise ServiceError("no_face", "No face was found in the picture.")
        with stage("embed"):
            faces[:1] = active.embed(faces[:1])
    if not faces[0].quality.reaches(least_quality):
        advice = " ".join(faces[0].quality.advice)
        raise ServiceError("low_quality", f"The face cannot be recognised surely enough. {advice}")
    return SeenPicture(active, picture, faces)


# --- of what is stored ----------------------------------------------------------------------------


@serving.once_more
def faces_like_face(face_id: str, request: MatchRequest) -> FoundFaces:
    """All but the face itself. Raises face_not_found, no_template."""
    active, face = engine.current(), by_face.searchable_face(face_id, _EVERYBODY)
    probe = SearchProbe(by_face.template_of(face, active))
    found = _faces(active, probe, replace(request, most=request.most + 1))
    others = [each for each in found if each.face.pk != face.pk]
    return FoundFaces(active, others[: request.most])


@serving.once_more
def people_like_face(face_id: str, request: MatchRequest) -> FoundPeople:
    """With the person of the face. Raises face_not_found, no_template."""
    active, face = engine.current(), by_face.searchable_face(face_id, _EVERYBODY)
    probe = SearchProbe(by_face.template_of(face, active))
    return FoundPeople(active, _people(active, probe, request))


@serving.once_more
def people_like_person(user_id: UUID, request: MatchRequest) -> FoundPeople:
    """All but the person, by the mean of all of their faces. Raises no_template."""
    active = engine.current()
    templates = Template.objects.filter(
        user=user_id, embedding_version=active.template_version, face__suspended_at=None
    )
    embeddings = [*templates.values_list("embedding", flat=True)]
    if not embeddings:
        serving.require(active)
        raise ServiceError("no_template", "The user has no face that could be compared.")
    probe = SearchProbe.of_one_person(np.array(embeddings, np.float32))
    found = _people(active, probe, replace(request, most=request.most + 1))
    others = [each for each in found if each.user_id != user_id]
    return FoundPeople(active, others[: request.most])


# --- searches -------------------------------------------------------------------------------------


def _faces(active: Engine, probe: SearchProbe, request: MatchRequest) -> list[FoundFace]:
    """Raises ModelChangedError if another model serves now."""
    # Where nothing is asked for, those count who are less alike than most strangers, too.
    least = -math.inf
    if request.least_confidence > 0:
        least = active.scores.cosine_of_confidence(request.least_confidence)
    with stage("search"), searching():
        gallery = Gallery.visible_to(_EVERYBODY, active)
        if not gallery.searched:
            serving.require(active)
        limit = finding.rounded_up(request.most)
        nearest = plans.nearest_faces(gallery, probe.template, least=least, limit=limit)
        nearest = nearest[: request.most]
        rows = Face.objects.filter(face_id__in=[each.face_id for each in nearest])
        faces = {face.face_id: face for face in rows.select_related("user")}
    _count(bool(nearest))
    return [
        FoundFace(faces[each.face_id], each.cosine) for each in nearest if each.face_id in faces
    ]


def _people(active: Engine, probe: SearchProbe, request: MatchRequest) -> list[IdentifiedPerson]:
    """People with a name, by the mean of their faces. Raises ModelChangedError.

    Faces without a name are found first, so more is asked for until there are enough people.
    """
    most = 2 * request.most
    while True:
        wanted = IdentificationRequest(
            _EVERYBODY,
            request.least_confidence,
            max_candidates=most,
            match_on="user",
            max_false_positive_rate=None,
        )
        ((found,), *_) = identifying.search(active, wanted, [probe], asking.moment())
        people = [each for each in found if not each.user.is_nameless]
        if len(found) < most or len(people) >= request.most:
            _count(bool(people))
            return people[: request.most]
        most *= 4


def _count(is_found: bool) -> None:
    daily_counts.note(CountedKind.SEARCH, "found" if is_found else "not_found")
