"""The main face of an encoded picture, from no more pixels than it needs.

Decoding a photo of 12 megapixels takes longer than all networks together, and the face of a person
who holds the camera has a million of its pixels, while recognisers look at 12,000 to 22,000.
"""

from dataclasses import dataclass

import numpy as np
from django.conf import settings

from recognition.inference.alignment import fit_similarity
from recognition.inference.arrays import Image
from recognition.inference.images import open_picture
from recognition.inference.pipeline import DetectedFace, FacePipeline, FacesOfPicture
from recognition.packs.engine import Engine
from recognition.processes.current_request import current as current_request
from recognition.processes.slots import stage

# Pixels of the longer side of the first look at least. It is the same in all packs, so that a
# picture is known again when the pack has changed.
_FIRST_SIDE = 640


@dataclass(frozen=True)
class MainFace:
    """`faces` has at most one, in pixels of `picture`. `first_look` shows the whole picture too, as
    every pack decodes it at first.
    """

    picture: Image
    first_look: Image
    faces: FacesOfPicture


def find(active: Engine, image: bytes, *, least_box: int = 0) -> MainFace:
    """The main face in a picture that is decoded as small as it allows. Raises ImageError.

    It is decoded once more if the crop of the recogniser would have to be enlarged from that, or if
    the face's box would have a longer side than `least_box` pixels only in a larger picture.
    """
    current_request.get().model_version = active.pack.model_version
    with stage("decode"):
        encoded = open_picture(
            image, max_bytes=settings.MAX_IMAGE_BYTES, max_pixels=settings.MAX_IMAGE_PIXELS
        )
    reduction = encoded.reduction(_FIRST_SIDE)
    with stage("decode"):
        first = picture = encoded.decode(reduction)
    with stage("detect"):
        faces = active.pipeline.detect(first, only_main=True, reduction=reduction)
    if faces and (finer := _needed(active.pipeline, faces[0], reduction, least_box)) < reduction:
        with stage("decode"):
            larger = encoded.decode(finer)
        with stage("detect"):
            again = active.pipeline.look_again(larger, faces[0], finer)
        if again:
            picture, faces = larger, again
    return MainFace(picture, first, faces)


def closely(active: Engine, picture: Image, face: DetectedFace) -> DetectedFace:
    """A face that was found in a whole large picture, with landmarks as good as those of `find`.

    Whole pictures are searched at the size of the detector's input. Landmarks from there make the
    template worse, and so unlike that of `find` that a copy of an enrolled photo is not known.
    """
    if max(picture.shape) < 2 * _FIRST_SIDE:
        return face
    with stage("detect"):
        return next(iter(active.pipeline.look_again(picture, face, 1)), face)


def _needed(pipeline: FacePipeline, face: DetectedFace, reduction: int, least_box: int) -> int:
    """The reduction at which the picture has enough pixels of a face, found at this one."""
    matrix = fit_similarity(face.landmarks.astype(np.float64), pipeline.pack.template)
    enlarged = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    # A picture that was made for it can have a box without an area.
    side = max(1.0, float(np.max(face.box[2:] - face.box[:2])))
    lacking = max(enlarged, least_box / side)
    while reduction > 1 and lacking > 1:
        reduction, lacking = reduction // 2, lacking / 2
    return reduction
