"""Decoders and suppression on tiny tensors whose answer is known by hand."""

from typing import Any

import numpy as np
import pytest

from recognition.inference.arrays import Floats
from recognition.inference.detection.decoders import (
    decode_retinaface,
    decode_scrfd,
    decode_yunet,
    prior_boxes,
    suppress,
)
from recognition.inference.detection.results import Detections
from recognition.inference.pack.declaration import load_pack
from recognition.inference.pack.specs import RetinaFaceSpec, ScrfdSpec, YunetSpec
from tests.support.real_packs import FOLDER

# The smallest input with a cell at stride 32; cells at strides 8, 16, 32: 16, 4, 1.
SHAPE = (32, 32)
CELLS = (16, 4, 1)


def spec_of(name: str) -> Any:
    return load_pack(FOLDER / name).detector


@pytest.fixture
def scrfd() -> ScrfdSpec:
    spec: ScrfdSpec = spec_of("scrfd-arcface")
    return spec


@pytest.fixture
def yunet() -> YunetSpec:
    spec: YunetSpec = spec_of("yunet-mobilefacenet")
    return spec


@pytest.fixture
def retinaface() -> RetinaFaceSpec:
    spec: RetinaFaceSpec = spec_of("retinaface-retail")
    return spec


def empty(cells: tuple[int, ...], *widths: int, lead: tuple[int, ...] = ()) -> list[Floats]:
    return [np.zeros((*lead, k, width), np.float32) for width in widths for k in cells]


# --- scrfd ----------------------------------------------------------------------------------------


def test_scrfd(scrfd: ScrfdSpec) -> None:
    """Stride 16, cell in row 1 and column 0, its second anchor: at pixel (0, 16)."""
    outputs = empty(tuple(2 * k for k in CELLS), 1, 4, 10)
    anchor = 2 * 2 + 1
    outputs[1][anchor] = 0.9
    outputs[4][anchor] = [0.25, 0.5, 1, 0.75]
    outputs[7][anchor] = [0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1]
    found = decode_scrfd(outputs, scrfd, SHAPE)
    assert found.scores == pytest.approx([0.9])
    assert found.boxes.tolist() == [[-4, 8, 16, 28]]
    assert found.landmarks.tolist() == [[[0, 16], [16, 16], [8, 24], [0, 32], [16, 32]]]


def test_scrfd_finds_nothing_below_the_threshold(scrfd: ScrfdSpec) -> None:
    outputs = empty(tuple(2 * k for k in CELLS), 1, 4, 10)
    outputs[0][:] = scrfd.score_threshold - 0.01
    found = decode_scrfd(outputs, scrfd, SHAPE)
    assert (found.boxes.shape, found.landmarks.shape) == ((0, 4), (0, 5, 2))


# --- yunet ----------------------------------------------------------------------------------------


def test_yunet(yunet: YunetSpec) -> None:
    """Stride 8, cell in row 2 and column 1: at pixel (8, 16)."""
    outputs = empty(CELLS, 1, 1, 4, 10, lead=(1,))
    cell = 2 * 4 + 1
    outputs[0][0, cell], outputs[3][0, cell] = 0.9, 0.9 * 0.64
    outputs[6][0, cell] = [0.5, 0.25, np.log(2), np.log(3)]
    outputs[9][0, cell] = [0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1]
    found = decode_yunet(outputs, yunet, SHAPE)
    assert found.scores == pytest.approx([0.72])
    assert found.boxes == pytest.approx(np.array([[12 - 8, 18 - 12, 12 + 8, 18 + 12]]))
    assert found.landmarks.tolist() == [[[8, 16], [16, 16], [12, 20], [8, 24], [16, 24]]]


def test_an_input_that_is_no_square(yunet: YunetSpec) -> None:
    """4 rows of 8 cells at stride 8: the cell in row 2 and column 5, at pixel (40, 16)."""
    outputs = empty((32, 8, 2), 1, 1, 4, 10, lead=(1,))
    cell = 2 * 8 + 5
    outputs[0][0, cell] = outputs[3][0, cell] = 1
    found = decode_yunet(outputs, yunet, (32, 64))
    assert found.boxes.tolist() == [[36, 12, 44, 20]]


def test_yunet_scores_beyond_1_count_as_1(yunet: YunetSpec) -> None:
    outputs = empty(CELLS, 1, 1, 4, 10, lead=(1,))
    outputs[2][:], outputs[5][:] = 1.5, 1.5
    assert decode_yunet(outputs, yunet, SHAPE).scores.tolist() == [1]


# --- retinaface -----------------------------------------------------------------------------------


def test_prior_boxes(retinaface: RetinaFaceSpec) -> None:
    priors = prior_boxes(retinaface, SHAPE)
    assert priors.shape == (2 * sum(CELLS), 4)
    assert priors[:3].tolist() == [[4, 4, 16, 16], [4, 4, 32, 32], [12, 4, 16, 16]]
    assert priors[-1].tolist() == [16, 16, 512, 512]
    assert len(prior_boxes(retinaface, (320, 320))) == 4200


def test_retinaface(retinaface: RetinaFaceSpec) -> None:
    """The second prior of the first cell: centre (4, 4), side 32."""
    (scores,), (boxes,), (points,) = (
        empty((2 * sum(CELLS),), width, lead=(1,)) for width in (2, 4, 10)
    )
    scores[0, 1] = [0.1, 0.9]
    boxes[0, 1] = [1.25, 2.5, 5 * np.log(2), 0]
    points[0, 1] = [0, 0, 2.5, 0, 0, 2.5, 1.25, 1.25, -1.25, 0]
    found = decode_retinaface([scores, boxes, points], retinaface, SHAPE)
    assert found.scores == pytest.approx([0.9])
    assert found.boxes == pytest.approx(np.array([[8 - 32, 12 - 16, 8 + 32, 12 + 16]]), abs=1e-4)
    assert found.landmarks == pytest.approx(
        np.array([[[4, 4], [12, 4], [4, 12], [8, 8], [0, 4]]]), abs=1e-4
    )


# --- suppression ----------------------------------------------------------------------------------


def faces(*boxes_and_scores: tuple[list[float], float]) -> Detections:
    boxes = np.array([box for box, _ in boxes_and_scores], np.float64).reshape(-1, 4)
    scores = np.array([score for _, score in boxes_and_scores], np.float64)
    return Detections(boxes, scores, np.zeros((len(scores), 5, 2)))


def test_the_best_of_overlapping_faces_stays() -> None:
    kept = suppress(
        faces(([0, 0, 10, 10], 0.6), ([1, 0, 11, 10], 0.9), ([50, 0, 60, 10], 0.7)), 0.4
    )
    assert kept.scores.tolist() == [0.9, 0.7]


@pytest.mark.parametrize(("shift", "kept"), [(4.9, 1), (5.1, 2)])
def test_the_limit_of_overlap(shift: float, kept: int) -> None:
    """Two squares of 10, shifted by 5: intersection 50 of a union of 150."""
    pair = faces(([0, 0, 10, 10], 0.9), ([shift, 0, 10 + shift, 10], 0.8))
    assert len(suppress(pair, 1 / 3)) == kept


def test_nothing_to_suppress() -> None:
    assert len(suppress(faces(), 0.4)) == 0
