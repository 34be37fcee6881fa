"""The verb identify: who is in a picture, of the people that the viewer may find."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings

from recognition import audit, daily_counts
from recognition.gallery import plans
from recognition.gallery.scope import Scope
from recognition.gallery.search import Candidate, Gallery
from recognition.gallery.statements import statements
from recognition.identification.face_budget import FaceBudget
from recognition.inference.pipeline import DetectedFace
from recognition.models import CountedKind, User
from recognition.packs import engine, serving
from recognition.packs.engine import Engine
from recognition.processes.capacity import stage


@dataclass(frozen=True)
class SearchOptions:
    """`max_false_positive_rate` None turns the second cut off."""

    min_confidence: float
    max_candidates: int = 10
    match_on: str = "face"
    max_false_positive_rate: float | None = 0.01


@dataclass(frozen=True)
class Threshold:
    """The cosine that counted, and which of the two cuts it came from."""

    used: str
    cosine: float


@dataclass(frozen=True)
class IdentifiedFace:
    face: DetectedFace
    candidates: list[Candidate]


@dataclass(frozen=True)
class Identification:
    """`is_coarse`: an end user sees the scores, in steps that say little of a template."""

    by: Engine
    scope: Scope
    faces: list[IdentifiedFace]  # the main face first
    users: Mapping[UUID, User]
    faces_searched: int
    threshold: Threshold
    search_seconds: float
    is_coarse: bool
    faces_found: int  # in the picture, also those that are beyond the limit


def identify(
    *, scope: Scope, image: bytes, options: SearchOptions, largest_only: bool = False
) -> Identification:
    """Who is in the picture, of the people in the scope.

    For an end user the least confidence is FACE_MATCH_THRESHOLD: the scores of people who do not
    match would give away their templates. Raises ImageError, rate_limited.
    """
    if _is_for_user(scope):
        least = max(options.min_confidence, settings.FACE_MATCH_THRESHOLD)
        options = replace(options, min_confidence=least)
    budget = FaceBudget(scope.viewer if _is_for_user(scope) else None)
    found = _look_and_search(scope, image, options, budget, largest_only=largest_only)
    daily_counts.note(CountedKind.SEARCH, _found(found.faces))
    return found


@serving.once_more
def _look_and_search(
    scope: Scope, image: bytes, options: SearchOptions, budget: FaceBudget, *, largest_only: bool
) -> Identification:
    with engine.at_work() as active:
        found = active.look_at(image)
        probes = active.embed(found[:1] if largest_only else found)
    budget.take(len(probes))
    return _search(active, scope, probes, options, faces_found=found.found)


def _search(
    active: Engine,
    scope: Scope,
    probes: list[DetectedFace],
    options: SearchOptions,
    *,
    faces_found: int,
) -> Identification:
    """Raises ModelChangedError."""
    started = time.perf_counter()
    with stage("search"), statements():
        gallery = Gallery.visible_to(scope, active)
        if not gallery.searched:
            serving.require(active)
        threshold = cut(active, options, gallery.searched)
        nearest = partial(
            plans.nearest,
            gallery,
            least=threshold.cosine,
            limit=options.max_candidates,
            by_user=options.match_on == "user",
        )
        faces = [IdentifiedFace(probe, nearest(active.template(probe))) for probe in probes]
        users = User.objects.in_bulk({c.user_id for face in faces for c in face.candidates})
    return Identification(
        active,
        scope,
        faces,
        users,
        gallery.searched,
        threshold,
        time.perf_counter() - started,
        is_coarse=_is_for_user(scope),
        faces_found=faces_found,
    )


def is_tagging(metadata: Mapping[str, Any]) -> bool:
    """Whether the purpose is tagging, so that the faces' `taggable` counts."""
    return metadata.get("source") == "auto_tagging" or metadata.get("context") == "post_upload"


def note_if_everyone(actor: str, scope: Scope) -> None:
    """A request or a batch that searches everyone is in the audit log once, also if it fails."""
    if scope.everyone:
        audit.note(actor, "identify.everyone", viewer_id=scope.viewer)


def _is_for_user(scope: Scope) -> bool:
    """Whether an end user sees the answer, who must not learn other people's templates."""
    return scope.viewer is not None and not scope.everyone


def _found(faces: list[IdentifiedFace]) -> str:
    """What a search counts as."""
    if not faces:
        return "no_face"
    return "found" if any(face.candidates for face in faces) else "not_found"


def cut(active: Engine, options: SearchOptions, searched: int) -> Threshold:
    """The stricter of the two cuts: confidence of the match, and false positives of the search.

    A search of n templates lets a stranger match in about n x FMR of all cases.
    """
    by_confidence = Threshold(
        "min_confidence", active.scores.cosine_of_confidence(options.min_confidence)
    )
    if options.max_false_positive_rate is None or not searched:
        return by_confidence
    fmr = min(1.0, options.max_false_positive_rate / searched)
    by_rate = Threshold("max_false_positive_rate", active.scores.cosine_of_fmr(fmr))
    return max(by_confidence, by_rate, key=lambda threshold: threshold.cosine)
