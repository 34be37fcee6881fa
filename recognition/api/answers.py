"""Results as the JSON of the API."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from recognition.descriptions import attributes_of, place_of, quality_of
from recognition.gallery.scope import Scope
from recognition.identification import identifying
from recognition.inference.pack.declaration import Calibration
from recognition.inference.pipeline import DetectedFace
from recognition.models import Face, Template, User
from recognition.packs import engine
from recognition.packs.catalogue import Entry
from recognition.packs.engine import Engine
from recognition.packs.scores import ScoreScale
from recognition.verification import matching, pair_comparison

Answer = dict[str, Any]
# Steps from 0 to 1 that scores are shown in, to end users and to services.
COARSE, FINE = 100, 10_000


def registered(face: Face) -> Answer:
    return {
        "face_id": face.face_id,
        "user_id": str(face.user_id),
        "privacy_level": face.user.privacy_level,
        "registration_status": "success",
        "face_quality_score": face.quality_score,
        "embedding_version": face.embedding_version,
        "face_attributes": face.attributes,
    }


def stored_face(face: Face) -> Answer:
    (answer,) = stored_faces([face])
    return answer


def stored_faces(faces: Sequence[Face]) -> list[Answer]:
    """With the versions of the templates that are compared now: None for a face that has none, as
    after a change to a model that it could not be taken over to."""
    version = engine.active_version()
    compared = Template.objects.filter(face__in=faces, embedding_version=version)
    versions = dict(compared.values_list("face_id", "model_version"))
    shown = engine.without_key(version)
    return [_stored_face(face, shown, versions.get(face.pk)) for face in faces]


def _stored_face(face: Face, embedding_version: str, model_version: str | None) -> Answer:
    return {
        "face_id": face.face_id,
        "user_id": str(face.user_id),
        "face_group": face.face_group,
        "face_quality_score": face.quality_score,
        "quality_components": face.quality_components,
        "face_attributes": face.attributes,
        "metadata": face.metadata,
        "privacy_settings": {"searchable": face.searchable, "taggable": face.taggable},
        "suspended_at": face.suspended_at,
        "embedding_version": embedding_version if model_version else None,
        "model_version": model_version,
        "verification_count": face.verification_count,
        "last_verified_at": face.last_verified_at,
        "created_at": face.created_at,
        "updated_at": face.updated_at,
    }


def user(of: User) -> Answer:
    return {
        "user_id": str(of.pk),
        **_user_info(of),
        "suspended_at": of.suspended_at,
        "created_at": of.created_at,
    }


def models(entries: list[Entry]) -> Answer:
    return {"models": [_model(entry) for entry in entries]}


def _model(entry: Entry) -> Answer:
    pack = entry.pack
    return {
        "name": pack.name,
        "description": pack.description,
        "licence": pack.licence,
        "embedding_version": pack.embedding_version,
        "model_version": pack.model_version,
        "active": entry.active,
        "prepared": entry.prepared,
        "calibrated": entry.calibrated,
        "calibration": _calibration(pack.calibration) if pack.calibration else None,
    }


def _calibration(of: Calibration) -> Answer:
    scores = ScoreScale(of)
    return {
        "data_set": of.data,
        "measured_on": of.measured_on,
        "operating_points": [
            {
                "false_match_rate": point.fmr,
                "extrapolated": point.extrapolated,
                **_scores(scores, point.cosine),
            }
            for point in of.table
        ],
    }


def detected(by: Engine, faces: list[DetectedFace], found: int) -> Answer:
    names = by.pack.detector.landmark_names
    return {
        "faces": [_detected(face, names) for face in faces],
        "total_faces": len(faces),
        "faces_found": found,
    }


def verified(of: matching.Verification, *, is_coarse: bool) -> Answer:
    """`is_coarse`: for an end user, whose token may be in other hands."""
    scores, compared = of.by.scores, of.compared
    shown = partial(_scores, scores, is_coarse=is_coarse)
    return {
        "verification_result": of.result,
        "is_match": of.is_match,
        **shown(of.cosine),
        "matched_face_id": compared.face_id if compared and of.is_match else None,
        "match_on": of.match_on,
        "nearest_face": shown(compared.face_cosine if compared else None),
        "mean_face": shown(compared.mean_cosine if compared else None),
        "verification_level": of.level,
        "risk_assessment": of.risk or {"risk_level": "low", "factors": []},
    }


def compared(of: pair_comparison.Comparison, level: str) -> Answer:
    """In full digits: both pictures are the caller's, and no stored template is in it."""
    return {
        "is_match": of.is_match,
        **_scores(of.by.scores, of.cosine),
        "verification_level": level,
        "face_a": _seen(of.face_a),
        "face_b": _seen(of.face_b),
    }


def identified(of: identifying.Identification) -> Answer:
    """The original's three fields are those of the main face."""
    scores = of.by.scores
    shown = partial(_scores, scores, is_coarse=of.is_coarse)
    faces = [_identified_face(face, of.users, shown) for face in of.faces]
    main = faces[0] if faces else _result([], found="no_face_detected")
    return {
        **{key: main[key] for key in ("identification_result", "candidates", "total_candidates")},
        "faces": faces,
        "faces_found": of.faces_found,
        "search_stats": {
            "scope": _scope(of.scope),
            "faces_searched": of.faces_searched,
            "search_time_ms": round(of.search_seconds * 1000),
            "threshold": {
                "cut": of.threshold.used,
                **_scores(scores, of.threshold.cosine),
                # Whether so low a false match rate is beyond what the calibration could measure.
                "extrapolated": scores.is_extrapolated(of.threshold.cosine),
            },
        },
    }


def _scope(of: Scope) -> Answer:
    """Why somebody may be missing among the candidates."""
    viewer = str(of.viewer) if of.viewer else None
    if of.everyone:
        return {"everyone": True, "viewer": viewer, "user_groups": []}
    return {"everyone": False, "viewer": viewer, "user_groups": of.counted}


def _identified_face(
    of: identifying.IdentifiedFace, users: Mapping[UUID, User], shown: Callable[[float], Answer]
) -> Answer:
    candidates = [
        {
            "user_id": str(candidate.user_id),
            "face_id": candidate.face_id,
            **shown(candidate.cosine),
            "user_info": _user_info(users[candidate.user_id]),
        }
        for candidate in of.candidates
        # A user erased between the two queries is gone.
        if candidate.user_id in users
    ]
    return _seen(of.face) | _result(candidates, found="found" if candidates else "not_found")


def _result(candidates: list[Answer], *, found: str) -> Answer:
    return {
        "identification_result": found,
        "candidates": candidates,
        "total_candidates": len(candidates),
    }


def _seen(face: DetectedFace) -> Answer:
    return place_of(face) | {"quality": quality_of(face)}


def _detected(face: DetectedFace, names: tuple[str, ...]) -> Answer:
    pose = face.pose
    return {
        **_seen(face),
        # dlib's detector goes above 1.
        "detection_score": round(min(1.0, max(0.0, face.detection_score)), 4),
        "pose": {
            "yaw": round(pose.yaw, 1),
            "pitch": None if pose.pitch is None else round(pose.pitch, 1),
            "roll": round(pose.roll, 1),
        },
        "face_attributes": attributes_of(face, names),
        "liveness_score": None if face.liveness is None else round(face.liveness, 4),
    }


def _scores(scores: ScoreScale, cosine: float | None, *, is_coarse: bool = False) -> Answer:
    """Both 0 when there was nothing to compare."""
    if cosine is None:
        return {"similarity_score": 0.0, "confidence_score": 0.0}
    steps = COARSE if is_coarse else FINE
    return {
        "similarity_score": _shown(scores.similarity(cosine), steps),
        "confidence_score": _shown(scores.confidence(cosine), steps),
    }


def _shown(score: float, steps: int) -> float:
    """Rounded down: what is below a threshold must not be shown as if it met it."""
    # The addition keeps what is a round number but for the last bit.
    return math.floor(score * steps + 1e-6) / steps


def _user_info(of: User) -> Answer:
    return {
        "display_name": of.display_name,
        "profile_image": of.profile_image,
        "privacy_level": of.privacy_level,
    }
