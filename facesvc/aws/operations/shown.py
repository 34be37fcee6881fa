"""What AWS says of faces: shares of the picture and percents, in place of pixels and shares.

What is not measured here is left out. docs/rekognition.md lists it.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import numpy as np

from facesvc.aws.operations.calls import Answer
from recognition.descriptions import attributes_of
from recognition.inference.arrays import Floats, Image
from recognition.inference.pipeline import DetectedFace
from recognition.inference.quality import light_of
from recognition.models import Face, User
from recognition.packs.engine import Engine
from recognition.packs.scores import ShownScores

# The first digits of every FaceId. The last twelve are those of our own id.
_FACE_ID = "facefac3-0000-8000-8000-"
_OWN_FACE_ID = "face_"
# What is kept of a picture, in the metadata of a face.
METADATA = "rekognition"
# The examples that AWS publishes show its directions: left is left in the picture, and not the
# person's, and a positive pitch looks up.
_LANDMARKS = {
    "right_eye": "eyeLeft",
    "left_eye": "eyeRight",
    "nose_tip": "nose",
    "mouth_right": "mouthLeft",
    "mouth_left": "mouthRight",
}
# Reasons that AWS has a name for. What has none is LOW_FACE_QUALITY.
_REASONS = {
    "turned_away": "EXTREME_POSE",
    "badly_exposed": "LOW_BRIGHTNESS",
    "blurred": "LOW_SHARPNESS",
    "moved": "LOW_SHARPNESS",
    "uncertain_detection": "LOW_CONFIDENCE",
    "face_too_small": "SMALL_BOUNDING_BOX",
}


# --- faces that are stored ------------------------------------------------------------------------


def face_id_of(face: Face) -> str:
    return _FACE_ID + face.face_id.removeprefix(_OWN_FACE_ID)


def own_face_id(face_id: str) -> str:
    """Our id of a FaceId. Another one's is the id of no face."""
    return _OWN_FACE_ID + face_id.removeprefix(_FACE_ID)


def stored_face(face: Face) -> Answer:
    """`face` comes with its user. One that was not stored by IndexFaces has no picture here."""
    noted = face.metadata.get(METADATA)
    known = noted if isinstance(noted, dict) else {}
    shown = {
        "FaceId": face_id_of(face),
        "BoundingBox": known.get("bounding_box"),
        "ImageId": known.get("image_id"),
        "ExternalImageId": known.get("external_image_id"),
        "Confidence": known.get("confidence"),
        "IndexFacesModelVersion": face.embedding_version,
        "UserId": None if face.user.is_nameless else face.user.app_id,
    }
    return {name: value for name, value in shown.items() if value is not None}


def metadata_of(
    face: DetectedFace, picture: Image, image_id: UUID, external_image_id: str | None
) -> Mapping[str, Any]:
    """What is kept for `stored_face`."""
    kept = {
        "image_id": str(image_id),
        "bounding_box": bounding_box(face, picture),
        "confidence": confidence(face),
    }
    if external_image_id is not None:
        kept["external_image_id"] = external_image_id
    return {METADATA: kept}


def user(row: User) -> Answer:
    return {"UserId": row.app_id, "UserStatus": "ACTIVE"}


def similarity(by: Engine, cosine: float) -> float:
    return percent(ShownScores(by.scores).of(cosine)["confidence_score"])


def percent(share: float) -> float:
    return round(100 * share, 4)


# --- faces in a picture ---------------------------------------------------------------------------


def confidence(face: DetectedFace) -> float:
    """How sure the detector is; that of dlib gives scores above 1."""
    return percent(min(1.0, max(0.0, face.detection_score)))


def bounding_box(face: DetectedFace, picture: Image) -> Answer:
    corners = face.box.reshape(2, 2)
    low, high = np.sort(_in_shares(face, picture, corners), axis=0)
    return {
        "Width": _rounded(high[0] - low[0]),
        "Height": _rounded(high[1] - low[1]),
        "Left": _rounded(low[0]),
        "Top": _rounded(low[1]),
    }


def compared_face(by: Engine, face: DetectedFace, picture: Image) -> Answer:
    """What is measured of every face."""
    pose = {
        "Roll": _angle(face.pose.roll - face.rotation),
        "Yaw": _angle(face.pose.yaw),
        "Pitch": None if face.pose.pitch is None else _angle(-face.pose.pitch),
    }
    return {
        "BoundingBox": bounding_box(face, picture),
        "Confidence": confidence(face),
        "Landmarks": _landmarks(by, face, picture),
        "Pose": {name: value for name, value in pose.items() if value is not None},
        "Quality": {
            "Brightness": percent(light_of(face.crop)[0] / 255),
            "Sharpness": percent(face.quality.components["sharpness"]),
        },
    }


def face_detail(
    by: Engine, face: DetectedFace, picture: Image, attributes: Collection[str] = ()
) -> Answer:
    """The same, with those of the attributes that a network of the pack estimates."""
    shown = compared_face(by, face, picture)
    wanted = {"AGE_RANGE", "GENDER", "EYES_OPEN"} if "ALL" in attributes else {*attributes}
    if face.age is not None and "AGE_RANGE" in wanted:
        shown["AgeRange"] = {"Low": math.floor(face.age), "High": math.ceil(face.age)}
    if face.gender is not None and "GENDER" in wanted:
        shown["Gender"] = {"Value": face.gender.capitalize()}
    if face.eyes_open is not None and "EYES_OPEN" in wanted:
        surely = max(face.eyes_open, 1 - face.eyes_open)
        shown["EyesOpen"] = {"Value": face.eyes_open >= 0.5, "Confidence": percent(surely)}
    return shown


def reasons(face: DetectedFace) -> list[str]:
    """Why a face is refused, by the reasons of its quality."""
    named = {_REASONS.get(reason, "LOW_FACE_QUALITY") for reason in face.quality.reasons}
    return sorted(named) or ["LOW_FACE_QUALITY"]


def _landmarks(by: Engine, face: DetectedFace, picture: Image) -> list[Answer]:
    """Those that every pack has, where it can tell them."""
    found = attributes_of(face, by.pack.detector.landmark_names)["face_landmarks"]
    known = {name: found[ours] for ours, name in _LANDMARKS.items() if found[ours] is not None}
    points = np.array([*known.values()]).reshape(-1, 2) / face.reduction
    return [
        {"Type": name, "X": _rounded(x), "Y": _rounded(y)}
        for name, (x, y) in zip(known, _in_shares(face, picture, points), strict=True)
    ]


def _in_shares(face: DetectedFace, picture: Image, points: Floats) -> Floats:
    """(N, 2) points of the picture that was turned to be upright, in shares of the one before."""
    height, width = picture.shape[:2]
    x, y = points.T
    match face.rotation:
        case 90:
            x, y = y, height - x
        case 180:
            x, y = width - x, height - y
        case 270:
            x, y = width - y, x
    shares: Floats = np.stack([x / width, y / height], axis=1)
    return shares


def _angle(degrees: float) -> float:
    """From -180 to 180."""
    return round(float((degrees + 180) % 360 - 180), 2)


def _rounded(share: float) -> float:
    return round(float(share), 6)
