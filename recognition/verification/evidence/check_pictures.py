"""The picture that an anti-spoofing or deepfake service gets: never the bytes of the caller.

A caller could choose bytes that are slow to decode, or that the service reads as another picture:
the check would say nothing. The service gets a JPEG of bounded size: the face with its
surroundings, which would show the frame of a screen or the edge of a print.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from recognition.inference.arrays import Image
from recognition.inference.images import turned
from recognition.inference.pipeline import DetectedFace

# How much is shown, in sides of the face's box. MiniFASNet looks at 2.7 and 4 of them.
_SURROUNDINGS = 4.0
_LONGEST_SIDE = 640  # pixels
# Where a face is a third of the picture, the loss is below the noise of the picture.
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class CheckPicture:
    """An encoded upright picture, and the box of the face in its pixels."""

    encoded: bytes
    box: dict[str, int]


def picture_of(image: Image, face: DetectedFace) -> CheckPicture:
    upright = turned(image, face.rotation) if face.rotation else image
    height, width = upright.shape[:2]
    reach = _SURROUNDINGS / 2 * float(np.max(face.box[2:] - face.box[:2]))
    x, y = face.centre
    left, right = (int(np.clip(edge, 0, width)) for edge in (x - reach, np.ceil(x + reach)))
    top, bottom = (int(np.clip(edge, 0, height)) for edge in (y - reach, np.ceil(y + reach)))
    part = upright[top:bottom, left:right]
    scale = min(1.0, _LONGEST_SIDE / max(part.shape[:2]))
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in (right - left, bottom - top))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return CheckPicture(encode(part), _box_in(part, face, (left, top), scale))


def encode(image: Image) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ValueError("the picture for a check cannot be encoded")
    return data.tobytes()


def _box_in(
    part: Image, face: DetectedFace, corner: tuple[int, int], scale: float
) -> dict[str, int]:
    """The box of the face in a part of the picture, cut off at the border."""
    height, width = part.shape[:2]
    corners = (face.box - np.array([*corner, *corner])) * scale
    x1, y1, x2, y2 = np.clip(np.round(corners), 0, [width, height, width, height]).astype(int)
    return {"x": int(x1), "y": int(y1), "width": int(x2 - x1), "height": int(y2 - y1)}
