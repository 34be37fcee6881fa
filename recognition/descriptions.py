"""What is told about a detected face, in answers, in refusals and in what is stored."""

from typing import Any

from recognition.inference.pipeline import DetectedFace

Description = dict[str, Any]


def box_of(face: DetectedFace) -> Description:
    """Whole pixels of the upright picture; a face cut off by the border may reach over it."""
    x1, y1, x2, y2 = (round(float(value)) for value in face.box)
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
    points = zip(names, face.landmarks, strict=True)
    return {
        "estimated_age": face.age,
        "estimated_gender": face.gender,
        "face_landmarks": {name: [round(float(v), 1) for v in point] for name, point in points},
    }
