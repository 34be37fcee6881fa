"""Reads pack.yaml into a frozen ModelPack: what a model expects is declared, never guessed."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recognition.inference.arrays import Floats
from recognition.inference.pack.cohort import Cohort
from recognition.inference.pack.files import ConvertedFile, DownloadedFile, WeightFile
from recognition.inference.pack.schema import SchemaError, build
from recognition.inference.pack.specs import (
    CAUTIOUS,
    AttributesSpec,
    DetectorSpec,
    EyesSpec,
    HeadPoseSpec,
    LivenessSpec,
    MmodSpec,
    QualityRanges,
    QualitySpec,
    RecogniserSpec,
    RetinaFaceSpec,
)

# Digits of the SHA-2 of a file.
_DIGITS = {"sha256": "[0-9a-f]{64}", "sha384": "[0-9a-f]{96}"}


class PackError(ValueError):
    """A pack is missing, or its pack.yaml is wrong; the message says where."""


@dataclass(frozen=True)
class OperatingPoint:
    """A row of the table from cosine to FMR. With a cohort the cosine is the score that it makes.

    `pairs` false matches were measured there; `interval` is the 95% interval of the FMR that
    follows. For an extrapolated point they are too few: they only show whether it can be true.
    """

    fmr: float
    cosine: float
    pairs: int
    extrapolated: bool
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Provisional:
    """Why a calibration holds roughly only: nobody measured it with this pack."""

    source: str
    factor: tuple[float, float]  # the true FMR is within these factors of the stated one


@dataclass(frozen=True)
class SeveralPhotos:
    """What a person's photos change: how often a stranger matches the best of them, or their mean.

    A stranger matches the best of n with n ** `nearest_exponent` times the FMR of one. The mean of
    n scores deviates less than one of them, as if any two of the scores had `mean_correlation`.
    """

    fmr: float  # of one photo, where both were measured
    nearest_exponent: float
    mean_correlation: float
    measured: "tuple[PhotosMeasured, ...]"


@dataclass(frozen=True)
class PhotosMeasured:
    """`nearest` and `mean` are FMRs of persons with `photos`, in FMRs of one of these photos."""

    photos: int
    people: int  # who have so many
    nearest: float
    mean: float


@dataclass(frozen=True)
class Calibration:
    """Measured by `manage.py calibrate`; see recognition/measuring/calibration.py for how.

    A provisional one counts no photos and pairs, and may lack the mean embedding. What is said of
    cosines and embeddings is, of a pack with a cohort, said of what they become with it.
    """

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
    several_photos: SeveralPhotos | None = None  # measured where enough people have several
    provisional: Provisional | None = None
    # Shown as similarity 1: the cosine of a picture with itself.
    full_cosine: float = 1.0
    # The squared length that nine tenths of the embeddings have at most.
    squared_length: float = 1.0


@dataclass(frozen=True)
class ModelPack:
    """A pack as its pack.yaml declares it.

    The networks below `recogniser` are optional: without one its estimate is None.
    """

    name: str
    description: str
    licence: str
    embedding_version: str
    model_version: str
    detector: DetectorSpec
    recogniser: RecogniserSpec
    terms: str = ""  # operators accept it before the files are downloaded
    quality: QualitySpec | None = None
    attributes: AttributesSpec | None = None
    liveness: LivenessSpec | None = None
    head_pose: HeadPoseSpec | None = None
    eyes: EyesSpec | None = None
    cohort: Cohort | None = None
    quality_ranges: QualityRanges = CAUTIOUS
    calibration: Calibration | None = None

    @property
    def template_version(self) -> str:
        """That of the embeddings, and of the cohort: only equal ones are compared."""
        mark = f"~{self.cohort.mark}" if self.cohort else ""
        return f"{self.embedding_version}{mark}"

    @property
    def compared_dimensions(self) -> int:
        return self.recogniser.dimensions + (1 if self.cohort else 0)

    def compared(self, embeddings: Floats) -> Floats:
        """(N, dimensions) unit vectors to (N, compared_dimensions), whose products are scores."""
        return self.cohort.extended(embeddings) if self.cohort else embeddings

    @property
    def template(self) -> Floats:
        """(5, 2) in pixels of the recogniser's crop."""
        return np.array(self.recogniser.template, dtype=np.float64)

    def weight_files(self) -> list[WeightFile]:
        """The files without which the pack cannot serve."""
        files = [self.detector.weights, self.recogniser.weights]
        if isinstance(self.detector, MmodSpec):
            files.append(self.detector.landmark_weights)
        needed = None if self.optional_files() else self.attributes
        networks = (self.quality, needed, self.head_pose, self.eyes)
        files += [spec.weights for spec in networks if spec]
        if self.liveness:
            files += [network.weights for network in self.liveness.networks]
        converted = [each for each in files if isinstance(each, ConvertedFile)]
        return files + [each.in_eight_bits for each in converted if each.in_eight_bits]

    def optional_files(self) -> list[WeightFile]:
        return [self.attributes.weights] if self.attributes and self.attributes.optional else []


def load_pack(folder: Path) -> ModelPack:
    """Raises PackError when there is no valid pack.yaml in `folder`."""
    path = folder / "pack.yaml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        _read_cohort(raw, folder)
        pack: ModelPack = build(ModelPack, raw, "pack")
        _check(pack, folder.name)
    except OSError as error:
        raise PackError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, SchemaError) as error:
        raise PackError(f"{path}: {error}") from error
    return pack


def _read_cohort(raw: Any, folder: Path) -> None:
    """Puts the cohort's file beside what is said of it. Raises SchemaError."""
    cohort = raw.get("cohort") if isinstance(raw, dict) else None
    if not isinstance(cohort, dict):
        return
    if "table" in cohort:
        raise SchemaError("pack.cohort has unknown keys: table")
    name = str(cohort.get("file"))
    _check_file_name(name)
    try:
        cohort["table"] = (folder / name).read_bytes()
    except OSError as error:
        raise SchemaError(
            f"the cohort's {name} cannot be read ({error.strerror}): restore it"
        ) from error


def pack_file(name: str, search: list[Path]) -> Path:
    """The pack.yaml of that name in the first folder that has it. Raises PackError."""
    for folder in search:
        if (path := folder / name / "pack.yaml").is_file():
            return path
    places = ", ".join(str(folder) for folder in search)
    raise PackError(f"no pack {name!r} in {places}")


def pack_names(search: list[Path]) -> list[str]:
    """The names of all packs; a pack.yaml may still be wrong."""
    return sorted({path.parent.name for folder in search for path in folder.glob("*/pack.yaml")})


def _check(pack: ModelPack, folder: str) -> None:
    """Checks what types cannot express. Raises SchemaError."""
    if pack.name != folder:
        raise SchemaError(f"the name {pack.name!r} is not that of its folder")
    if not 1 <= pack.recogniser.dimensions <= 512:
        raise SchemaError("recogniser.dimensions must be 1 to 512")
    names = pack.detector.landmark_names
    if len(set(names)) < 5 or {name[:5] for name in names if "eye" in name} != {"left_", "right"}:
        raise SchemaError("detector.landmark_names must differ and name both eyes")
    for weights in [*pack.weight_files(), *pack.optional_files()]:
        _check_file_name(weights.file)
        for part in weights.parts:
            _check_file_name(part.file)
            _check_download(part)
    if pack.liveness and not 0 < pack.liveness.threshold < 1:
        raise SchemaError("liveness.threshold must be between 0 and 1")
    _check_search(pack.detector)
    _check_strides(pack.detector)
    if pack.cohort:
        if pack.recogniser.dimensions == 512:
            raise SchemaError("a cohort needs recogniser.dimensions below 512")
        pack.cohort.check(pack.recogniser.dimensions)
    _check_calibration(pack)


def _check_file_name(name: str) -> None:
    """Refuses folders in the name, which becomes part of a path in the cache folder."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise SchemaError(f"{name!r} must be a file name without folders")


def _check_download(weights: DownloadedFile) -> None:
    if weights.archive and not weights.archive.urls:
        raise SchemaError(f"{weights.file}: archive.urls must not be empty")
    if weights.archive:
        _check_file_name(weights.archive.file)
    for wanted in (weights, weights.archive):
        if wanted and not re.fullmatch(_DIGITS[wanted.digest.algorithm], wanted.digest.value):
            raise SchemaError(f"{weights.file}: sha256 must be 64 hexadecimal digits, or sha384 96")


def _check_search(detector: DetectorSpec) -> None:
    """Checks that a search comes to an end: each size that it looks at is smaller than the last."""
    if isinstance(detector, MmodSpec):
        if not 0 < detector.pyramid_step < 1 or detector.sure_size < 1:
            raise SchemaError("detector.pyramid_step must be between 0 and 1, sure_size at least 1")
    elif not 1 <= detector.sure_size <= detector.input.size / 6 or detector.close_size < 1:
        message = "a sixth of input.size at most, and close_size at least 1"
        raise SchemaError(f"detector.sure_size must be 1 at least and {message}")


def _check_strides(detector: DetectorSpec) -> None:
    """Checks that sizes are multiples of the strides, and lists have a value for each stride."""
    if isinstance(detector, MmodSpec):
        return
    lists = {f"outputs.{name}": names for name, names in vars(detector.outputs).items()}
    if isinstance(detector, RetinaFaceSpec):  # its outputs hold all strides
        lists = {"anchor_sizes": detector.anchor_sizes}
    sizes = (detector.input.size, detector.small_size or 0)
    if any(size % stride for size in sizes for stride in detector.strides):
        raise SchemaError("detector.input.size and small_size must be multiples of the strides")
    for name, values in lists.items():
        if len(values) != len(detector.strides):
            raise SchemaError(f"detector.{name} must have one value for each stride")


def _check_calibration(pack: ModelPack) -> None:
    calibration = pack.calibration
    if calibration is None:
        return
    lengths = {pack.compared_dimensions} | ({0} if calibration.provisional else set())
    if len(calibration.mean_embedding) not in lengths:
        raise SchemaError("calibration.mean_embedding has the wrong length")
    table = calibration.table
    if len(table) < 2 or any(a.fmr <= b.fmr or a.cosine >= b.cosine for a, b in pairwise(table)):
        raise SchemaError("calibration.table must have falling fmr and rising cosine")
    several = calibration.several_photos
    if several and not (0 <= several.nearest_exponent <= 1 and 0 <= several.mean_correlation <= 1):
        raise SchemaError("calibration.several_photos must have values from 0 to 1")
