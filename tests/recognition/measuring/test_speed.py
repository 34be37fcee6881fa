"""What the networks cost: which stages are measured, and beside what. No time is judged."""

from pathlib import Path

from django.conf import settings

from recognition.measuring.photos import Photo
from recognition.measuring.speed import SIDE, measure
from recognition.packs import downloads, engine
from tests.support.photos import astronaut, coffee, jpeg
from tests.support.real_packs import MODELS, needs_models, permissive_pack

LIMITS = {"max_bytes": 10**7, "max_pixels": 10**7}


def photos(folder: Path) -> list[Photo]:
    """One of a face, one of none, one that is broken."""
    (folder / "face.jpg").write_bytes(jpeg(astronaut()))
    (folder / "cup.jpg").write_bytes(jpeg(coffee()))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8")
    return [Photo(path, "somebody") for path in sorted(folder.iterdir())]


def test_it_works(tmp_path: Path) -> None:
    pack = engine.pack("dlib")
    found = measure(pack, pack, photos(tmp_path), settings.MODELS_DIR, LIMITS)
    assert found and (found.photos, found.side, found.times_reference) == (2, SIDE, 1.0)
    assert set(found.milliseconds) == {"detect", "embed"}
    assert all(spent > 0 for spent in found.milliseconds.values())


@needs_models
def test_a_pack_beside_the_default_one(tmp_path: Path) -> None:
    pack = permissive_pack()
    downloads.pull(pack, settings.MODELS_DIR, str(MODELS / "permissive"))
    found = measure(pack, engine.pack("dlib"), photos(tmp_path), settings.MODELS_DIR, LIMITS)
    assert found and set(found.milliseconds) == {"detect", "embed", "antispoofing"}
    assert found.times_reference > 0


def test_photos_that_cannot_be_decoded(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8")
    pack, broken = engine.pack("dlib"), [Photo(tmp_path / "broken.jpg", "somebody")]
    assert measure(pack, pack, broken, settings.MODELS_DIR, LIMITS) is None
