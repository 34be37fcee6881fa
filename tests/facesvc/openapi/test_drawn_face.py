"""The example picture of the API description: our own drawing, which the default pack can enrol."""

import cv2
import numpy as np
import pytest
from django.conf import settings

from facesvc.openapi import examples
from recognition.packs import engine
from tests.support import drawn_face


def test_the_file_is_the_drawing() -> None:
    """But for what WebP leaves out."""
    stored = cv2.imdecode(np.frombuffer(examples.PICTURE, np.uint8), cv2.IMREAD_COLOR)
    off = np.abs(stored.astype(int) - drawn_face.drawing())
    assert stored.shape == (drawn_face.SIDE, drawn_face.SIDE, 3)
    assert off.mean() < 5, "make it again: python -m tests.support.drawn_face"


@pytest.mark.parametrize("size", [1, 0.75, 2])
def test_the_default_pack_finds_one_good_face(size: float) -> None:
    """With some room: also where the picture is a little smaller or larger."""
    pipeline = engine.open_pipeline(engine.pack("dlib"))
    picture = cv2.resize(drawn_face.drawing(), None, fx=size, fy=size)
    (face,) = pipeline.detect(picture)
    assert face.quality.score >= settings.MIN_FACE_QUALITY
    assert not face.quality.reasons
