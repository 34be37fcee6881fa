"""Our decoders against the detectors that their packs come from, on the same weights.

InsightFace's modules are imported without the rest of the package, which needs more than is
installed here.
"""

import importlib
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from django.conf import settings

from recognition.inference import processor
from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.anchors import AnchorDetector
from recognition.inference.detection.results import Detections, View
from recognition.inference.pack.specs import YunetSpec
from recognition.inference.pipeline import FacePipeline
from recognition.inference.sessions import Model
from tests.support.photos import SHARED, needs_shared, package_file, six_people
from tests.support.real_packs import MODELS, needs_models, open_real

pytestmark = [needs_models, needs_shared, pytest.mark.slow]
PHOTOS, SIDE = 50, 640


def photos(side: int = SIDE) -> Iterator[Image]:
    paths = sorted(SHARED.glob("lfw-a/*/*.jpg"))
    for path in paths[:: len(paths) // PHOTOS][:PHOTOS]:
        image = cv2.imread(str(path))
        assert image is not None
        # As large as the input by default: InsightFace enlarges smaller ones.
        yield cv2.resize(image, (side, side)).astype(np.uint8)


def iou(a: Floats, b: Floats) -> float:
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    shared = np.prod(sides)
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def detect(detector: Any, image: Image) -> Detections:
    found: Detections = detector.detect(View.of(image, SIDE))
    return found


def check_same(found: Detections, boxes: Floats, scores: Floats, landmarks: Floats) -> None:
    """One by one in the order of the scores."""
    assert len(found) == len(boxes)
    order = np.argsort(-scores, kind="stable")
    assert found.scores == pytest.approx(scores[order], abs=1e-3)
    for box, theirs in zip(found.boxes, boxes[order], strict=True):
        assert iou(box, theirs) >= 0.98
    assert found.landmarks == pytest.approx(landmarks[order], abs=0.5)


# --- InsightFace ----------------------------------------------------------------------------------


def insightface(module: str) -> types.ModuleType:
    """A module of InsightFace, with its packages made without running their __init__."""
    folder = package_file("insightface", ".")
    for name in ("insightface", "insightface.model_zoo", "insightface.utils"):
        if name not in sys.modules:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(folder.joinpath(*name.split(".")[1:]))]
            sys.modules[name] = module_from_spec(spec)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        pytest.skip(f"{module} needs {error.name}, which is not installed")


@pytest.fixture(scope="module")
def real() -> FacePipeline:
    return open_real("scrfd-arcface")


@pytest.fixture(scope="module")
def their_scrfd() -> Any:
    """With its defaults: two passes, at 128 and 640."""
    return insightface("insightface.model_zoo.scrfd").SCRFD(str(MODELS / "scrfd_2.5g_kps.onnx"))


def test_scrfd_is_that_of_insightface(
    real: FacePipeline, their_scrfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With floats."""
    monkeypatch.setattr(processor, "multiplies_integers", lambda: False)
    ours = FacePipeline(real.pack, settings.MODELS_DIR)
    for image in photos():
        boxes, landmarks = their_scrfd.detect(image)
        check_same(detect(ours._detector, image), boxes[:, :4], boxes[:, 4], landmarks)


def test_scrfd_of_odd_shapes_is_that_of_insightface(real: FacePipeline, their_scrfd: Any) -> None:
    """Theirs are squares with more black beside the picture: the boxes move a little."""
    image = six_people()
    for picture in (image, image[:, 200:900], image[100:, :], image[3:, :777]):
        picture = np.ascontiguousarray(picture)
        boxes, _ = their_scrfd.detect(picture)
        found = detect(real._detector, picture)
        assert len(found) == len(boxes)
        assert all(max(iou(box, theirs[:4]) for theirs in boxes) >= 0.95 for box in found.boxes)


def test_embeddings_are_those_of_insightface(real: FacePipeline, their_scrfd: Any) -> None:
    theirs = insightface("insightface.model_zoo.arcface_onnx").ArcFaceONNX(
        str(MODELS / "arcface_mobilefacenet_512.onnx")
    )
    for image in photos(250):
        boxes, landmarks = their_scrfd.detect(image)
        found = Detections(boxes[:, :4], boxes[:, 4], landmarks)
        for face in real.embed(real.look_at(image, found)):
            vector = theirs.get(image, types.SimpleNamespace(kps=face.landmarks))
            assert face.embedding is not None
            assert face.embedding @ vector / np.linalg.norm(vector) >= 0.999


# --- OpenCV ---------------------------------------------------------------------------------------


def test_yunet_is_that_of_opencv() -> None:
    """Shown squares of 640, which both take as they are; OpenCV makes one pass only."""
    spec = open_real("yunet-mobilefacenet").pack.detector
    assert isinstance(spec, YunetSpec)
    file = str(MODELS / "yunet_n_dynamic.onnx")
    model = Model(Path(file), threads=1, outputs=spec.outputs.names())
    ours = AnchorDetector(replace(spec, small_size=None), model)
    try:
        theirs = cv2.FaceDetectorYN.create(file, "", (640, 640), spec.score_threshold, spec.nms_iou)
    except cv2.error as error:
        pytest.skip(f"this OpenCV does not load {file}: {error}")
    for image in photos():
        _, rows = theirs.detect(image)
        rows = np.zeros((0, 15)) if rows is None else rows
        boxes = np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
        check_same(detect(ours, image), boxes, rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2))
