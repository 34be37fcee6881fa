"""Brings the files of a pack into the cache folder, checked and converted, once."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

import numpy as np

from recognition.inference import dlib_format
from recognition.inference.packs import ModelPack, PackError
from recognition.inference.specs import ConvertedFile, DownloadedFile, Source, WeightFile

if TYPE_CHECKING:
    from collections.abc import Iterator

# Part of the converted file's name, so that a changed conversion is never mixed up with an old
# file. Raise it with every change of the converted contents.
_CONVERTER_VERSION = 1
_CHUNK = 1 << 20


def weight_path(pack: ModelPack, weights: WeightFile, cache: Path) -> Path:
    """Where the file is, or will be after `prepare`."""
    folder, name = cache / pack.name, Path(weights.file)
    if isinstance(weights, DownloadedFile):
        return folder / name
    mark = f"{weights.source.sha256[:12]}-{_CONVERTER_VERSION}"
    return folder / f"{name.stem}-{mark}{name.suffix}"


def is_prepared(pack: ModelPack, cache: Path) -> bool:
    return all(weight_path(pack, weights, cache).is_file() for weights in pack.weight_files())


def prepare(pack: ModelPack, cache: Path, source: Path | None = None) -> None:
    """Make every file of the pack that is missing in `cache`. Safe to run from two processes.

    What is converted comes from installed packages, all else from the folder `source`. Raises
    PackError when a file is missing there or is not the one that the pack names.
    """
    for weights in pack.weight_files():
        target = weight_path(pack, weights, cache)
        if target.is_file():
            continue
        if isinstance(weights, ConvertedFile):
            _convert(weights, target)
        elif source is not None and (source / weights.file).is_file():
            _copy(weights, source / weights.file, target)
        else:
            raise PackError(f"{weights.file} is missing: run `manage.py models pull {pack.name}`")


def _convert(weights: ConvertedFile, target: Path) -> None:
    data = _read_source(weights.source)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(target) as file:
        _CONVERTERS[weights.source.convert](data, file, target.stem)


def _copy(weights: DownloadedFile, origin: Path, target: Path) -> None:
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with origin.open("rb") as data, _replacing(target) as file:
        while size <= weights.bytes and (chunk := data.read(_CHUNK)):
            size += len(chunk)
            digest.update(chunk)
            file.write(chunk)
        if size != weights.bytes or digest.hexdigest() != weights.sha256:
            raise PackError(f"{origin} is not the file that the pack names")


def _read_source(source: Source) -> bytes:
    # The package is located but not imported: its __init__ needs pkg_resources, which is gone.
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
    from recognition.inference.dlib_onnx import build_model

    model = build_model(dlib_format.read_network(data), name=name)
    file.write(model.SerializeToString(deterministic=True))


def _convert_landmarks(data: bytes, file: IO[bytes], name: str) -> None:
    np.savez(file, **dataclasses.asdict(dlib_format.read_shape_predictor(data)))


_CONVERTERS: dict[str, Callable[[bytes, IO[bytes], str], None]] = {
    "dlib_network": _convert_network,
    "dlib_landmarks": _convert_landmarks,
}


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name only when it is complete and on disk."""
    with NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            Path(file.name).unlink()
            raise
    Path(file.name).chmod(0o644)
    Path(file.name).replace(target)
