"""What networks say of single faces: embedding, pose, eyes, age and gender, liveness."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from recognition.inference.alignment import align, square_crop
from recognition.inference.arrays import Floats, Image
from recognition.inference.pack.specs import (
    AlignedAttributesSpec,
    AttributesSpec,
    Estimate,
    EyesSpec,
    HeadPoseSpec,
    LivenessSpec,
    RecogniserSpec,
)
from recognition.inference.pose import Pose, eye_centres
from recognition.inference.sessions import CropModel, Model, Tensor

# The meaning of each index of the output, in all models.
_GENDERS = ("female", "male")
_AGES = 100


class Embedder:
    """From aligned crops to unit vectors; computes no distances."""

    def __init__(self, spec: RecogniserSpec, model: Model) -> None:
        self._spec = spec
        self._model = CropModel(spec.input, model)

    def embed(self, crops: list[Image]) -> tuple[Floats, Floats | None]:
        """(N, dimensions) unit vectors, float32; with `mirror`, the sum for the crop and its mirror
        image, and (N,) the cosine of the two.

        Raises ValueError when the model's output is not what the pack declares.
        """
        if not crops:
            return np.empty((0, self._spec.dimensions), np.float32), None
        if not self._spec.mirror:
            return self._unit(self._flat(crops), len(crops)), None
        # In one run, which takes a seventh less time than two.
        both = self._flat([*crops, *(crop[:, ::-1] for crop in crops)])
        vectors, mirrored = both[: len(crops)], both[len(crops) :]
        whole = self._unit(vectors + mirrored, len(crops))
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(mirrored, axis=1)
        return whole, (vectors * mirrored).sum(axis=1) / np.maximum(lengths, 1e-9)

    def _unit(self, vectors: Floats, count: int) -> Floats:
        if vectors.shape != (count, self._spec.dimensions) or not np.isfinite(vectors).all():
            raise ValueError(f"the recogniser gave {vectors.shape}, not finite unit vectors")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not norms.all():
            raise ValueError("the recogniser gave a vector of length 0")
        unit: Floats = vectors / norms
        return unit

    def _flat(self, crops: list[Image]) -> Floats:
        """(N, D); some networks give (N, D, 1, 1)."""
        return self._model.run(crops).reshape(len(crops), -1)


class HeadPoseNetwork:
    """The angles of a head, without the landmarks, which show pitch badly."""

    def __init__(self, spec: HeadPoseSpec, model: Model) -> None:
        """`model` gives the outputs that the spec names, in their order."""
        self._spec = spec
        self._model = CropModel(spec.input, model)

    def estimate(self, image: Image, boxes: Floats) -> list[Pose]:
        """The pose of each of N > 0 faces with boxes (N, 4)."""
        spec = self._spec
        crops = [square_crop(image, box, spec.crop_scale, spec.input.size) for box in boxes]
        angles = [output.reshape(len(crops)) for output in self._model.run_all(crops)]
        return [Pose(*map(float, each)) for each in zip(*angles, strict=True)]


class EyesNetwork:
    def __init__(self, spec: EyesSpec, model: Model, names: tuple[str, ...]) -> None:
        """`names` of the landmarks."""
        self._spec, self._names = spec, names
        self._model = CropModel(spec.input, model)

    def estimate(self, image: Image, landmarks: Floats) -> list[float]:
        """From 0 (closed) to 1 (open), for each of N > 0 faces with landmarks (N, 5, 2).

        The eye that is more open counts. The other one seems closed in every fifth photo: in the
        shadow, or behind glasses that reflect.
        """
        crops = [crop for points in landmarks for crop in self._crops(image, points)]
        chances = self._model.run(crops).reshape(len(landmarks), 2, -1)
        return [float(value) for value in chances[..., self._spec.open_class].max(axis=1)]

    def _crops(self, image: Image, points: Floats) -> list[Image]:
        eyes = eye_centres(points, self._names)
        half = np.linalg.norm(eyes[0] - eyes[1]) / 2
        boxes = [np.concatenate([eye - half, eye + half]) for eye in eyes]
        spec = self._spec
        return [square_crop(image, box, spec.crop_scale, spec.input.size) for box in boxes]


# --- Age and gender -------------------------------------------------------------------------------


class AttributeEstimator:
    """Estimates age and gender, if the pack has a network for them."""

    def __init__(self, spec: AttributesSpec, model: Model) -> None:
        self._spec = spec
        self._model = CropModel(spec.input, model)

    def estimate(
        self, image: Image, boxes: Floats, landmarks: Floats
    ) -> dict[Estimate, Sequence[float | str]]:
        """What the pack estimates of each of N > 0 faces with boxes (N, 4), landmarks (N, 5, 2)."""
        spec, size = self._spec, self._spec.input.size
        if isinstance(spec, AlignedAttributesSpec):
            template = np.array(spec.template)
            crops = [align(image, points, template, size) for points in landmarks]
            ages, genders = decode_genderage_2018(self._model.run(crops))
        else:
            crops = [square_crop(image, box, spec.crop_scale, size) for box in boxes]
            outputs = self._model.run_all(crops)
            joined = spec.decoder == "genderage"
            ages, genders = decode_genderage(outputs[0]) if joined else decode_age_gender(outputs)
        found: dict[Estimate, Sequence[float | str]] = {"age": ages, "gender": genders}
        return {name: found[name] for name in spec.estimates}


def decode_genderage_2018(outputs: Tensor) -> tuple[list[float], list[str]]:
    """Ages and genders of (N, 202): 2 logits of gender, then for each of 100 years 2 logits.

    The age is the number of years for which the second logit ("older than that") is the higher.
    """
    years = outputs[:, 2:].reshape(len(outputs), _AGES, 2)
    ages = (years[..., 1] > years[..., 0]).sum(axis=1)
    return [float(age) for age in ages], _genders(outputs)


def decode_genderage(outputs: Tensor) -> tuple[list[float], list[str]]:
    """Ages and genders of (N, 3): 2 logits of gender, the age in centuries."""
    ages = np.round(np.maximum(outputs[:, 2], 0) * 100)
    return [float(age) for age in ages], _genders(outputs)


def decode_age_gender(outputs: list[Tensor]) -> tuple[list[float], list[str]]:
    """Ages and genders of two outputs: (N, 2, 1, 1) chances of the genders, (N, 1, 1, 1) centuries.

    Their sizes tell which is which: order and names differ between releases.
    """
    flat = {output[0].size: output.reshape(len(output), -1) for output in outputs}
    if set(flat) != {1, 2}:
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise ValueError(f"the network of age and gender gave {shapes}")
    ages = np.round(np.maximum(flat[1][:, 0], 0) * 100)
    return [float(age) for age in ages], _genders(flat[2])


def _genders(outputs: Tensor) -> list[str]:
    return [_GENDERS[int(index)] for index in outputs[:, :2].argmax(axis=1)]


# --- Liveness -------------------------------------------------------------------------------------


class LivenessEstimator:
    """Passive anti-spoofing by MiniFASNet: scores how much a face looks alive, decides nothing."""

    def __init__(self, spec: LivenessSpec, models: list[Model]) -> None:
        """`models` are the loaded spec.networks, in the same order."""
        self._spec = spec
        self._models = [CropModel(spec.input, model) for model in models]

    def estimate(self, image: Image, boxes: Floats) -> list[float]:
        """Scores from 0 (spoof) to 1 (real) for each of N > 0 faces with boxes (N, 4)."""
        size = self._spec.input.size
        cut = reflected_crop if self._spec.crop == "reflected" else context_crop
        chances = [
            softmax(model.run([cut(image, box, network.crop_scale, size) for box in boxes]))
            for network, model in zip(self._spec.networks, self._models, strict=True)
        ]
        real = np.mean(chances, axis=0)[:, self._spec.real_class]
        return [score_of(float(value), self._spec.threshold) for value in real]


def score_of(chance: float, threshold: float) -> float:
    """The chance of a living face as a score, which is 0.5 at the threshold: odds over odds."""
    alive, spoof = chance * (1 - threshold), (1 - chance) * threshold
    return alive / (alive + spoof)


def context_crop(image: Image, box: Floats, scale: float, size: int) -> Image:
    """(size, size, 3): the box, enlarged `scale` times and shifted into the picture.

    Where the picture is too small for that, the box is enlarged less and keeps its proportions. The
    networks were trained with this rule (CropImage of Silent-Face-Anti-Spoofing).
    """
    limits = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
    sides = np.maximum(box[2:] - box[:2], 1)
    scale = min(scale, *((limits - 1) / sides))
    half = sides * scale / 2
    middle = np.clip((box[:2] + box[2:]) / 2, half, limits - 1 - half)
    left, top = np.floor(middle - half).astype(int)
    right, bottom = np.floor(middle + half).astype(int)
    crop = image[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
    return cv2.resize(crop, (size, size)).astype(np.uint8, copy=False)


def reflected_crop(image: Image, box: Floats, scale: float, size: int) -> Image:
    """(size, size, 3): a square around the box's centre, `scale` times its longer side.

    What lies outside of the picture is the mirror image of what is inside of it.
    """
    limits = np.array([image.shape[1], image.shape[0]])
    side = max(float(np.max(box[2:] - box[:2])) * scale, 1)
    corner = (box[:2] + box[2:] - side) / 2
    # At least a pixel, even where a face lies outside of the picture.
    low = np.clip(np.round(corner), 0, limits - 1).astype(int)
    high = np.clip(np.round(corner + side), low + 1, limits).astype(int)
    zoom = size / side
    width, height = np.maximum(np.round((high - low) * zoom), 1).astype(int)
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LANCZOS4
    inside = cv2.resize(
        image[low[1] : high[1], low[0] : high[0]], (width, height), interpolation=way
    )
    left, top = np.round((low - corner) * zoom).astype(int)
    if (left, top, width, height) == (0, 0, size, size):  # nothing lies outside, as mostly
        return inside.astype(np.uint8, copy=False)
    rows, columns = _mirrored(size, top, height), _mirrored(size, left, width)
    return inside[rows[:, None], columns].astype(np.uint8, copy=False)


def _mirrored(size: int, first: int, length: int) -> npt.NDArray[np.int_]:
    """(size,) indices of what lies from `first` on, and of its mirror images beside it."""
    places = np.arange(size) - first
    period = max(2 * (length - 1), 1)
    folded: npt.NDArray[np.int_] = np.minimum(places % period, -places % period)
    return folded


def softmax(logits: Tensor) -> Tensor:
    """The softmax along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    chances: Tensor = powers / powers.sum(axis=-1, keepdims=True)
    return chances
