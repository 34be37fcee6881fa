"""The files of a pack in the cache folder: finds, checks and converts them.

recognition.packs.downloads fetches them.
"""

import dataclasses
import fcntl
import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np

from recognition.inference.dlib import format
from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.inference.pack.specs import (
    ConvertedFile,
    DownloadedFile,
    PackageSource,
    WeightFile,
)

GOOD = "good"

# Part of a converted file's name, so that a changed conversion never uses an old file. Raise it
# with every change of the converted contents.
_CONVERTER_VERSION = 1
_CHUNK = 1 << 20


def weight_path(pack: ModelPack, weights: WeightFile, cache: Path) -> Path:
    """The path of the file, even before it is pulled.

    The name holds the hash that the pack names: a pack.yaml with another hash must never use the
    old file.
    """
    name = Path(weights.file)
    if isinstance(weights, DownloadedFile):
        mark = weights.sha256[:12]
    else:
        mark = f"{weights.source.sha256[:12]}-{_CONVERTER_VERSION}"
    return cache / pack.name / f"{name.stem}-{mark}{name.suffix}"


def missing(pack: ModelPack, cache: Path) -> list[WeightFile]:
    """The files that have to be converted or fetched, each once."""
    files = dict.fromkeys(pack.weight_files())
    return [weights for weights in files if not weight_path(pack, weights, cache).is_file()]


def is_prepared(pack: ModelPack, cache: Path) -> bool:
    return not missing(pack, cache)


def convert(weights: ConvertedFile, target: Path) -> None:
    """Convert the file from its source. The caller holds the lock. Raises PackError."""
    with _replacing(target) as file:
        _convert_into(file, weights, target.stem)


def install(weights: DownloadedFile, data: IO[bytes], target: Path, *, origin: str) -> None:
    """Write `data` to `target`. The caller holds the lock.

    Raises PackError if `data` is not the file that the pack names.
    """
    digest, size = hashlib.sha256(), 0
    with _replacing(target) as file:
        while size <= weights.bytes and (chunk := data.read(_CHUNK)):
            size += len(chunk)
            digest.update(chunk)
            file.write(chunk)
        if size != weights.bytes or digest.hexdigest() != weights.sha256:
            raise PackError(f"{origin} is not the file that the pack names")


def verify(pack: ModelPack, cache: Path) -> dict[str, str]:
    """Yields each file with GOOD or what is wrong with it. Reads every byte."""
    return {
        weights.file: _verdict(weights, weight_path(pack, weights, cache))
        for weights in pack.weight_files()
    }


def _verdict(weights: WeightFile, path: Path) -> str:
    if not path.is_file():
        return "missing"
    if isinstance(weights, DownloadedFile):
        wanted = weights.sha256
    else:
        # A converted file has no pinned hash: converting again gives the same file.
        again = BytesIO()
        _convert_into(again, weights, path.stem)
        wanted = hashlib.sha256(again.getbuffer()).hexdigest()
    return GOOD if digest_of(path) == wanted else "not the file that the pack names"


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert_into(file: IO[bytes], weights: ConvertedFile, name: str) -> None:
    _CONVERTERS[weights.source.convert](_read_source(weights.source), file, name)


def _read_source(source: PackageSource) -> bytes:
    # The package is located but not imported: its __init__ needs pkg_resources, which no longer
    # exists.
    spec = importlib.util.find_spec(source.package)
    if spec is None or not spec.submodule_search_locations:
        raise PackError(f"the Python package {source.package} is not installed")
    try:
        data = (Path(spec.submodule_search_locations[0]) / source.path).read_bytes()
    except OSError as error:
        raise PackError(f"{source.package}/{source.path}: {error.strerror}") from error
    if len(data) != source.bytes or hashlib.sha256(data).hexdigest() != source.sha256:
        raise PackError(f"{source.package}/{source.path} is not the file that the pack names")
    return data


def _convert_network(data: bytes, file: IO[bytes], name: str) -> None:
    # Imported here: only the conversion needs onnx, and a serving process never converts.
    from recognition.inference.dlib.networks import build_model

    model = build_model(format.read_network(data), name=name)
    file.write(model.SerializeToString(deterministic=True))


def _convert_landmarks(data: bytes, file: IO[bytes], name: str) -> None:
    np.savez(file, **dataclasses.asdict(format.read_shape_predictor(data)))


_CONVERTERS: dict[str, Callable[[bytes, IO[bytes], str], None]] = {
    "dlib_network": _convert_network,
    "dlib_landmarks": _convert_landmarks,
}


@contextmanager
def locked(pack: ModelPack, cache: Path) -> Iterator[None]:
    """Lets one process at a time write the files of a pack; the kernel unlocks after a kill."""
    folder = cache / pack.name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def part_of(target: Path) -> Path:
    """The path of a file until it is complete. The writer holds the lock."""
    return target.with_name(f"{target.name}.part")


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    part = part_of(target)
    try:
        with part.open("wb") as file:
            yield file
        publish(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def publish(part: Path, target: Path) -> None:
    """Sync a complete file to disk, then rename it to `target`."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
