"""Which photos a measurement takes: those whose face a verb would compare."""

from pathlib import Path

import pytest

from recognition.inference.pack.declaration import ModelPack
from recognition.measuring import photos
from recognition.measuring.photos import EmbeddedPhoto, Photo
from recognition.packs import engine
from tests.support.builders import FakePipeline, misread, vector
from tests.support.photos import astronaut, jpeg

LIMITS = {"max_pixels": 10**8, "max_bytes": 10**7}


def embedded(tmp_path: Path) -> EmbeddedPhoto:
    path = tmp_path / "Eileen Collins 1.jpg"
    path.write_bytes(jpeg(astronaut()))
    photo = Photo(path, "Eileen Collins")
    (seen,) = photos.embed_photos([photo], engine.pack("dlib"), tmp_path, LIMITS, workers=1)
    return seen


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> FakePipeline:
    pipeline = FakePipeline(engine.pack("dlib"))

    def opened(pack: ModelPack, cache: Path) -> FakePipeline:
        return pipeline

    monkeypatch.setattr(photos, "open_once", opened)
    return pipeline


def test_it_works(tmp_path: Path, shown: FakePipeline) -> None:
    shown.show(vector(1))
    seen = embedded(tmp_path)
    assert seen.embedding is not None and seen.embedding.tolist() == vector(1).tolist()
    assert not seen.problem


def test_a_photo_without_a_face(tmp_path: Path, shown: FakePipeline) -> None:
    shown.show([])
    assert embedded(tmp_path).problem == "No face was found."


def test_a_misread_face_is_not_counted(tmp_path: Path, shown: FakePipeline) -> None:
    """It is alike to all others that are misread, and no verb compares it."""
    shown.show(misread(vector(1)))
    seen = embedded(tmp_path)
    assert seen.embedding is None
    assert seen.problem == "The face lies on its side or upside down."
