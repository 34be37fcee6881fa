"""Who else is like a stored face: identify without a picture."""

import time
from dataclasses import dataclass, replace

import numpy as np

from recognition import daily_counts
from recognition.errors import ServiceError
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking
from recognition.gallery.scope import Scope
from recognition.identification import identifying
from recognition.identification.identifying import IdentificationRequest, IdentifiedPerson
from recognition.inference.arrays import Floats
from recognition.models import CountedKind, Face, Template
from recognition.packs import engine, serving
from recognition.packs.engine import Engine
from recognition.packs.scores import Threshold
from recognition.processes.slots import stage


@dataclass(frozen=True)
class FaceIdentification:
    by: Engine
    request: IdentificationRequest
    candidates: list[IdentifiedPerson]  # best first
    faces_searched: int
    threshold: Threshold
    search_seconds: float


def identify(face_id: str, request: IdentificationRequest) -> FaceIdentification:
    """Who in the scope is like this face, but for its own user.

    Raises face_not_found, no_template, rate_limited.
    """
    face = searchable_face(face_id, request.scope)
    request.budget.take(1)
    return _identify(face, request)


def searchable_face(face_id: str, scope: Scope) -> Face:
    """With a viewer, only a face of the viewer. That of others would say who is like somebody who
    the viewer may not find. Raises face_not_found.
    """
    faces = Face.objects.filter(face_id=face_id, suspended_at=None, user__suspended_at=None)
    if scope.viewer is not None:
        faces = faces.filter(user=scope.viewer)
    if (face := faces.first()) is None:
        raise ServiceError("face_not_found", "There is no such face.")
    return face


@serving.once_more
def _identify(face: Face, request: IdentificationRequest) -> FaceIdentification:
    since = asking.moment()
    active = engine.current()
    started = time.perf_counter()
    probe = template_of(face, active)
    with stage("search"):
        # Mostly the user of the face is the most similar one.
        one_more = replace(request, max_candidates=request.max_candidates + 1)
        answered = one_more.search(active, [SearchProbe(probe)]).answered(since)
        if not answered.searched:
            serving.require(active)
        others = [found for found in answered.found[0] if found.user_id != face.user_id]
        candidates = identifying.people_of(others[: request.max_candidates])
    seconds = time.perf_counter() - started
    daily_counts.note(CountedKind.SEARCH, "found" if candidates else "not_found")
    return FaceIdentification(
        active, request, candidates, answered.searched, answered.threshold, seconds
    )


def template_of(face: Face, active: Engine) -> Floats:
    """(512,) Raises no_template, and ModelChangedError if another model serves now."""
    templates = Template.objects.filter(face=face, embedding_version=active.template_version)
    embedding = templates.values_list("embedding", flat=True).first()
    if embedding is None:
        serving.require(active)
        raise ServiceError("no_template", "The model that serves has no template of this face.")
    return np.array(embedding, np.float32)
