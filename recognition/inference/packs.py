"""pack.yaml to a frozen ModelPack: what a model expects is declared, never guessed."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from recognition.inference.arrays import Floats


class PackError(ValueError):
    """A pack is missing, or its pack.yaml is wrong; the message says where."""


@dataclass(frozen=True)
class Source:
    """A file that an installed Python package carries, and the conversion it needs."""

    package: str
    path: str
    sha256: str
    bytes: int
    convert: Literal["dlib_network", "dlib_landmarks"]


@dataclass(frozen=True)
class WeightFile:
    file: str
    licence: str
    source: Source


@dataclass(frozen=True)
class MmodSpec:
    """dlib's max-margin CNN detector with its landmark cascade. Sizes in pixels."""

    decoder: Literal["mmod"]
    weights: WeightFile
    landmark_weights: WeightFile
    landmark_names: tuple[str, ...]
    window: int
    min_face: float
    min_face_retry: float  # tried when no face is found at min_face
    max_side: float  # larger pictures are searched at this size
    pyramid_step: float
    score_threshold: float
    score_range: tuple[float, float]  # scores at which the quality component is 0 and 1
    nms_overlap: float


@dataclass(frozen=True)
class RecogniserSpec:
    """Network input: `size` x `size` crops, (value - mean) / scale; template in crop pixels."""

    weights: WeightFile
    size: int
    rgb: bool
    mean: float
    scale: float
    mirror: bool  # add the embedding of the mirrored crop
    dimensions: int
    template: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class OperatingPoint:
    """A row of the table cosine -> FMR. `pairs` false matches stand behind it."""

    fmr: float
    cosine: float
    pairs: int
    extrapolated: bool


@dataclass(frozen=True)
class Calibration:
    """Measured by `manage.py calibrate`; see recognition/calibration.py for how."""

    data: str
    measured_on: str
    model_version: str
    identities: int
    photos: int
    mated_pairs: int
    non_mated_pairs: int
    zero_cosine: float  # shown as similarity 0
    duplicate_similarity: float  # reached by at most 1% of mated pairs of different photos
    mean_embedding: tuple[float, ...]  # sign bits are taken around it
    table: tuple[OperatingPoint, ...]  # FMR falling, cosine rising


@dataclass(frozen=True)
class ModelPack:
    name: str
    description: str
    licence: str
    embedding_version: str
    model_version: str
    detector: MmodSpec
    recogniser: RecogniserSpec
    calibration: Calibration | None = None

    @property
    def template(self) -> Floats:
        """(5, 2) in pixels of the crop."""
        return np.array(self.recogniser.template, dtype=np.float64)

    def weight_files(self) -> list[WeightFile]:
        return [self.detector.weights, self.detector.landmark_weights, self.recogniser.weights]


def load_pack(folder: Path) -> ModelPack:
    """Raises PackError when there is no valid pack.yaml in `folder`."""
    path = folder / "pack.yaml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PackError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PackError(f"{path}: {error}") from error
    try:
        pack: ModelPack = _build(ModelPack, raw, "pack")
    except PackError as error:
        raise PackError(f"{path}: {error}") from error
    _check(pack, path)
    return pack


def find_pack(name: str, search: list[Path]) -> ModelPack:
    """The pack of that name in the first folder of `search` that has it."""
    for folder in search:
        if (folder / name / "pack.yaml").is_file():
            return load_pack(folder / name)
    places = ", ".join(str(folder) for folder in search)
    raise PackError(f"no pack {name!r} in {places}")


def _check(pack: ModelPack, path: Path) -> None:
    if pack.name != path.parent.name:
        raise PackError(f"{path}: the name {pack.name!r} is not that of its folder")
    if not 1 <= pack.recogniser.dimensions <= 512:
        raise PackError(f"{path}: recogniser.dimensions must be 1 to 512")
    if len(pack.recogniser.template) != 5 or len(pack.detector.landmark_names) != 5:
        raise PackError(f"{path}: five landmarks are needed")
    calibration = pack.calibration
    if calibration is None:
        return
    if len(calibration.mean_embedding) != pack.recogniser.dimensions:
        raise PackError(f"{path}: calibration.mean_embedding has the wrong length")
    table = calibration.table
    if len(table) < 2 or any(a.fmr <= b.fmr or a.cosine >= b.cosine for a, b in pairwise(table)):
        raise PackError(f"{path}: calibration.table must have falling fmr and rising cosine")


def _build(kind: Any, value: Any, where: str) -> Any:
    """`value` as `kind` (dataclass, tuple, Literal, Optional or scalar); nothing is guessed."""
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        present = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else _build(present, value, where)
    if origin is Literal:
        if value not in arguments:
            raise PackError(f"{where} must be one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return _build_tuple(arguments, value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise PackError(f"{where} must be {kind.__name__}")
    return value


def _build_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise PackError(f"{where} must be a list")
    kinds = [arguments[0]] * len(value) if arguments[1:] == (...,) else list(arguments)
    if len(kinds) != len(value):
        raise PackError(f"{where} must have {len(kinds)} values")
    return tuple(
        _build(kind, item, f"{where}[{index}]")
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise PackError(f"{where} must be a mapping")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(map(str, value)) - set(fields)):
        raise PackError(f"{where} has unknown keys: {', '.join(unknown)}")
    required = {name for name, f in fields.items() if f.default is dataclasses.MISSING}
    if missing := sorted(required - set(value)):
        raise PackError(f"{where} lacks {', '.join(missing)}")
    hints = typing.get_type_hints(kind)
    return kind(
        **{name: _build(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    )
