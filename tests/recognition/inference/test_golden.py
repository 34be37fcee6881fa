"""The real pipeline against recorded results: dlib's own, and ours of when it was measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings

from recognition.inference import processor
from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.mmod import LandmarkCascade
from recognition.inference.images import decode
from recognition.inference.pack.weights import weight_path
from recognition.inference.pipeline import FacePipeline
from recognition.inference.sessions import Model, to_input
from recognition.packs import engine
from tests.support.photos import astronaut, coffee, jpeg, resized, six_people, tom_hanks

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden.json").read_text())
OURS, DLIBS = GOLDEN["pipeline"], GOLDEN["dlib"]


def cosine(a: Any, b: Any) -> float:
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def embedding_of(pipeline: FacePipeline, image: Image) -> Floats:
    (face,) = pipeline.embed(pipeline.detect(image))
    assert face.embedding is not None
    return face.embedding


def test_six_people(pipeline: FacePipeline) -> None:
    faces = sorted(pipeline.detect(six_people()), key=lambda face: face.box[0])
    assert len(faces) == 6
    for face, golden in zip(faces, OURS["six_people"], strict=True):
        assert face.box == pytest.approx(golden["box"], abs=4)
        assert face.landmarks == pytest.approx(np.array(golden["landmarks"]), abs=1.5)


def test_embeddings(pipeline: FacePipeline) -> None:
    eileen, tom = embedding_of(pipeline, astronaut()), embedding_of(pipeline, tom_hanks())
    assert cosine(eileen, OURS["astronaut_embedding"]) >= 0.999
    assert cosine(tom, OURS["tom_hanks_embedding"]) >= 0.999
    assert cosine(eileen, tom) < 0.9


def test_embeddings_are_unit_vectors(pipeline: FacePipeline) -> None:
    faces = pipeline.embed(pipeline.detect(six_people()))
    norms = [np.linalg.norm(face.embedding) for face in faces if face.embedding is not None]
    assert norms == pytest.approx([1] * 6, abs=1e-5)


@pytest.mark.django_db
def test_a_template_is_the_embedding_padded(pipeline: FacePipeline) -> None:
    (face,) = pipeline.embed(pipeline.detect(tom_hanks()))
    template = engine.load("dlib", "").template(face)
    assert template.shape == (512,)
    assert template[:128] == pytest.approx(face.embedding)
    assert not template[128:].any()


def test_another_encoding_hardly_matters(pipeline: FacePipeline) -> None:
    worse = decode(jpeg(resized(astronaut(), 0.8), 70), max_bytes=10**7, max_pixels=10**7)
    same = cosine(embedding_of(pipeline, astronaut()), embedding_of(pipeline, worse))
    assert same > 0.98


def test_nobody(pipeline: FacePipeline) -> None:
    assert pipeline.detect(coffee()) == []
    assert pipeline.embed([]) == []


@pytest.mark.parametrize(("rows", "columns"), [(24, 24), (24, 2000), (2000, 24), (333, 77)])
def test_a_blank_picture_of_any_shape(pipeline: FacePipeline, rows: int, columns: int) -> None:
    assert pipeline.detect(np.full((rows, columns, 3), 200, np.uint8)) == []


@pytest.mark.parametrize(
    ("side", "largest"), [(320, 640), (1000, 1280), (1280, 1280), (2560, 1280)]
)
def test_a_picture_without_a_face_is_searched_enlarged(
    pipeline: FacePipeline, monkeypatch: pytest.MonkeyPatch, side: int, largest: int
) -> None:
    """For smaller faces, up to the largest size; what has that already is not searched again."""
    network = pipeline._detector._model  # type: ignore[union-attr]
    run, sizes, border = network.run, list[int](), 22
    monkeypatch.setattr(
        network, "run", lambda batch: (sizes.append(batch.shape[-1] - border), run(batch))[1]
    )
    image = np.full((side, side, 3), 128, np.uint8)
    image[: side // 2] = 100  # what is blank is not searched at all
    assert pipeline.detect(image, rotate=False) == []
    assert max(sizes) == largest
    assert sizes.count(largest) == 1


# --- against dlib ---------------------------------------------------------------------------------


def test_the_converted_embedder_gives_what_dlib_gives(pipeline: FacePipeline) -> None:
    """Of one crop without its mirror image, as dlib does it."""
    pack = pipeline.pack
    path = weight_path(pack, pack.recogniser.weights, settings.MODELS_DIR)
    (face,) = pipeline.detect(astronaut())
    batch = to_input([face.crop], pack.recogniser.input)
    (output,) = Model(path, threads=1).run(batch)[0]
    assert cosine(output, DLIBS["astronaut_embedding"]) >= 0.9999
    # Before normalisation too, so that not only the direction is right.
    assert np.linalg.norm(output) == pytest.approx(
        np.linalg.norm(DLIBS["astronaut_embedding"]), abs=0.005
    )


def test_the_converted_detector_scores_as_dlib_does(
    pipeline: FacePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With floats, at a size at which the faces are found at the first step of both pyramids."""
    monkeypatch.setattr(processor, "multiplies_integers", lambda: False)
    faces = FacePipeline(pipeline.pack, settings.MODELS_DIR).detect(resized(six_people(), 0.7))
    scores = sorted(face.detection_score for face in faces)
    assert scores == pytest.approx(DLIBS["six_people_scores"], abs=1e-4)


def test_the_landmarks_are_those_of_dlib(pipeline: FacePipeline) -> None:
    """Which dlib rounds to whole pixels."""
    pack = pipeline.pack
    path = weight_path(pack, pack.detector.landmark_weights, settings.MODELS_DIR)
    (face,) = pipeline.detect(astronaut())
    found = LandmarkCascade(path).predict(astronaut(), face.box)
    assert found == pytest.approx(np.array(DLIBS["astronaut_landmarks"]), abs=1)
