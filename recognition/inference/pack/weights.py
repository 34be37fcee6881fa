"""The files of a pack in the cache folder: finds, checks and converts them.

recognition.packs.downloads fetches them.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.inference.pack.files import (
    ConvertedFile,
    Digest,
    DownloadedFile,
    WeightFile,
)

GOOD = "good"
UNCHECKED = "not to be compared"  # how a verdict begins that says neither good nor bad

# Part of a converted file's name, so that a changed conversion never uses an old file. Raise it
# with every change of the converted contents.
_CONVERTER_VERSION = 3
_CHUNK = 1 << 20


def weight_path(pack: ModelPack, weights: WeightFile, cache: Path) -> Path:
    """The path of the file, even before it is pulled.

    The name holds the hash that the pack names: a pack.yaml with another hash must never use the
    old file.
    """
    return cache / pack.name / _name_of(weights)


def _name_of(weights: WeightFile) -> str:
    name = Path(weights.file)
    version = f"-{_CONVERTER_VERSION}" if isinstance(weights, ConvertedFile) else ""
    return f"{name.stem}-{weights.mark}{version}{name.suffix}"


def missing(pack: ModelPack, cache: Path, *, optional: bool = False) -> list[WeightFile]:
    """The files that have to be fetched or converted, each once, in an order that allows it.

    `optional`: of those without which the pack serves.
    """
    files = _with_sources(pack.optional_files() if optional else pack.weight_files())
    return [weights for weights in files if not weight_path(pack, weights, cache).is_file()]


def without(pack: ModelPack, cache: Path) -> str:
    """What the pack serves without, for people; empty if it has all files."""
    if not pack.attributes or not missing(pack, cache, optional=True):
        return ""
    estimates = " or ".join(pack.attributes.estimates)
    return f"it estimates no {estimates}: {pack.attributes.weights.file} is not here"


def _with_sources(files: Iterable[WeightFile]) -> Iterable[WeightFile]:
    """The files, each once, and before those that are converted what they are made of."""
    found: dict[WeightFile, None] = {}
    for weights in files:
        found.update(dict.fromkeys([*weights.parts, weights]))
    return found


def download_bytes(pack: ModelPack) -> int:
    """What a machine without any of the pack's files fetches; an archive is fetched whole."""
    parts = {part for weights in pack.weight_files() for part in weights.parts}
    archives = {part.archive.file: part.archive.bytes for part in parts if part.archive}
    return sum(part.bytes for part in parts if not part.archive) + sum(archives.values())


def is_prepared(pack: ModelPack, cache: Path) -> bool:
    return not missing(pack, cache)


def convert(weights: ConvertedFile, target: Path) -> None:
    """Convert the file from its source. The caller holds the lock. Raises PackError."""
    with _replacing(target) as file:
        _convert_into(file, weights, target)


def install(weights: DownloadedFile, data: IO[bytes], target: Path, *, origin: str) -> None:
    """Write `data` to `target`. The caller holds the lock.

    Raises PackError if `data` is not the file that the pack names.
    """
    wanted = weights.digest
    digest, size = hashlib.new(wanted.algorithm), 0
    with _replacing(target) as file:
        while size <= weights.bytes and (chunk := data.read(_CHUNK)):
            size += len(chunk)
            digest.update(chunk)
            file.write(chunk)
        if size != weights.bytes or digest.hexdigest() != wanted.value:
            raise PackError(f"{origin} is not the file that the pack names")


def verify(pack: ModelPack, cache: Path) -> dict[str, str]:
    """Yields each file with GOOD, UNCHECKED and why, or what is wrong. Reads every byte.

    Optional files that are not here are left out.
    """
    there = [each for each in pack.optional_files() if weight_path(pack, each, cache).is_file()]
    return {
        weights.file: _verdict(weights, weight_path(pack, weights, cache))
        for weights in _with_sources([*pack.weight_files(), *there])
    }


def _verdict(weights: WeightFile, path: Path) -> str:
    if not path.is_file():
        return "missing"
    if isinstance(weights, DownloadedFile):
        wanted = weights.digest
    else:
        # A converted file has no pinned hash: converting again gives the same file.
        again = BytesIO()
        try:
            _convert_into(again, weights, path)
        except PackError as error:
            return f"{UNCHECKED}: {error}"
        wanted = Digest("sha256", hashlib.sha256(again.getbuffer()).hexdigest())
    return GOOD if has(path, wanted) else "not the file that the pack names"


def has(path: Path, wanted: Digest) -> bool:
    """Whether a file has this digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, wanted.algorithm).hexdigest() == wanted.value


def _convert_into(file: IO[bytes], weights: ConvertedFile, target: Path) -> None:
    # Imported here: only a conversion needs onnx, and a serving process never converts. The image
    # has no onnx.
    try:
        from recognition.inference.pack import conversion
    except ModuleNotFoundError as error:
        raise PackError(f"the package {error.name} converts it, and is not here") from error

    parts = [target.with_name(_name_of(part)) for part in weights.parts]
    conversion.convert(weights, parts, file, name=target.stem)


@contextmanager
def locked(
    pack: ModelPack, cache: Path, *, if_waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Lets one process at a time write the files of a pack; the kernel unlocks after a kill.

    `if_waiting` is called before it waits for another one.
    """
    folder = cache / pack.name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if_waiting()
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
