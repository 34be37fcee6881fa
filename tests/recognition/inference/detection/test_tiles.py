"""The closer look at large pictures: white squares stand for faces, cut where a tile cuts them."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from recognition.inference.arrays import Floats, Image
from recognition.inference.detection import tiles
from recognition.inference.detection.results import Detections
from recognition.inference.detection.tiles import FIRST_LOOK, CloserLook
from recognition.inference.pack.declaration import load_pack
from recognition.inference.pack.specs import DetectorSpec, MmodSpec
from tests.support.real_packs import FOLDER

OURS = FOLDER.parents[1] / "ml_models"
# One with each kind of detector, and one that takes inputs of one size only.
PACKS = {
    "dlib": OURS,
    "permissive": OURS,
    "scrfd-arcface": FOLDER,
    "retinaface-retail": FOLDER,
}
ALWAYS = CloserLook(40, lambda _: True)
NOTHING = Detections(np.empty((0, 4)), np.empty(0), np.empty((0, 5, 2)))
SHAPES = [(480, 640), (1080, 1920), (3000, 4000), (4000, 6000), (5200, 7600), (24, 1_600_000)]


class Squares:
    """A detector of white squares, whole or cut, of the sizes that a detector knows."""

    def __init__(self, spec: DetectorSpec) -> None:
        self.spec = spec
        self.seen: list[tuple[int, ...]] = []

    def search(self, image: Image, side: int) -> Detections:
        assert side == max(image.shape[:2]) <= self.spec.largest_side
        self.seen.append(image.shape[:2])
        grey = (image[..., 0] > 127).astype(np.uint8)
        stats = cv2.connectedComponentsWithStats(grey)[2][1:, :4].astype(np.float64)
        boxes = np.hstack([stats[:, :2], stats[:, :2] + stats[:, 2:]])
        widths = stats[:, 2]
        known = widths >= 0.6 * self.spec.sure_size
        if isinstance(self.spec, MmodSpec):  # one size of the window
            known &= widths <= self.spec.sure_size / self.spec.pyramid_step
        found = boxes[known]
        return Detections(found, np.full(len(found), 0.9), np.full((len(found), 5, 2), np.nan))

    def marked(self, image: Image, found: Detections) -> Detections:
        return Detections(found.boxes, found.scores, np.zeros((len(found), 5, 2)))


def spec_of(name: str) -> DetectorSpec:
    return load_pack(PACKS[name] / name).detector


@pytest.fixture(params=PACKS)
def spec(request: pytest.FixtureRequest) -> DetectorSpec:
    return spec_of(request.param)


def drawn(boxes: Floats, height: int = 3000, width: int = 4000) -> Image:
    image = np.full((height, width, 3), 20, np.uint8)
    for x1, y1, x2, y2 in boxes.astype(int):
        image[y1:y2, x1:x2] = 255
    return image


def squares(side: int, corners: list[tuple[int, int]]) -> Floats:
    return np.array([[x, y, x + side, y + side] for x, y in corners], float)


def first_of(boxes: Floats, score: float = 0.95) -> Detections:
    boxes = boxes.reshape(-1, 4)
    return Detections(boxes, np.full(len(boxes), score), np.zeros((len(boxes), 5, 2)))


def look(spec: DetectorSpec, image: Image, first: Detections = NOTHING) -> Detections:
    found, _ = ALWAYS.at(image, first, Squares(spec), spec)  # type: ignore[arg-type]
    return found


def assert_found(found: Detections, boxes: Floats) -> None:
    """Each box once, to a few pixels."""
    assert len(found) == len(boxes)
    away = np.abs(found.boxes[:, None] - boxes[None]).max(axis=2)
    assert sorted(away.argmin(axis=0)) == list(range(len(boxes)))
    assert away.min(axis=0).max() <= 6


def test_it_works(spec: DetectorSpec) -> None:
    """Faces in rows, of the smallest size that can be found and more: on borders of tiles too."""
    smallest = tiles.plan(spec, 3000, 4000, 40).smallest_face
    side, step = smallest + 1, round(2.3 * smallest)
    corners = [(x, y) for y in range(9, 3000 - side, step) for x in range(9, 4000 - side, step)]
    boxes = squares(side, corners[:: 1 + len(corners) // 300])
    assert_found(look(spec, drawn(boxes)), boxes)


def test_a_face_wherever_it_lies(spec: DetectorSpec) -> None:
    """Pixel by pixel over where the first two tiles meet."""
    plan = tiles.plan(spec, 1200, 4000, 40)
    side = plan.smallest_face + 2
    tiling = tiles._Tiling.of(spec)
    _, (second, _) = tiling._cuts(round(4000 * plan.scales[0]))[:2]
    middle = round((second + tiling.margin) / plan.scales[0])
    for x in range(middle - side, middle + 8, max(1, side // 6)):
        boxes = squares(side, [(x, 300)])
        assert_found(look(spec, drawn(boxes, 1200)), boxes)


def test_a_large_face_is_that_of_the_first_look(spec: DetectorSpec) -> None:
    """It lies in many tiles, and its pieces are no faces."""
    boxes = squares(1500, [(900, 700)])
    found = look(spec, drawn(boxes), first_of(boxes))
    assert found.boxes == pytest.approx(boxes)


def test_what_lies_in_a_larger_face_is_none(spec: DetectorSpec) -> None:
    smallest = tiles.plan(spec, 3000, 4000, 40).smallest_face
    boxes = squares(smallest + 2, [(1500, 1500)])
    found = look(spec, drawn(boxes), first_of(squares(1200, [(1000, 1000)]), score=0.3))
    assert found.boxes == pytest.approx(squares(1200, [(1000, 1000)]))


def test_the_closer_look_decides_on_small_faces() -> None:
    spec = spec_of("permissive")
    boxes = squares(100, [(500, 500)])
    found = look(spec, drawn(boxes), first_of(squares(100, [(500, 500), (2000, 2000)])))
    assert_found(found, boxes)


def test_a_face_of_both_looks_is_one(spec: DetectorSpec) -> None:
    smallest = tiles.plan(spec, 3000, 4000, 40).smallest_face
    boxes = squares(smallest + 4, [(500, 500)])
    assert len(look(spec, drawn(boxes), first_of(boxes + 3))) == 1


def test_blank_tiles_are_not_searched(spec: DetectorSpec) -> None:
    detector = Squares(spec)
    image = np.full((3000, 4000, 3), 90, np.uint8)
    assert not len(ALWAYS.at(image, NOTHING, detector, spec)[0])  # type: ignore[arg-type]
    assert not detector.seen


@pytest.mark.parametrize("wanted", [1, 16, 40, 200])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_work_is_bounded(spec: DetectorSpec, shape: tuple[int, int], wanted: float) -> None:
    plan, tiling = tiles.plan(spec, *shape, wanted), tiles._Tiling.of(spec)
    levels = [tiles._size(*shape, scale) for scale in plan.scales]
    cut = [tile for level in levels for tile in tiling.tiles(*level)]
    sizes = [(bottom - top, right - left) for top, bottom, left, right in cut]
    assert sum(rows * columns for rows, columns in sizes) <= spec.closer_megapixels * 1e6
    assert len(sizes) <= 320
    assert all(max(size) <= spec.largest_side for size in sizes)


@pytest.mark.parametrize("shape", SHAPES[1:5])
def test_less_is_wanted(spec: DetectorSpec, shape: tuple[int, int]) -> None:
    """Then the picture is searched at smaller scales, or no more than at first."""
    plans = [tiles.plan(spec, *shape, wanted) for wanted in (40, 80, 160, 400, 100_000)]
    assert not plans[-1].scales
    greatest = [max(plan.scales, default=0) for plan in plans]
    # What is too much is reduced by steps of 3%.
    assert all(more >= 0.97 * less for more, less in pairwise(greatest))


def test_a_small_picture_needs_no_closer_look(spec: DetectorSpec) -> None:
    assert not tiles.plan(spec, 480, 640, 40).scales or spec.largest_side < 640


@pytest.mark.parametrize("count", [0, 1, 3])
def test_whether_it_is_needed(count: int) -> None:
    spec, asked = spec_of("permissive"), []
    first = first_of(squares(900, [(0, 0), (1000, 0), (2000, 0)][:count]))
    detector = Squares(spec)
    image = drawn(squares(60, [(3000, 2000)]))
    for needed in (True, False):
        closer = CloserLook(40, lambda found, needed=needed: asked.append(found) or needed)
        found, smallest = closer.at(image, first, detector, spec)  # type: ignore[arg-type]
        assert (len(found), smallest) == ((count + 1, 40) if needed else (count, 125))
    assert asked == [count, count]
    found, smallest = FIRST_LOOK.at(image, first, detector, spec)  # type: ignore[arg-type]
    assert found is first and smallest == 125
