"""The JSON about a detected face, for answers, refusals and storage."""

from typing import Any

import numpy as np

from recognition.inference.arrays import Floats
from recognition.inference.pipeline import DetectedFace

# The same in every pack. An eye without a point of its own is the middle of its corners.
LANDMARKS = ("left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right")

Description = dict[str, Any]


def box_of(face: DetectedFace) -> Description:
    """Whole pixels of the upright file; a face cut off by the border may reach over it."""
    x1, y1, x2, y2 = (round(float(value)) for value in face.box * face.reduction)
    return {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}


def place_of(face: DetectedFace) -> Description:
    """The box, and by how many degrees clockwise the picture was turned to be upright."""
    return {"box": box_of(face), "rotation": face.rotation}


def quality_of(face: DetectedFace) -> Description:
    quality = face.quality
    return {
        "face_quality_score": quality.score,
        "components": quality.components,
        "reasons": list(quality.reasons),
    }


def attributes_of(face: DetectedFace, names: tuple[str, ...]) -> Description:
    """Landmarks by name. Age and gender are None when no network of the pack estimates them."""
    return {
        "estimated_age": face.age,
        "estimated_gender": face.gender,
        "face_landmarks": _landmarks(
            dict(zip(names, face.landmarks * face.reduction, strict=True))
        ),
    }


def _landmarks(points: dict[str, Floats]) -> Description:
    """Those of LANDMARKS, in [x, y], None where the pack cannot tell; then others of the pack."""
    eyes = {
        eye: np.mean([point for name, point in points.items() if name.startswith(eye)], axis=0)
        for eye in ("left_eye", "right_eye")
    }
    known = {**dict.fromkeys(LANDMARKS), **eyes, **points}
    return {
        name: None if point is None else [round(float(value), 1) for value in point]
        for name, point in known.items()
    }
