"""From a picture to its faces: detection, landmarks, pose, quality, embeddings.

The rest of the service uses `FacePipeline` and `DetectedFace` only.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from recognition.inference.alignment import align
from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.anchors import AnchorDetector
from recognition.inference.detection.finding import FaceFinder, by_prominence
from recognition.inference.detection.mmod import LandmarkCascade, MmodDetector
from recognition.inference.detection.results import Detections, Detector
from recognition.inference.detection.tiles import FIRST_LOOK, CloserLook
from recognition.inference.estimators import (
    AttributeEstimator,
    Embedder,
    EyesNetwork,
    LivenessEstimator,
)
from recognition.inference.flaws import Flaws
from recognition.inference.images import turned
from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.inference.pack.files import WeightFile
from recognition.inference.pack.specs import MmodSpec
from recognition.inference.pack.weights import weight_path
from recognition.inference.pose import Pose, PoseEstimator
from recognition.inference.providers import Provider, ProviderError
from recognition.inference.quality import Assessor, Quality, ramp
from recognition.inference.sessions import Model

logger = logging.getLogger(__name__)

# Dimensions of the column that holds the templates of all packs.
TEMPLATE_DIMENSIONS = 512
# Pixels of a kept crop, and the share of it that is the recogniser's crop: 154 pixels, while our
# recognisers take 112 to 150.
_KEPT_SIZE, _KEPT_SHARE = 256, 0.6


class OpenModel(Protocol):
    """Opens the network of a file; `outputs` names what its `run` returns."""

    def __call__(self, weights: WeightFile, outputs: Sequence[str] = ()) -> Model: ...


@dataclass(frozen=True)
class DetectedFace:
    """One face, in pixels of the picture after its `rotation` and `reduction`.

    A value is None if the pack has no network for it, or the caller did not ask for it. Raises
    ValueError when shapes do not fit.
    """

    box: Floats  # (4,) x1, y1, x2, y2; may reach over the border
    detection_score: float
    landmarks: Floats  # (5, 2) in the order of the pack's landmark_names
    pose: Pose
    quality: Quality
    crop: Image  # aligned
    embedding: Floats | None = None  # (dimensions,) of length 1
    agreement: float | None = None  # cosine of the crop with its mirror image, if both are embedded
    rotation: int = 0  # degrees clockwise by which the picture was turned to be upright
    reduction: int = 1  # rows and columns of the file for each pixel of the picture
    age: float | None = None  # years
    gender: str | None = None  # "female" or "male"
    liveness: float | None = None  # 0 spoof, 1 real
    eyes_open: float | None = None  # 0 closed, 1 open

    def __post_init__(self) -> None:
        if self.box.shape != (4,) or self.landmarks.shape != (5, 2):
            raise ValueError(f"box {self.box.shape}, landmarks {self.landmarks.shape}")
        # With nan no comparison holds.
        if self.embedding is not None and not abs(np.linalg.norm(self.embedding) - 1) < 1e-3:
            raise ValueError("the embedding is not a unit vector")

    @property
    def centre(self) -> Floats:
        middle: Floats = (self.box[:2] + self.box[2:]) / 2
        return middle

    @property
    def area(self) -> float:
        return float(np.prod(self.box[2:] - self.box[:2]))


class FacesOfPicture(list[DetectedFace]):
    """The faces that count, the main one first; `found` is how many the picture has.

    Nearly all faces of at least `smallest_face` pixels are found; 0 if nobody has searched.
    """

    smallest_face = 0

    def __init__(self, faces: Iterable[DetectedFace] = (), found: int | None = None) -> None:
        super().__init__(faces)
        self.found = len(self) if found is None else found


class FacePipeline:
    """The models of one pack, loaded. Safe to use from several threads at once."""

    def __init__(
        self, pack: ModelPack, cache: Path, *, threads: int = 1, provider: Provider = Provider.CPU
    ) -> None:
        """Raises PackError when a model has not the outputs that the pack declares, or when the
        provider cannot compute it."""
        self.pack = pack
        self._provider = provider
        self._refuses_integers = False

        def path(weights: WeightFile) -> Path:
            return weight_path(pack, weights, cache)

        def model(weights: WeightFile, outputs: Sequence[str] = ()) -> Model:
            chosen = provider.network(weights)
            try:
                return Model(path(chosen), threads=threads, outputs=outputs, provider=provider)
            except Exception as error:  # those of onnxruntime have no other base
                if chosen is weights:
                    raise
                logger.warning("%s is not taken, floats are: %s", chosen.file, error)
                self._refuses_integers = True
            return Model(path(weights), threads=threads, outputs=outputs, provider=provider)

        attributes, liveness = pack.attributes, pack.liveness
        if attributes and attributes.optional and not path(attributes.weights).is_file():
            attributes = None
        try:
            self._detector = detector_of(pack, cache, model)
            self._assessor = Assessor(pack, model)
            self._flaws = Flaws(pack.quality_ranges.flaws, pack.recogniser.dimensions)
        except ProviderError:
            raise  # which is no fault of the pack
        except ValueError as error:
            raise PackError(f"the pack {pack.name!r}: {error}") from error
        self._embedder = Embedder(pack.recogniser, model(pack.recogniser.weights))
        self._attributes = attributes and AttributeEstimator(attributes, model(attributes.weights))
        self._liveness = liveness and LivenessEstimator(
            liveness, [model(network.weights) for network in liveness.networks]
        )
        names = pack.detector.landmark_names
        self._eyes = pack.eyes and EyesNetwork(pack.eyes, model(pack.eyes.weights), names)
        self._finder = finder_of(pack, self._detector)

    def detect(
        self,
        image: Image,
        *,
        rotate: bool = True,
        most: int | None = None,
        only_main: bool = False,
        reduction: int = 1,
        closer: CloserLook = FIRST_LOOK,
    ) -> FacesOfPicture:
        """At most `most` faces without embeddings, the main one first, then by size.

        Where no face is surely upright the turned picture is also searched, if the pack says so.
        `rotate=False` skips that. A blank picture is not searched at all. The picture was decoded
        with `reduction`. `closer` says whether it is searched for small faces, too.

        With `only_main` it is one face at most, the same for a fraction of the time: the search
        ends when no face that could be the main one is missing, and `found` says nothing.
        """
        found, rotation = self._finder.find(image, rotate=rotate, only_main=only_main)
        image = turned(image, rotation)
        found, smallest = closer.at(image, found, self._detector, self.pack.detector)
        most = 1 if only_main else most
        faces = self._described(image, found, rotation, most, reduction)
        faces.smallest_face = smallest
        return faces

    def look_again(self, image: Image, face: DetectedFace, reduction: int) -> FacesOfPicture:
        """A face that was detected in a smaller copy of the picture, as this one shows it; nothing
        if it does not. The picture was decoded with `reduction`.
        """
        known = Detections(
            face.box[None], np.array([face.detection_score]), face.landmarks[None]
        ).scaled(face.reduction / reduction)
        image = turned(image, face.rotation)
        found = self._detector.closely(image, known)
        return self._described(image, found, face.rotation, None, reduction)

    def look_at(
        self,
        image: Image,
        found: Detections,
        rotation: int = 0,
        *,
        most: int | None = None,
    ) -> FacesOfPicture:
        """Describes faces at known places of the picture turned by `rotation`, as `detect` does."""
        return self._described(turned(image, rotation), found, rotation, most, 1)

    def _described(
        self, image: Image, found: Detections, rotation: int, most: int | None, reduction: int
    ) -> FacesOfPicture:
        """`image` is already turned by `rotation`."""
        count = len(found)
        found = found.take(by_prominence(found.boxes, image)[:most])
        assessed = self._assessor.assess(image, found, reduction)
        faces = [
            DetectedFace(box, float(score), points, *each, rotation=rotation, reduction=reduction)
            for box, score, points, each in zip(
                found.boxes, found.scores, found.landmarks, assessed, strict=True
            )
        ]
        return FacesOfPicture(faces, found=count)

    def describe(
        self,
        image: Image,
        faces: Sequence[DetectedFace],
        *,
        attributes: bool = True,
        liveness: bool = True,
    ) -> list[DetectedFace]:
        """The same faces of one picture with what the pack estimates beside: `attributes` are age,
        gender and the eyes.
        """
        if not faces:
            return []
        image = turned(image, faces[0].rotation)
        boxes = np.array([face.box for face in faces])
        landmarks = np.array([face.landmarks for face in faces])
        if attributes and self._eyes:
            faces = _filled(faces, "eyes_open", self._eyes.estimate(image, landmarks))
        if attributes and self._attributes:
            for name, values in self._attributes.estimate(image, boxes, landmarks).items():
                faces = _filled(faces, name, values)
        if liveness and self._liveness:
            faces = _filled(faces, "liveness", self._liveness.estimate(image, boxes))
        return list(faces)

    def surroundings(self, image: Image, face: DetectedFace) -> Image:
        """(256, 256, 3) the upright face of a picture with enough around it to be found again.

        The recogniser's crop is the middle of it, so the pack itself loses little. Other packs,
        which want the landmarks elsewhere, can detect and align the face again.
        """
        size = self.pack.recogniser.input.size
        middle = _KEPT_SIZE * _KEPT_SHARE
        template = (self.pack.template + 0.5 - size / 2) * (middle / size) + _KEPT_SIZE / 2 - 0.5
        return align(turned(image, face.rotation), face.landmarks, template, _KEPT_SIZE)

    def embed(self, faces: list[DetectedFace]) -> list[DetectedFace]:
        """The same faces with their embeddings, and with what these say of their quality."""
        if not faces:
            return []
        crops = [face.crop for face in faces]
        embeddings, agreements = self._embedder.embed(crops)
        if agreements is not None:
            faces = list(_filled(faces, "agreement", map(float, agreements)))
        flaws = self._flaws.components(crops, embeddings)
        return [
            replace(face, embedding=embedding, quality=face.quality.having(self._shown(face, each)))
            for face, embedding, each in zip(faces, embeddings, flaws, strict=True)
        ]

    def _shown(self, face: DetectedFace, flaws: dict[str, float]) -> dict[str, float]:
        """The components of the quality that came with the embedding."""
        limits = self.pack.quality_ranges.mirror
        if limits is None or face.agreement is None:
            return flaws
        return {"mirror": ramp(face.agreement, *limits), **flaws}

    def arithmetic(self) -> str:
        """Who computes, and with what the detector does where that differs, for people."""
        return self._provider.arithmetic(self.pack.detector.weights, self._refuses_integers)

    def embed_crops(self, crops: list[Image]) -> Floats:
        """(N, dimensions) unit vectors of aligned crops."""
        return self._embedder.embed(crops)[0]


def detector_of(pack: ModelPack, cache: Path, model: OpenModel) -> Detector:
    """The pack's detector, with a network that `model` opens."""
    spec = pack.detector
    if isinstance(spec, MmodSpec):
        cascade = LandmarkCascade(weight_path(pack, spec.landmark_weights, cache))
        return MmodDetector(spec, model(spec.weights), cascade)
    return AnchorDetector(spec, model(spec.weights, spec.outputs.names()))


def finder_of(pack: ModelPack, detector: Detector) -> FaceFinder:
    pose = PoseEstimator(pack.template, pack.detector.landmark_names)
    return FaceFinder(detector, pack.detector, pose)


def _filled(faces: Sequence[DetectedFace], field: str, values: Iterable[Any]) -> list[DetectedFace]:
    """The faces with a value of this field each."""
    return [replace(face, **{field: value}) for face, value in zip(faces, values, strict=True)]
