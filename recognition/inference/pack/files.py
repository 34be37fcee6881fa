"""The dataclasses of pack.yaml about files: where they come from, what they must be."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# The name of a tensor of a network, and its lowest and highest value.
TensorRange = tuple[str, float, float]


@dataclass(frozen=True)
class Digest:
    """What a file must have; `value` is in hexadecimal digits."""

    algorithm: Literal["sha256", "sha384"]
    value: str


@dataclass(frozen=True)
class Archive:
    """A zip file with a weight file inside, as `member`."""

    urls: tuple[str, ...]
    sha256: str
    bytes: int
    member: str

    @property
    def file(self) -> str:
        """The archive's name in a folder or on a mirror."""
        return self.urls[0].rpartition("/")[2]

    @property
    def digest(self) -> Digest:
        return Digest("sha256", self.sha256)


@dataclass(frozen=True)
class DownloadedFile:
    """A file fetched from `urls`, in this order, or from `archive`; or given in a folder.

    It has `sha256`, or where its authors publish only that, `sha384`.
    """

    file: str
    licence: str
    bytes: int
    sha256: str = ""
    urls: tuple[str, ...] = ()
    archive: Archive | None = None
    sha384: str = ""

    @property
    def digest(self) -> Digest:
        return Digest("sha256", self.sha256) if self.sha256 else Digest("sha384", self.sha384)

    @property
    def mark(self) -> str:
        return self.digest.value[:12]

    @property
    def parts(self) -> "tuple[DownloadedFile, ...]":
        return (self,)


@dataclass(frozen=True)
class PackageSource:
    """A file in an installed Python package, and the conversion that it needs."""

    package: str
    path: str
    sha256: str
    bytes: int
    convert: Literal["dlib_network", "dlib_landmarks"]


@dataclass(frozen=True)
class IrSource:
    """A network in OpenVINO's format: its layers in xml, and their values."""

    xml: DownloadedFile
    bin: DownloadedFile


@dataclass(frozen=True)
class FixedSizeSource:
    """An ONNX network that was exported for one size of picture, and works for all."""

    fixed_size: DownloadedFile


@dataclass(frozen=True)
class OnnxSource:
    """An ONNX network that has parts which onnxruntime is slow at."""

    onnx: DownloadedFile


Source = PackageSource | IrSource | FixedSizeSource | OnnxSource


@dataclass(frozen=True)
class EightBits:
    """What a network needs to compute with integers, as `manage.py measure_ranges` measured it.

    So many of the last convolutions before each output stay floats.
    """

    data: str
    photos: int
    ranges: tuple[TensorRange, ...]
    last_in_floats: int = 1


@dataclass(frozen=True)
class ConvertedFile:
    """A file of this name that is made from a file of an installed package, or from others.

    With `eight_bits` there is a second file, with the network that computes with integers.
    """

    file: str
    licence: str
    source: Source
    eight_bits: EightBits | None = None

    @property
    def parts(self) -> tuple[DownloadedFile, ...]:
        """The files that have to be fetched for it."""
        return tuple(v for v in vars(self.source).values() if isinstance(v, DownloadedFile))

    @property
    def mark(self) -> str:
        """The beginnings of the hashes of what it is made from."""
        if isinstance(self.source, PackageSource):
            return self.source.sha256[:12]
        return "-".join(part.mark for part in self.parts)

    @property
    def in_eight_bits(self) -> "EightBitFile | None":
        if self.eight_bits is None:
            return None
        name = f"{Path(self.file).stem}_8bit.onnx"
        return EightBitFile(name, self.licence, self.source, self.eight_bits)


class EightBitFile(ConvertedFile):
    """The network of a converted file that computes with 8-bit integers."""

    @property
    def mark(self) -> str:
        of = self.eight_bits
        made_by = (of.ranges, of.last_in_floats) if of else ()
        return f"{super().mark}-{hashlib.sha256(repr(made_by).encode()).hexdigest()[:12]}"


WeightFile = ConvertedFile | DownloadedFile
