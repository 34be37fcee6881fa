"""The faces of nobody of a job's pictures, kept until they are grouped: see batch.jobs.grouping."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from batch.models import UnknownFaces
from recognition.identification.identifying import Identification
from recognition.inference.arrays import Floats
from recognition.inference.pipeline import TEMPLATE_DIMENSIONS
from recognition.privacy import sealing

# The numbers are as exact as those of stored templates.
_FACE = np.dtype(
    [("index", "<i4"), ("quality", "<f4"), ("template", "<f2", (TEMPLATE_DIMENSIONS,))]
)


class UnknownFace(NamedTuple):
    item: int
    face_index: int  # in the result of the item
    quality: float
    template: Floats  # (512,)


def of(result: Identification) -> UnknownFaces | None:
    """What is kept of the faces that nobody is similar to, not stored yet; None if there are none.

    A misread face cannot be grouped. A face whose person was given to another face is somebody's.
    """
    kept = [
        (index, each.face.quality.score, result.by.template(each.face))
        for index, each in enumerate(result.faces)
        if not each.is_somebody and not each.face.quality.is_misread
    ]
    if not kept:
        return None
    sealed = sealing.seal(np.array(kept, _FACE).tobytes())
    return UnknownFaces(embedding_version=result.by.template_version, sealed=sealed)


def opened(rows: Iterable[UnknownFaces]) -> list[UnknownFace]:
    """The faces of rows, in their order. Raises UnreadableError."""
    return [
        UnknownFace(
            row.item_id,
            int(face["index"]),
            float(face["quality"]),
            face["template"].astype(np.float32),
        )
        for row in rows
        for face in np.frombuffer(sealing.unseal(bytes(row.sealed)), _FACE)
    ]
