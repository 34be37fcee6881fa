"""The verbs verify and identify, with every decision they take."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import numpy as np
from django.conf import settings

from recognition import activation, daily_counts, engine, face_budget
from recognition.capacity import turn
from recognition.engine import Engine
from recognition.errors import ServiceError
from recognition.gallery import ListingQuerySet, Scope
from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace
from recognition.models import CountedKind, Face, Listing, User
from recognition.search import Candidate, Gallery
from recognition.stages import stage
from recognition.statements import Vector, statements

# Confidence of the operating points; `standard` is a setting.
BASIC, STRICT = 0.80, 0.95
LEVELS = ("basic", "standard", "strict")
# What a probe is compared with: every face of a user, or the mean of them.
MATCH_ON = ("face", "user")


def level_confidence(level: str) -> float:
    standard: float = settings.VERIFICATION_THRESHOLD
    return {"basic": BASIC, "standard": standard, "strict": STRICT}[level]


# --- verify ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """A probe against the nearest face of a user, and against the mean of the user's faces."""

    face_id: str
    face_cosine: float
    mean_cosine: float

    def cosine(self, match_on: str) -> float:
        return self.mean_cosine if match_on == "user" else self.face_cosine


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


def compare_with_user(
    active: Engine, user_id: UUID, probe: DetectedFace, face_id: str | None = None
) -> Compared | None:
    """The probe against one user's faces, or only one of them; None if there are none."""
    listings = Listing.objects.comparable_with(active.template_version).of_user(user_id)
    if face_id is not None:
        listings = listings.filter(template__face__face_id=face_id)
    return _nearest(active, listings, probe)


def compare_with_all_of_user(
    active: Engine, user_id: UUID, probe: DetectedFace, *, without: Collection[str] = ()
) -> Compared | None:
    """Also with suspended faces, `without` some: only to tell whether a new one resembles any."""
    listings = Listing.objects.comparable_with(active.template_version).filter(user_id=user_id)
    return _nearest(active, listings.exclude(template__face__face_id__in=without), probe)


def _nearest(active: Engine, listings: ListingQuerySet, probe: DetectedFace) -> Compared | None:
    with stage("search"):
        nearest = listings.nearest_and_mean(Vector.of(active.template(probe))).first()
    if nearest is None:
        return None
    face, distance, mean_distance = nearest
    return Compared(face, face_cosine=-distance, mean_cosine=-mean_distance)


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

    Only the comparison: recognition.attempts also knows of sessions, risk and earlier failures.
    """
    compare = compare or partial(compare_with_user, face_id=face_id)
    while True:
        with turn():
            active = engine.current()
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
    is_match = confidence >= level_confidence(of.level)
    return replace(of, result="success" if is_match else "no_match")


# --- identify -------------------------------------------------------------------------------------


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
    is_coarse: bool = False
    faces_found: int = 0  # in the picture, also those that are beyond the limit


def identify(
    *, scope: Scope, image: bytes, options: SearchOptions, largest_only: bool = False
) -> Identification:
    """Who is in the picture, of those whom the scope allows to be found.

    For an end user the least confidence is FACE_MATCH_THRESHOLD: the scores of people who do not
    match would give away their templates. Raises ImageError, rate_limited.
    """
    if _is_for_user(scope):
        least = max(options.min_confidence, settings.FACE_MATCH_THRESHOLD)
        options = replace(options, min_confidence=least)
    counted = 0
    while True:
        with turn():
            active = engine.current()
            found = active.look_at(image)
            probes = active.embed(found[:1] if largest_only else found)
        if _is_for_user(scope):
            # Once for the request: not again for what the model before has counted.
            face_budget.take(scope.viewer, max(0, len(probes) - counted))
            counted = max(counted, len(probes))
        answer = _search(active, scope, probes, options)
        if answer.faces_searched or activation.is_active(active):
            daily_counts.note(CountedKind.SEARCH, _found(answer.faces))
            return replace(answer, faces_found=found.found)
        # The model changed, and the templates that this asked for may be gone.


def _search(
    active: Engine, scope: Scope, probes: list[DetectedFace], options: SearchOptions
) -> Identification:
    started = time.perf_counter()
    with stage("search"), statements():
        gallery = Gallery.visible_to(scope, active)
        threshold = cut(active, options, gallery.searched)
        nearest = partial(
            gallery.nearest,
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
    )


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
