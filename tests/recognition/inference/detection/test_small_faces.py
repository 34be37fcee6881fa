"""Small faces in large photos, found by real detectors."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import group_photos
from recognition.inference.detection import tiles
from recognition.inference.detection.tiles import CloserLook
from recognition.inference.pipeline import FacePipeline, FacesOfPicture
from tests.support.photos import SHARED, astronaut, needs_shared, resized
from tests.support.real_packs import needs_models, open_permissive, open_real

ALWAYS = CloserLook(40, lambda _: True)
# A part of the photo like those of LFW: a face of about 100 pixels in the middle of 250.
PORTRAIT = astronaut()[:250, 97:347]


def boxes(faces: FacesOfPicture) -> np.ndarray:
    return np.array([face.box for face in faces]).reshape(-1, 4)


def assert_closer(pipeline: FacePipeline, face: float) -> None:
    """The first look finds no face, and a closer look finds each face once."""
    photo = group_photos.photographed([PORTRAIT] * 6, (4000, 3000), face, seed=1)
    assert photo.hits(boxes(pipeline.detect(photo.image)))[0] < 6
    faces = pipeline.detect(photo.image, closer=ALWAYS)
    found, false, again = photo.hits(boxes(faces))
    assert (found, again) == (6, 0)
    assert false <= 1  # the small networks of the tests see one in the background
    assert faces.smallest_face <= face
    # The crops are of the whole picture: as good as of one that a face fills.
    alone = pipeline.embed(pipeline.detect(PORTRAIT))[0]
    alike = [float(each.embedding @ alone.embedding) > 0.6 for each in pipeline.embed(faces)]
    assert sum(alike) == 6


def test_it_works(pipeline: FacePipeline) -> None:
    assert_closer(pipeline, 100)


@needs_models
@pytest.mark.parametrize("name", ["scrfd-arcface", "retinaface-retail", "yunet-mobilefacenet"])
def test_other_packs(name: str) -> None:
    pipeline = open_real(name)
    assert_closer(pipeline, 80)


def test_a_turned_photo(pipeline: FacePipeline) -> None:
    """The small faces of a picture are searched as it was turned for the large one."""
    image = np.zeros((3000, 4000, 3), np.uint8)
    image[:] = np.linspace(40, 200, 4000).astype(np.uint8)[None, :, None]
    image[1400:2936, 200:1736] = resized(astronaut(), 3)
    image[500:750, 3000:3250] = PORTRAIT
    faces = pipeline.detect(np.ascontiguousarray(np.rot90(image)), closer=ALWAYS)
    assert [face.rotation for face in faces] == [90, 90]
    assert faces[1].box[0] == pytest.approx(3075, abs=40)


def test_without_a_face(pipeline: FacePipeline) -> None:
    faces = pipeline.detect(group_photos.empty((4000, 3000), 2), closer=ALWAYS)
    assert (faces, faces.found) == ([], 0)
    wanted = tiles.plan(pipeline.pack.detector, 3000, 4000, 40).smallest_face
    assert faces.smallest_face == wanted < 100


@needs_shared
@needs_models
@pytest.mark.slow
@pytest.mark.parametrize(("people", "face"), [(192, 100), (70, 160)])
@pytest.mark.parametrize(
    ("open_pack", "found"), [(None, 0.95), (open_permissive, 0.98)], ids=["dlib", "permissive"]
)
def test_a_group_of_people(
    pipeline: FacePipeline,
    open_pack: Callable[[], FacePipeline] | None,
    found: float,
    people: int,
    face: int,
) -> None:
    portraits = group_photos.portraits(SHARED / "lfw-a", people)
    photo = group_photos.photographed(portraits, (4000, 3000), face, seed=0)
    seen = open_pack() if open_pack else pipeline
    hits, false, again = photo.hits(boxes(seen.detect(photo.image, closer=ALWAYS)))
    assert hits >= found * people
    assert false <= 0.01 * people
    assert again == 0
