"""The ranges of the tensors of a detector, so that it can compute with 8-bit integers.

They are the lowest and the highest values of all photos. Narrower ranges are finer for most faces,
but cut off what is large: with 99% of the values, faces that fill a picture were lost.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import helper

from recognition.inference.arrays import Image
from recognition.inference.pack import eight_bits
from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.inference.pack.files import ConvertedFile, EightBits, TensorRange, WeightFile
from recognition.inference.pack.weights import weight_path
from recognition.inference.pipeline import detector_of, finder_of
from recognition.inference.sessions import Model, Tensor

# The pictures of a group show squares of this number of photos, in rows of as many.
_GROUPS = (3, 6)


def in_floats(pack: ModelPack) -> ModelPack:
    """The pack without the ranges that it has. Raises PackError if it cannot have any."""
    weights = pack.detector.weights
    if not isinstance(weights, ConvertedFile):
        raise PackError(
            f"the detector of {pack.name} is used as it was published: declare it as a `source`"
        )
    detector = replace(pack.detector, weights=replace(weights, eight_bits=None))
    return replace(pack, detector=detector)


def last_in_floats(pack: ModelPack) -> int:
    """How many of the last convolutions of the detector stay floats."""
    weights = pack.detector.weights
    if isinstance(weights, ConvertedFile) and weights.eight_bits:
        return weights.eight_bits.last_in_floats
    return EightBits.last_in_floats


def measure(
    pack: ModelPack, photos: Sequence[Image], cache: Path, *, data: str, last: int
) -> EightBits:
    """`pack` is one of `in_floats` that is prepared; `photos` show a face each. So many of the last
    convolutions stay floats.
    """
    with tempfile.TemporaryDirectory() as folder:
        watched: list[_Watched] = []

        def model(weights: WeightFile, outputs: Sequence[str] = ()) -> Model:
            network = weight_path(pack, weights, cache)
            copy = Path(folder) / "watched.onnx"
            watched.append(_Watched(network, copy, outputs, last))
            return watched[0]

        finder = finder_of(pack, detector_of(pack, cache, model))
        for picture in _pictures(photos, pack.detector.largest_side):
            finder.find(picture)
            finder.find(picture, only_main=True)
    return EightBits(data, len(photos), tuple(watched[0].ranges()), last)


class _Watched(Model):
    """A network of which every run is watched."""

    def __init__(self, network: Path, copy: Path, outputs: Sequence[str], last: int) -> None:
        """`copy` is written: the same network, with more outputs."""
        model = onnx.load(network)
        self._given = outputs or [each.name for each in model.graph.output]
        (self._taken,) = (each.name for each in model.graph.input)
        self._names = eight_bits.tensors(model, last)
        more = [name for name in self._names if name != self._taken]
        model.graph.output.extend(map(helper.make_empty_tensor_value_info, more))
        onnx.save(model, copy)
        self._seen: dict[str, list[tuple[float, float]]] = {name: [] for name in self._names}
        super().__init__(copy, threads=1, outputs=[*self._given, *more])
        self._order = [*self._given, *more]

    def run(self, batch: Tensor) -> list[Tensor]:
        values = super().run(batch)
        named = {**dict(zip(self._order, values, strict=True)), self._taken: batch}
        for name, seen in self._seen.items():
            seen.append((float(named[name].min()), float(named[name].max())))
        return values[: len(self._given)]

    def ranges(self) -> Iterator[TensorRange]:
        """With four digits."""
        for name, seen in self._seen.items():
            low, high = np.array(seen).T
            yield name, float(f"{low.min():.4g}"), float(f"{high.max():.4g}")


def _pictures(photos: Sequence[Image], side: int) -> Iterator[Image]:
    """Each photo as it is and as large as the network sees any, and groups with smaller faces."""
    for photo in photos:
        yield photo
        yield _square(photo, side)
    for across in _GROUPS:
        size = across**2
        for at in range(0, len(photos) - size + 1, size):
            yield _group(photos[at : at + size], across, side)


def _group(photos: Sequence[Image], across: int, side: int) -> Image:
    squares = [_square(photo, side // across) for photo in photos]
    rows = [np.hstack(squares[at : at + across]) for at in range(0, len(squares), across)]
    return np.vstack(rows)


def _square(photo: Image, side: int) -> Image:
    """What fits into a square of this side, with black beside it."""
    scale = side / max(photo.shape[:2])
    columns, rows = (max(1, round(length * scale)) for length in photo.shape[1::-1])
    picture = np.zeros((side, side, 3), np.uint8)
    picture[:rows, :columns] = cv2.resize(photo, (columns, rows), interpolation=cv2.INTER_AREA)
    return picture
