"""A pack whose only missing file a test decides, and how it is pulled."""

import dataclasses
import hashlib
import io
import random
import zipfile
from pathlib import Path

from recognition.inference.pack import weights
from recognition.inference.pack.declaration import ModelPack, load_pack
from recognition.inference.pack.files import Archive, DownloadedFile, WeightFile
from recognition.packs import downloads
from recognition.packs.transfer import Patience

PROJECT = Path(__file__).parents[3]
NAME = "det_500m.onnx"
DATA = random.Random(1).randbytes(300_000)
WRONG = random.Random(2).randbytes(300_000)
HASTY = Patience(timeout=2, failures=3, first_delay=0.01)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# Under which name it is kept: that of the file, with the hash that the pack asks for.
KEPT = f"det_500m-{digest(DATA)[:12]}.onnx"


def declared(
    *urls: str, data: bytes = DATA, name: str = NAME, archive: Archive | None = None
) -> DownloadedFile:
    return DownloadedFile(name, "test", len(data), digest(data), urls, archive)


def pack_of(detector: WeightFile, recogniser: WeightFile | None = None) -> ModelPack:
    """buffalo_sc with other files; without `recogniser` its file is the detector's, too."""
    pack = load_pack(PROJECT / "ml_models" / "buffalo_sc")
    return dataclasses.replace(
        pack,
        detector=dataclasses.replace(pack.detector, weights=detector),
        recogniser=dataclasses.replace(pack.recogniser, weights=recogniser or detector),
    )


def pull(wanted: WeightFile, cache: Path, source: str = "", patience: Patience = HASTY) -> bytes:
    """What the file holds after it was pulled."""
    pack = pack_of(wanted)
    downloads.pull(pack, cache, source, patience)
    return weights.weight_path(pack, wanted, cache).read_bytes()


def left(cache: Path) -> list[str]:
    """What lies in the pack's folder, without its lock."""
    return sorted(path.name for path in (cache / "buffalo_sc").iterdir() if path.name != ".lock")


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def in_archive(url: str, data: bytes, *, name: str = NAME, wanted: bytes = DATA) -> DownloadedFile:
    archive = Archive((url,), digest(data), len(data), member=name)
    return declared(data=wanted, name=name.rpartition("/")[2], archive=archive)
