"""The work of one detection is bounded whatever the picture; large photos are shrunk by area."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recognition.inference.detection import mmod
from recognition.inference.detection.results import Detections, View
from recognition.inference.images import reduced
from recognition.inference.pipeline import FacePipeline
from tests.support.photos import astronaut, coffee, resized

Calls = list[tuple[str, tuple[int, ...]]]


@pytest.fixture
def calls(pipeline: FacePipeline, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the detector was asked for, and the sizes of the pictures."""
    seen: Calls = []

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(view: View, *others: Any) -> Any:
            seen.append((name, view.image.shape[:2]))
            return real(view, *others)

        return call

    for name in ("detect", "glance", "sights"):
        real = getattr(pipeline._detector, name)
        monkeypatch.setattr(pipeline._detector, name, watched(name, real))
    return seen


def test_it_works(pipeline: FacePipeline, calls: Calls) -> None:
    assert len(pipeline.detect(astronaut())) == 1
    assert calls == [("detect", (512, 512))]


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_picture_is_not_searched(pipeline: FacePipeline, calls: Calls, grey: int) -> None:
    image = np.full((3000, 4000, 3), grey, np.uint8)
    image[::50, ::50] ^= 3
    assert pipeline.detect(image) == []
    assert calls == []


def test_a_dark_face_is_searched(pipeline: FacePipeline, calls: Calls) -> None:
    pipeline.detect((astronaut() * 0.1).astype(np.uint8))
    assert calls


def test_turned_searches_are_quick_and_small(pipeline: FacePipeline, calls: Calls) -> None:
    large = resized(coffee(), 7)  # 2800 x 4200
    assert pipeline.detect(large) == []
    assert calls[0] == ("detect", large.shape[:2])
    assert [name for name, _ in calls[1:]] == ["glance"] * 3
    assert max(max(shape) for _, shape in calls[1:]) <= 2560


def test_only_so_many_faces_are_described(
    pipeline: FacePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs two crops and the quality network."""
    sides = np.arange(500) % 37 + 20.0
    corners = np.zeros((500, 2)) + np.arange(500)[:, None] % 400
    boxes = np.hstack([corners, corners + sides[:, None]])
    landmarks = boxes[:, None, :2] + pipeline.pack.template / 150 * sides[:, None, None]
    found = Detections(boxes, np.ones(500), landmarks)
    monkeypatch.setattr(pipeline._detector, "detect", lambda *_, **__: found)
    faces = pipeline.detect(astronaut(), most=10)
    assert (len(faces), faces.found) == (10, 500)
    assert min(face.area for face in faces[1:]) >= 55**2
    assert len(pipeline.detect(astronaut())) == 500


@pytest.mark.parametrize(
    ("size", "factor"), [((100, 80), 1), ((2560, 24), 1), ((2561, 24), 2), ((5000, 8000), 6)]
)
def test_large_pictures_are_reduced_by_whole_factors(size: tuple[int, int], factor: int) -> None:
    image = np.zeros((*size, 3), np.uint8)
    small, by = reduced(image, 1280)
    assert by == factor
    assert small.shape[:2] == (size[0] // factor, size[1] // factor)
    assert (small is image) == (factor == 1)


def test_every_pixel_counts_in_a_reduced_picture() -> None:
    image = np.arange(6 * 10 * 3, dtype=np.uint8).reshape(6, 10, 3)
    small, factor = reduced(image, 3)
    assert factor == 3
    wanted = image[:, :9].reshape(2, 3, 3, 3, 3).mean(axis=(1, 3))
    assert np.abs(small - wanted).max() <= 0.5


def test_the_grey_of_all_colours() -> None:
    image = np.random.default_rng(1).integers(0, 256, (50, 60, 3), np.uint8)
    image[0, 0] = 255
    x, y = np.meshgrid(np.arange(60), np.arange(50))
    grey = mmod._greys_at(image, np.column_stack([x.ravel(), y.ravel()]) + 0.49)
    assert np.array_equal(grey.reshape(50, 60), image.sum(axis=2, dtype=np.uint32) // 3)
    outside = np.array([[-0.6, 0], [0, -0.6], [59.5, 0], [0, 49.5]])
    assert not mmod._greys_at(image, outside).any()


@pytest.mark.slow
def test_a_face_in_a_large_and_noisy_photo(pipeline: FacePipeline) -> None:
    """12 megapixels of noise, in which linear interpolation finds none of four such faces."""
    chance = np.random.default_rng(1)
    image = np.full((3000, 4000, 3), 90, np.int16)
    image[1000:2536, 1500:3036] = resized(astronaut(), 3)
    image += chance.normal(0, 120, image.shape).astype(np.int16)
    (face,) = pipeline.detect(np.clip(image, 0, 255).astype(np.uint8))
    x, y = face.centre
    assert abs(x - 1500 - 3 * 223) < 90 and abs(y - 1000 - 3 * 118) < 90
