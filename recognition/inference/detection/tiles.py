"""A closer look at a large picture, for faces that are too small in what a detector sees of it.

A detector sees a large picture reduced. Here it sees tiles of a picture that is reduced less, or
not at all, so that it takes no more memory. The size of a face is the side of its box, in pixels of
the picture unless said otherwise.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.finding import is_blank
from recognition.inference.detection.results import Detections, Detector, joined
from recognition.inference.pack.specs import DetectorSpec, MmodSpec

# A picture that would cost too much is reduced a little more, again and again.
_REDUCTION = 0.97
# Two boxes are at one face if they share more than this of the smaller one. Their sizes are alike
# if the smaller one has at least so much of the larger one's area.
_SHARED, _ALIKE = 0.5, 0.4
# Only this many faces of the highest scores count.
_MOST_FACES = 1000
# What a tile of dlib's detector shows beside its window. Pixels of the input.
_BESIDE = 8
# For other detectors: the margin in sides of the input, and the largest face in margins.
_MARGIN, _LARGEST = 0.1, 1.75
# Below this share of the largest face of a tile, a closer look decides which faces there are: the
# first look sees faces where there are none, since it sees them small.
_DECIDED = 0.75
# Linear interpolation looks at every pixel down to this scale, and takes a fifth of the time.
_BY_AREA = 0.5
# Two tiles see the middle of a face at slightly different places. Pixels of the input.
_UNSURE = 2

# Whether to look closer, by the number of faces that the first look found.
Needed = Callable[[int], bool]
Tile = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True)
class SearchPlan:
    """The scales at which a picture is searched after the first look, the greatest first.

    Nearly all faces from `smallest_face` pixels on are then found. Without scales it is the first
    look that finds these.
    """

    scales: tuple[float, ...]
    smallest_face: int


@dataclass(frozen=True)
class CloserLook:
    """Which faces are wanted, in pixels, and whether to look for them after the first look.

    By default the first look is the only one.
    """

    smallest_face: float = math.inf
    needed: Needed = bool

    def at(
        self, image: Image, first: Detections, detector: Detector, spec: DetectorSpec
    ) -> tuple[Detections, int]:
        """The faces of a picture, best first, and from how many pixels on nearly all are found."""
        wanted = self.smallest_face if self.needed(len(first)) else math.inf
        height, width = image.shape[:2]
        found = plan(spec, height, width, wanted)
        if not found.scales:
            return first, found.smallest_face
        return _searched(detector, spec, image, found, first), found.smallest_face


# No closer one.
FIRST_LOOK = CloserLook()


def plan(spec: DetectorSpec, height: int, width: int, wanted: float) -> SearchPlan:
    """How a picture has to be searched for faces from `wanted` pixels on, and what that finds.

    It is bounded: a picture that would cost more than the pack's `closer_megapixels` is reduced
    further, and then only larger faces are found. No picture is enlarged.
    """
    first = _first_scale(spec, max(height, width))
    scale = min(1.0, spec.sure_size / wanted)
    while scale > first:
        scales = _scales(spec, scale, first)
        costs = [_Tiling.of(spec).cost(*_size(height, width, each)) for each in scales]
        if sum(costs) <= spec.closer_megapixels:
            return SearchPlan(scales, math.ceil(spec.sure_size / scale))
        scale *= _REDUCTION
    return SearchPlan((), math.ceil(spec.sure_size / first))


def _searched(
    detector: Detector, spec: DetectorSpec, image: Image, look: SearchPlan, first: Detections
) -> Detections:
    """The faces of the first look at a picture and those of a closer one, best first."""
    tiling = _Tiling.of(spec)
    found = [part for scale in look.scales for part in _parts(detector, tiling, image, scale)]
    decided = _DECIDED * tiling.largest / look.scales[-1]
    large = first.take(np.flatnonzero(_sides(first.boxes) >= decided))
    return detector.marked(image, _once(joined([large, *found])))


@dataclass(frozen=True)
class _Tiling:
    """How a detector takes tiles. In pixels of its input."""

    side: int  # of the largest tile
    least: int  # a tile with a shorter side costs as much as if it had this one
    margin: int  # of a tile: faces with their middle there belong to the next tile
    largest: float  # the largest face that is whole in a tile which it belongs to

    @classmethod
    def of(cls, spec: DetectorSpec) -> "_Tiling":
        side = spec.largest_side
        if isinstance(spec, MmodSpec):
            return cls(side, side // 4, spec.window // 2 + _BESIDE, spec.window)
        margin = round(side * _MARGIN)
        return cls(side, side if spec.fixed_size else side // 4, margin, _LARGEST * margin)

    def cost(self, rows: int, columns: int) -> float:
        """Megapixels of all tiles of a picture."""
        (down, height), (across, width) = self._cut(rows), self._cut(columns)
        return down * across * max(height, self.least) * max(width, self.least) / 1e6

    def tiles(self, rows: int, columns: int) -> Iterator[Tile]:
        for top, bottom in self._cuts(rows):
            for left, right in self._cuts(columns):
                yield top, bottom, left, right

    def _cuts(self, length: int) -> list[tuple[int, int]]:
        """Where tiles begin and end along a side of the picture."""
        count, each = self._cut(length)
        starts = [round(at * (length - each) / max(1, count - 1)) for at in range(count)]
        return [(start, start + each) for start in starts]

    def _cut(self, length: int) -> tuple[int, int]:
        """How many tiles there are along a side of the picture, and how long each is."""
        both = 2 * self.margin
        count = max(1, math.ceil((length - both) / (self.side - both)))
        return count, min(length, math.ceil((length - both) / count) + both)


def _first_scale(spec: DetectorSpec, longest: int) -> float:
    """The scale of the first look, which is the detector's own."""
    if isinstance(spec, MmodSpec):
        return min(spec.window / spec.min_face, spec.max_side / longest)
    scale = spec.input.size / longest
    return scale if spec.enlarge or spec.fixed_size else min(1.0, scale)


def _scales(spec: DetectorSpec, scale: float, first: float) -> tuple[float, ...]:
    """From `scale` to that of the first look, so close that faces of all sizes are found."""
    if isinstance(spec, MmodSpec):
        step = spec.pyramid_step
    else:
        step = spec.sure_size / _Tiling.of(spec).largest
    scales = []
    while scale > first:
        scales.append(scale)
        scale *= step
    return tuple(scales)


def _size(height: int, width: int, scale: float) -> tuple[int, int]:
    return max(1, round(height * scale)), max(1, round(width * scale))


def _parts(detector: Detector, tiling: _Tiling, image: Image, scale: float) -> Iterator[Detections]:
    """What is found in each tile of a picture at a scale; neighbours may find a face twice."""
    height, width = image.shape[:2]
    rows, columns = _size(height, width, scale)
    way = cv2.INTER_AREA if scale <= _BY_AREA else cv2.INTER_LINEAR
    level = cv2.resize(image, (columns, rows), interpolation=way)
    for tile in tiling.tiles(rows, columns):
        top, bottom, left, right = tile
        part = level[top:bottom, left:right].astype(np.uint8, copy=False)
        if is_blank(part):
            continue
        found = detector.search(part, max(part.shape[:2])).shifted(np.array([left, top]))
        # One factor for both sides; rounding makes them differ by a thousandth.
        yield _own(tiling, found, (rows, columns), tile).scaled(height / rows)


def _own(tiling: _Tiling, found: Detections, size: tuple[int, int], tile: Tile) -> Detections:
    """The faces that belong to a tile: larger ones may be cut, and the next tiles have the rest."""
    top, bottom, left, right = tile
    rim = tiling.margin - _UNSURE
    # No tile follows at the border of the picture.
    low = [left and left + rim, top and top + rim]
    high = [
        right if right == size[1] else right - rim,
        bottom if bottom == size[0] else bottom - rim,
    ]
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    is_own = ((middles >= low) & (middles <= high)).all(axis=1)
    return found.take(np.flatnonzero(is_own & (_sides(found.boxes) <= tiling.largest)))


def _once(found: Detections) -> Detections:
    """Each face once, best first. If two boxes are at one face, the surer counts if their sizes are
    alike, else the larger: a face has parts that look like a small one.
    """
    found = found.take(np.argsort(-found.scores, kind="stable")[:_MOST_FACES])
    areas = _sides(found.boxes) ** 2
    shared = _intersections(found.boxes)
    smaller, larger = np.minimum.outer(areas, areas), np.maximum.outer(areas, areas)
    is_one, is_alike = shared > _SHARED * smaller, smaller >= _ALIKE * larger
    left = np.ones(len(found), bool)
    # The largest first: what lies in a face goes before it can take the face's place.
    for index in np.argsort(-areas, kind="stable"):
        if left[index]:
            left &= ~(is_one[index] & ~is_alike[index] & (areas < areas[index]))
    for index in range(len(found)):
        if left[index]:
            left[index + 1 :] &= ~is_one[index, index + 1 :]
    return found.take(np.flatnonzero(left))


def _intersections(boxes: Floats) -> Floats:
    """(N, N) what two of N boxes share, in square pixels."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared: Floats = np.prod(np.maximum(high - low, 0), axis=2)
    return shared


def _sides(boxes: Floats) -> Floats:
    """(N,) the sides of squares as large as the boxes."""
    sides: Floats = np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1))
    return sides
