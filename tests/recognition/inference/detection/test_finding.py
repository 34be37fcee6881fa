"""The search for the main face alone: it gives the face of the whole search, and stops early."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.finding import by_prominence
from recognition.inference.detection.results import Detections, Sight, View
from recognition.inference.images import turned
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.inference.sessions import Model
from tests.support.photos import astronaut, coffee, resized, six_people
from tests.support.real_packs import MODELS, open_permissive, open_real

PACKS = ("dlib", "permissive", "scrfd-arcface")
SIDE = 640


@pytest.fixture(params=PACKS)
def any_pack(request: pytest.FixtureRequest, pipeline: FacePipeline) -> FacePipeline:
    if request.param == "dlib":
        return pipeline
    if not MODELS.is_dir():
        pytest.skip(f"there is no {MODELS}")
    return open_permissive() if request.param == "permissive" else open_real(request.param)


def both(pipeline: FacePipeline, image: Image) -> tuple[DetectedFace, DetectedFace]:
    """The main face of the whole search, and that of the search for it alone."""
    whole = pipeline.embed(pipeline.detect(image)[:1])
    alone = pipeline.embed(pipeline.detect(image, only_main=True))
    return (*whole, *alone)  # type: ignore[return-value]


def check_same(whole: DetectedFace, alone: DetectedFace) -> None:
    assert whole.rotation == alone.rotation
    assert np.abs(whole.centre - alone.centre).max() < 0.15 * np.sqrt(whole.area)
    assert whole.embedding is not None and alone.embedding is not None
    assert whole.embedding @ alone.embedding > 0.9


def pasted(*faces: tuple[Image, int, int], shape: tuple[int, int] = (960, 1280)) -> Image:
    """Pictures on a dim background, each with its upper left corner at (x, y)."""
    image = np.full((*shape, 3), 90, np.uint8)
    for picture, x, y in faces:
        image[y : y + len(picture), x : x + picture.shape[1]] = picture
    return image


def head(side: int) -> Image:
    """A head whose face is about half of the side."""
    cut = astronaut()[20:230, 115:325]
    return cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)


def pixels_seen(pipeline: FacePipeline, search: Callable[[], Any]) -> int:
    """How many pixels the detector's network sees."""
    network: Model = pipeline._detector._model  # type: ignore[union-attr]
    run, seen = network.run, [0]

    def counted(batch: Any) -> Any:
        seen[0] += batch.shape[2] * batch.shape[3]
        return run(batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "run", counted)
        search()
    return seen[0]


# --- The same face --------------------------------------------------------------------------------


def test_it_works(any_pack: FacePipeline) -> None:
    check_same(*both(any_pack, astronaut()))


@pytest.mark.parametrize("side", [180, 240, 480, 900])
def test_a_face_of_any_size(any_pack: FacePipeline, side: int) -> None:
    check_same(*both(any_pack, pasted((head(side), 180, 40))))


def test_the_main_one_of_several(any_pack: FacePipeline) -> None:
    check_same(*both(any_pack, six_people()))


@pytest.mark.parametrize(("side", "x"), [(400, 60), (330, 60), (200, 60), (330, 1000)])
def test_a_bystander(any_pack: FacePipeline, side: int, x: int) -> None:
    """Beside a large face in the middle, or nearer to it than a larger one."""
    x = min(x, 1280 - side)
    check_same(*both(any_pack, pasted((head(400), 520, 300), (head(side), x, 20))))
    check_same(*both(any_pack, pasted((head(400), 860, 540), (head(side), 400, 300))))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_picture(any_pack: FacePipeline, degrees: int) -> None:
    check_same(*both(any_pack, turned(astronaut(), degrees)))


def test_nobody(any_pack: FacePipeline) -> None:
    assert any_pack.detect(coffee(), only_main=True) == []
    assert any_pack.detect(np.full((480, 640, 3), 128, np.uint8), only_main=True) == []


def test_one_face_at_most(any_pack: FacePipeline) -> None:
    assert len(any_pack.detect(six_people(), only_main=True)) == 1


# --- For less -------------------------------------------------------------------------------------


def test_a_large_face_costs_little(any_pack: FacePipeline) -> None:
    image = pasted((head(480), 80, 0), shape=(480, 640))
    alone = pixels_seen(any_pack, lambda: any_pack.detect(image, only_main=True))
    whole = pixels_seen(any_pack, lambda: any_pack.detect(image))
    assert alone < 0.6 * whole


def test_a_picture_without_a_face_is_turned_for_little(any_pack: FacePipeline) -> None:
    image = resized(coffee(), SIDE / coffee().shape[1])
    upright = pixels_seen(any_pack, lambda: any_pack.detect(image, rotate=False))
    assert pixels_seen(any_pack, lambda: any_pack.detect(image)) < 1.4 * upright


@pytest.mark.parametrize("name", ["scrfd-arcface"])
def test_a_picture_is_not_enlarged(name: str) -> None:
    if not MODELS.is_dir():
        pytest.skip(f"there is no {MODELS}")
    real, image = open_real(name), resized(coffee(), 256 / coffee().shape[1])
    assert pixels_seen(real, lambda: real.detect(image, rotate=False)) <= 256**2 + 128**2


def test_a_network_with_one_input_size_looks_once() -> None:
    if not MODELS.is_dir():
        pytest.skip(f"there is no {MODELS}")
    real, image = open_real("retinaface-retail"), resized(astronaut(), 2)
    alone = pixels_seen(real, lambda: real.detect(image, only_main=True))
    assert alone == pixels_seen(real, lambda: real.detect(image))


# --- When it stops --------------------------------------------------------------------------------


def faces(*boxes: tuple[float, float, float]) -> Detections:
    """Faces by their left and upper side and their width, all of them sure and upright."""
    corners = np.array([(x, y, x + side, y + side) for x, y, side in boxes], float).reshape(-1, 4)
    sides = (corners[:, 2] - corners[:, 0])[:, None, None]
    return Detections(corners, np.full(len(boxes), 2.0), UPRIGHT * sides)


# In shares of the box; the landmarks of dlib.
UPRIGHT: Floats = np.array([[0.8, 0.4], [0.6, 0.4], [0.2, 0.4], [0.4, 0.4], [0.5, 0.6]])


def sights_taken(
    pipeline: FacePipeline, monkeypatch: pytest.MonkeyPatch, *sights: tuple[Detections, float]
) -> int:
    """How many sights of a picture of 640 x 480 the search for the main face takes."""
    taken = []

    def see(view: View) -> Iterator[Sight]:
        for seen, unseen in sights:
            taken.append(unseen)
            yield Sight(seen.boxes, unseen, seen.take)

    monkeypatch.setattr(pipeline._detector, "sights", see)
    assert len(pipeline.detect(coffee(), only_main=True)) == 1
    return len(taken)


LARGE, LARGER = (100.0, 100.0, 100.0), (200.0, 100.0, 143.0)


@pytest.mark.parametrize(
    ("seen", "unseen", "taken"),
    [
        ([LARGE], 69.0, 1),
        ([LARGE], 71.0, 2),  # a face of this size may be nearer to the middle
        ([LARGE, LARGER], 99.0, 1),
        ([LARGE, LARGER], 101.0, 2),
        ([], 10.0, 2),
    ],
)
def test_it_stops_where_nothing_as_large_is_missing(
    pipeline: FacePipeline,
    monkeypatch: pytest.MonkeyPatch,
    seen: list[tuple[float, float, float]],
    unseen: float,
    taken: int,
) -> None:
    sights = ((faces(*seen), unseen), (faces(LARGE), 0.0))
    assert sights_taken(pipeline, monkeypatch, *sights) == taken


def test_it_goes_on_where_the_face_is_not_sure(
    pipeline: FacePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsure = replace(faces(LARGE), scores=np.array([0.1]))
    sights = ((unsure, 10.0), (faces(LARGE), 0.0))
    assert sights_taken(pipeline, monkeypatch, *sights) == 2


def test_the_main_face_is_central_or_larger() -> None:
    picture = coffee()  # 400 x 600
    boxes = faces((0, 0, 100), (250, 150, 80), (280, 180, 60)).boxes
    assert by_prominence(boxes, picture) == [1, 0, 2]
