"""The verbs verify, identify and compare, with every decision they take."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from recognition import activation, engine, risk
from recognition.engine import Engine
from recognition.errors import ServiceError
from recognition.gallery import Candidate, Scope
from recognition.inference.pipeline import DetectedFace
from recognition.models import Face, Template, User

# Confidence of the operating points; `standard` is a setting.
BASIC, STRICT = 0.80, 0.95
LEVELS = ("basic", "standard", "strict")


def level_confidence(level: str) -> float:
    standard: float = settings.VERIFICATION_THRESHOLD
    return {"basic": BASIC, "standard": standard, "strict": STRICT}[level]


# --- verify ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verification:
    """`cosine` is None when there was nothing to compare."""

    by: Engine
    result: str
    level: str
    cosine: float | None = None
    face_id: str | None = None
    risk: Mapping[str, object] | None = None

    @property
    def is_match(self) -> bool:
        return self.result == "success"


def verify(*, user_id: UUID, image: bytes, level: str, face_id: str | None = None) -> Verification:
    """Whether the main face of the picture is the user. Raises ImageError, face_not_found."""
    active = engine.current()
    faces = active.look_at(image)
    if face_id is not None and not Face.objects.filter(face_id=face_id, user=user_id).exists():
        raise ServiceError("face_not_found", "The user has no such face.")
    if not faces:
        return Verification(active, "no_face_detected", level)
    (probe,) = active.embed(faces[:1])
    best = best_of_user(active, user_id, probe, face_id)
    if best is None and not activation.is_active(active):
        # The model changed, and the templates that this asked for may be gone.
        return verify(user_id=user_id, image=image, level=level, face_id=face_id)
    if best is None:
        return Verification(active, "no_registered_faces", level)
    confidence, needed = active.scores.confidence(best.cosine), level_confidence(level)
    attempt = risk.Attempt(
        confidence=confidence,
        threshold=needed,
        quality_score=probe.quality.score,
        min_quality=settings.MIN_FACE_QUALITY,
    )
    if confidence < needed:
        return Verification(active, "no_match", level, best.cosine, risk=risk.assess(attempt))
    Face.objects.filter(face_id=best.face_id).update(
        verification_count=F("verification_count") + 1, last_verified_at=timezone.now()
    )
    return Verification(active, "success", level, best.cosine, best.face_id, risk.assess(attempt))


def best_of_user(
    active: Engine, user_id: UUID, probe: DetectedFace, face_id: str | None = None
) -> Candidate | None:
    templates = Template.objects.comparable_with(active.template_version).of_user(user_id)
    if face_id is not None:
        templates = templates.filter(face__face_id=face_id)
    found = templates.nearest(active.template(probe), least=-1, limit=1, visible=0)
    return found[0] if found else None


# --- identify -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SearchOptions:
    """`max_false_positive_rate` None turns the second cut off."""

    min_confidence: float
    max_candidates: int = 10
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
    by: Engine
    faces: list[IdentifiedFace]  # the main face first
    users: Mapping[UUID, User]
    faces_searched: int
    threshold: Threshold
    search_seconds: float


def identify(
    *, scope: Scope, image: bytes, options: SearchOptions, largest_only: bool = False
) -> Identification:
    """Who is in the picture, of those whom the scope allows to be found. Raises ImageError."""
    active = engine.current()
    found = active.look_at(image)
    probes = active.embed(found[:1] if largest_only else found)
    started = time.perf_counter()
    templates = Template.objects.comparable_with(active.template_version).visible_to(scope)
    visible = templates.count()
    if not visible and not activation.is_active(active):
        # The model changed, and the templates that this asked for may be gone.
        return identify(scope=scope, image=image, options=options, largest_only=largest_only)
    threshold = cut(active, options, visible)
    faces = [
        IdentifiedFace(
            probe,
            templates.nearest(
                active.template(probe),
                least=threshold.cosine,
                limit=options.max_candidates,
                visible=visible,
            ),
        )
        for probe in probes
    ]
    users = User.objects.in_bulk({c.user_id for face in faces for c in face.candidates})
    return Identification(active, faces, users, visible, threshold, time.perf_counter() - started)


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


# --- compare --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    by: Engine
    face_a: DetectedFace
    face_b: DetectedFace
    cosine: float
    is_match: bool


def compare(*, image_a: bytes, image_b: bytes, level: str) -> Comparison:
    """The main faces of two pictures. Raises ImageError, no_face (details: which picture)."""
    active = engine.current()
    faces = []
    for name, image in (("image_a", image_a), ("image_b", image_b)):
        found = active.look_at(image)
        if not found:
            raise ServiceError("no_face", f"No face was found in {name}.", {"image": name})
        faces.append(found[0])
    face_a, face_b = active.embed(faces)
    cosine = float(face_a.template @ face_b.template)
    matches = active.scores.confidence(cosine) >= level_confidence(level)
    return Comparison(active, face_a, face_b, cosine, matches)
