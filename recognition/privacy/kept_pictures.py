"""The face in a kept picture, which other packs look at as well."""

import numpy as np

from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.privacy import sealing

# What is wrong with a kept picture whose face nobody may compare.
MISREAD = "the face in the crop lies on its side or upside down"
# Where FacePipeline.surroundings puts the face, in shares of the crop's side: its box is about half
# of it wide and in the middle. Turned heads lie up to a sixth off (lfw-a); a neighbour's face is
# half a side away or more.
_LEAST_SIDE, _FARTHEST = 0.25, 0.25


def face_in_crop(pipeline: FacePipeline, sealed: bytes) -> tuple[Image, DetectedFace]:
    """A kept crop, and the face that it was kept for, not embedded. Raises UnreadableError."""
    crop = sealing.unseal_picture(sealed)
    if face := _kept_face(pipeline.detect(crop, rotate=False), crop):
        return crop, face
    raise sealing.UnreadableError("no face was found in the crop")


def _kept_face(found: list[DetectedFace], crop: Image) -> DetectedFace | None:
    """The face that a crop was kept for: large and in its middle. Others are bystanders."""
    side = crop.shape[0]
    middle = np.array([side, side]) / 2
    fitting = [
        (float(np.linalg.norm(face.centre - middle)), index)
        for index, face in enumerate(found)
        if face.area >= (_LEAST_SIDE * side) ** 2
    ]
    distance, index = min(fitting, default=(np.inf, 0))
    return found[index] if distance <= _FARTHEST * side else None
