"""The models that this process serves with, loaded once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock

import numpy as np
from django.conf import settings

from recognition.inference import weights
from recognition.inference.arrays import Image
from recognition.inference.detection.results import Detections
from recognition.inference.images import decode
from recognition.inference.packs import Calibration, ModelPack, PackError, find_pack
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.scores import ScoreScale

_loading = Lock()


@dataclass(frozen=True)
class Engine:
    """The active pack: its pipeline and what its scores mean."""

    pipeline: FacePipeline
    scores: ScoreScale

    @property
    def pack(self) -> ModelPack:
        return self.pipeline.pack

    def look_at(self, image: bytes) -> list[DetectedFace]:
        """The faces of an encoded picture, main one first. Raises ImageError."""
        return self.detect(self.decode(image))

    def detect(self, image: Image) -> list[DetectedFace]:
        """The faces of a decoded picture, main one first."""
        return self.pipeline.detect(image)[: settings.FACESVC_MAX_FACES_PER_IMAGE]

    def describe(self, image: Image, faces: Sequence[DetectedFace]) -> list[DetectedFace]:
        """The same faces of a picture with age, gender and liveness, where the pack has them."""
        return self.pipeline.describe(image, faces)

    def decode(self, image: bytes) -> Image:
        return decode(
            image, max_bytes=settings.MAX_IMAGE_BYTES, max_pixels=settings.MAX_IMAGE_PIXELS
        )

    def embed(self, faces: Sequence[DetectedFace]) -> list[DetectedFace]:
        return self.pipeline.embed(list(faces))

    def self_test(self) -> bool:
        """Runs every model on a picture made in memory; whether what comes out is sound."""
        side = self.pack.recogniser.size
        grey = np.add.outer(np.arange(side), np.arange(side)) % 256
        image = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
        self.pipeline.detect(image, rotate=False)
        box, landmarks = np.array([[0.0, 0.0, side, side]]), self.pack.template[None]
        faces = self.pipeline.look_at(image, Detections(box, np.ones(1), landmarks))
        (face,) = self.pipeline.embed(self.pipeline.describe(image, faces))
        return bool(np.isclose(np.linalg.norm(face.template), 1, atol=1e-3))


def current() -> Engine:
    """The engine of this process; the first call loads the models (PackError if it cannot)."""
    with _loading:
        return _load()


@cache
def _load() -> Engine:
    active = pack()
    return Engine(open_pipeline(active), ScoreScale(calibration_of(active)))


@cache
def pack() -> ModelPack:
    """The active pack, without loading its models. Raises PackError."""
    return find_pack(settings.FACESVC_PACK, settings.PACK_FOLDERS)


def open_pipeline(of: ModelPack) -> FacePipeline:
    """The pipeline of a pack; its files must be prepared."""
    if not weights.is_prepared(of, settings.MODELS_DIR):
        raise PackError(f"the pack {of.name!r} is not prepared: run `manage.py prepare_models`")
    return FacePipeline(of, settings.MODELS_DIR, threads=settings.FACESVC_INFERENCE_THREADS)


def calibration_of(of: ModelPack) -> Calibration:
    if of.calibration is None:
        raise PackError(f"the pack {of.name!r} is not calibrated: run `manage.py calibrate`")
    return of.calibration
