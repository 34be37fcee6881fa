"""The main face of a large photo is found in a few of its pixels, and looks the same."""

import struct
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from pytest_django import Settings

from recognition.descriptions import attributes_of, box_of
from recognition.inference.arrays import Floats, Image
from recognition.inference.images import open_picture
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.packs import main_face
from recognition.packs.main_face import MainFace
from recognition.verification import providers
from tests.support import real_packs
from tests.support.builders import face_of, fake_engine, vector
from tests.support.photos import astronaut, coffee, encode, jpeg, resized


def seen(pipeline: FacePipeline, data: bytes, least_box: int = 0) -> MainFace:
    return main_face.find(replace(fake_engine(), pipeline=pipeline), data, least_box=least_box)


def portrait(scale: float, width: int = 4000, height: int = 3000) -> Image:
    """A photo of 12 megapixels with a face whose box has about 130 * `scale` pixels."""
    image = cv2.resize(coffee(), (width, height)).astype(np.uint8)
    photo = resized(astronaut()[:400, :400], scale)
    image[200 : 200 + len(photo), 300 : 300 + len(photo)] = photo
    return image


def whole(pipeline: FacePipeline, image: Image) -> DetectedFace:
    return pipeline.embed(pipeline.detect(image)[:1])[0]


def overlap(a: Floats, b: Floats) -> float:
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    common = float(np.prod(sides))
    return common / float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


@pytest.mark.parametrize(("scale", "reduction"), [(6.5, 4), (4, 2), (2.2, 1)])
def test_it_works(pipeline: FacePipeline, scale: float, reduction: int) -> None:
    """As many pixels are decoded as the crop of the recogniser takes."""
    data = jpeg(portrait(scale))
    found = seen(pipeline, data)
    (face,) = pipeline.embed(list(found.faces))
    assert face.reduction == reduction
    assert found.picture.shape[:2] == (3000 // reduction, 4000 // reduction)
    assert found.first_look.shape == (750, 1000, 3)
    wanted = whole(pipeline, open_picture(data, max_bytes=10**8, max_pixels=10**8).decode())
    # The detector's pyramid has other steps in a picture of another size.
    assert overlap(face.box * reduction, wanted.box) >= 0.7
    assert face.embedding is not None and wanted.embedding is not None
    assert face.embedding @ wanted.embedding >= 0.99
    sizes = (face.quality.components["size"], wanted.quality.components["size"])
    assert sizes[0] == pytest.approx(sizes[1], abs=0.03)


def test_a_usual_picture_is_decoded_whole(pipeline: FacePipeline) -> None:
    data = jpeg(astronaut())
    found = seen(pipeline, data)
    assert found.picture is found.first_look and found.picture.shape == (512, 512, 3)
    assert [face.reduction for face in found.faces] == [1]


def test_a_large_picture_without_a_face(pipeline: FacePipeline) -> None:
    found = seen(pipeline, jpeg(resized(coffee(), 5)))
    assert not found.faces
    assert max(found.picture.shape) < 1280


def test_a_turned_photo(pipeline: FacePipeline) -> None:
    found = seen(pipeline, jpeg(np.ascontiguousarray(np.rot90(portrait(6.5), -1))))
    assert [face.rotation for face in found.faces] == [270]
    assert found.picture.shape == (1000, 750, 3)


def test_other_formats_are_searched_at_the_same_size(
    pipeline: FacePipeline, settings: Settings
) -> None:
    """So a copy of a JPEG in another format is known by its face."""
    settings.MAX_IMAGE_BYTES = 10**8
    image = portrait(6.5)
    png, photo = (seen(pipeline, data) for data in (encode(image), jpeg(image, 95)))
    assert png.picture.shape == photo.picture.shape
    first, second = (pipeline.embed(list(each.faces))[0].embedding for each in (png, photo))
    assert first is not None and second is not None
    assert first @ second >= 0.995


def test_other_metadata_change_no_pixel(pipeline: FacePipeline) -> None:
    data = jpeg(portrait(6.5))
    comment = data[:2] + b"\xff\xfe" + struct.pack(">H", 7) + b"hello" + data[2:]
    looks = [seen(pipeline, each).first_look for each in (data, comment)]
    assert np.array_equal(*looks)


def test_the_first_look_is_the_same_whatever_comes_of_it(pipeline: FacePipeline) -> None:
    """A picture is known again by its first look, even if more pixels are needed now."""
    data = jpeg(portrait(4))
    found = seen(pipeline, data, least_box=500)
    assert [face.reduction for face in found.faces] == [1]
    assert np.array_equal(found.first_look, seen(pipeline, data).first_look)


def test_a_service_gets_as_much_as_from_the_whole_picture(settings: Settings) -> None:
    assert providers.least_box() == 0
    settings.DEEPFAKE_DETECTION_SERVICE_URL = "https://checks.example/"
    least = providers.least_box()
    image = np.zeros((2000, 2000, 3), np.uint8)
    face = replace(face_of(vector(1)), box=np.array([900.0, 900, 900 + least, 900 + least]))
    encoded = np.frombuffer(providers.picture_of(image, face).encoded, np.uint8)
    shown = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert shown is not None and shown.shape == (640, 640, 3)


def test_what_is_told_is_in_pixels_of_the_file() -> None:
    face = replace(face_of(vector(1)), box=np.array([10.0, 20, 40, 60]), reduction=4)
    assert box_of(face) == {"x": 40, "y": 80, "width": 120, "height": 160}
    names = ("left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right")
    (x, y) = attributes_of(face, names)["face_landmarks"]["nose_tip"]
    assert (x, y) == pytest.approx(tuple(4 * face.landmarks[2]), abs=0.1)


def test_a_small_face_is_not_searched_for_again(
    pipeline: FacePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The larger picture is looked at where the face is."""
    searched = []
    real = FacePipeline.detect

    def detect(self: FacePipeline, image: Image, **options: Any) -> Any:
        searched.append(image.shape[:2])
        return real(self, image, **options)

    monkeypatch.setattr(FacePipeline, "detect", detect)
    assert [face.reduction for face in seen(pipeline, jpeg(portrait(4))).faces] == [2]
    assert searched == [(750, 1000)]


@real_packs.needs_models
def test_an_enrolled_photo_is_known_again() -> None:
    """The face of a whole picture is looked at as closely as that of a picture that is verified."""
    active = replace(fake_engine(), pipeline=real_packs.open_permissive())
    image, data = portrait(2.2), jpeg(portrait(2.2))
    (found,) = active.embed(list(main_face.find(active, data).faces))
    whole = active.pipeline.detect(image)[0]
    (enrolled,) = active.embed([main_face.closely(active, image, whole)])
    assert enrolled.embedding is not None and found.embedding is not None
    assert enrolled.embedding @ found.embedding >= 0.98
    assert np.abs(enrolled.landmarks - whole.landmarks).max() > 1


def test_a_face_of_a_usual_picture_is_as_it_was_found(pipeline: FacePipeline) -> None:
    active = replace(fake_engine(), pipeline=pipeline)
    face = pipeline.detect(astronaut())[0]
    assert main_face.closely(active, astronaut(), face) is face


@pytest.mark.parametrize("least_box", [0, 160])
def test_a_box_without_an_area(pipeline: FacePipeline, least_box: int) -> None:
    face = seen(pipeline, jpeg(portrait(6.5))).faces[0]
    flat = replace(face, box=np.array([50.0, 50, 50, 50]))
    wanted = 1 if least_box else 4
    assert main_face._needed(pipeline, flat, 4, least_box) == wanted
