"""The models that this process serves with.

Which pack is active stands in the database, so that all processes change over at once. An engine is
consistent in itself: what it embeds is compared with templates of its own version only, even if the
active pack changes in between.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import QuerySet

from recognition.collections.current import Entered, here, here_or_default
from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.results import Detections
from recognition.inference.detection.tiles import FIRST_LOOK, CloserLook, Needed
from recognition.inference.images import decode
from recognition.inference.pack import weights
from recognition.inference.pack.declaration import (
    Calibration,
    ModelPack,
    PackError,
    load_pack,
    pack_file,
)
from recognition.inference.pipeline import (
    TEMPLATE_DIMENSIONS,
    DetectedFace,
    FacePipeline,
    FacesOfPicture,
)
from recognition.inference.providers import Provider
from recognition.models import ActiveModel
from recognition.packs import calibrations, first_pack, protection, versions
from recognition.packs.calibrations import calibration_of as calibration_of
from recognition.packs.calibrations import not_calibrated as not_calibrated
from recognition.packs.scores import ScoreScale, SketchGeometry
from recognition.prepared import kept
from recognition.processes.current_request import current as current_request
from recognition.processes.slots import slot, stage

# The threads may miss each other once.
_WARM_UPS = 2

_loading = Lock()
_model_versions: dict[int, str] = {}  # of the engines that were active last, by collection


@dataclass(frozen=True)
class Engine:
    """A pack with its pipeline, what its scores mean, and the key that protects its templates.

    A request takes it by `at_work`, with a slot to compute in.
    """

    pipeline: FacePipeline
    scores: ScoreScale
    template_key: str = protection.NO_KEY

    @cached_property
    def pack(self) -> ModelPack:
        return self.pipeline.pack

    @cached_property
    def template_version(self) -> str:
        return versions.version_of(self.pack, self.template_key)

    def see(self, image: bytes, *, closer: Needed | None = None) -> tuple[Image, FacesOfPicture]:
        """The decoded picture, and its faces, main one first. Raises ImageError.

        `closer` says whether to look for small faces in a large picture, by the number of faces
        that are found at first.
        """
        current_request.get().model_version = self.pack.model_version
        with stage("decode"):
            picture = decode(
                image, max_bytes=settings.MAX_IMAGE_BYTES, max_pixels=settings.MAX_IMAGE_PIXELS
            )
        with stage("detect"):
            return picture, self.pipeline.detect(
                picture,
                most=settings.FACESVC_MAX_FACES_PER_IMAGE,
                closer=CloserLook(settings.FACESVC_SMALLEST_FACE, closer) if closer else FIRST_LOOK,
            )

    @stage("describe")
    def describe(self, image: Image, faces: Sequence[DetectedFace]) -> list[DetectedFace]:
        """The same faces of a picture with age, gender and liveness, where the pack has them."""
        return self.pipeline.describe(image, faces)

    @stage("describe")
    def liveness(self, image: Image, face: DetectedFace) -> float | None:
        """From 0 (spoof) to 1 (real); None when the pack has no anti-spoofing."""
        (described,) = self.pipeline.describe(image, [face], attributes=False)
        return described.liveness

    @stage("embed")
    def embed(self, faces: Sequence[DetectedFace]) -> list[DetectedFace]:
        return self.pipeline.embed(list(faces))

    def complete(self, image: Image, faces: Sequence[DetectedFace]) -> list[DetectedFace]:
        """The same faces of a picture with all that is stored of them."""
        with stage("describe"):
            described = self.pipeline.describe(image, faces)
        with stage("embed"):
            return self.pipeline.embed(described)

    def template(self, face: DetectedFace) -> Floats:
        """(512,) the embedding of a face as it is stored and searched."""
        if face.embedding is None:
            raise ValueError("the face has no embedding")
        template: Floats = templates(self.pack, self.template_key, face.embedding[None])[0]
        return template

    @cached_property
    def sketches(self) -> SketchGeometry:
        """What the differences between sketches of these templates mean."""
        measured = self.scores.calibration
        centre = centre_of(measured, self.template_key)
        return SketchGeometry(
            centre=centre,
            # A key's rotation spreads an embedding over all of them.
            bits=TEMPLATE_DIMENSIONS if self.template_key else self.pack.compared_dimensions,
            deviation=self.scores.stranger_deviation
            / float(measured.full_cosine - centre @ centre),
            squared_length=measured.squared_length,
        )

    def self_test(self) -> bool:
        """Runs every model on a picture made in memory; whether what comes out is sound."""
        image, faces = self._made_up()
        self.pipeline.detect(image, rotate=False)
        (face,) = self.pipeline.embed(self.pipeline.describe(image, faces))
        assert face.embedding is not None  # whose length DetectedFace has checked
        length = np.linalg.norm(self.pack.compared(face.embedding[None]))
        return bool(np.isclose(np.linalg.norm(self.template(face)), length, atol=1e-3))

    def warm_up(self, at_once: int) -> None:
        """Run the networks `at_once` times together on the most that they ever see.

        The arena of onnxruntime then has what that takes, and keeps it. Otherwise it would grow
        whenever large pictures happened to meet, over hours and under load.
        """
        side = self.pack.detector.largest_side
        large = np.zeros((side, side, 3), np.uint8)
        large[: side // 2] = 128  # or it would not be searched
        image, faces = self._made_up()
        faces *= self.pack.recogniser.input.batch

        def work(_: int) -> None:
            self.pipeline.detect(large, rotate=False)
            self.pipeline.embed(self.pipeline.describe(image, faces))

        with ThreadPoolExecutor(at_once) as threads:
            for _ in range(_WARM_UPS):
                list(threads.map(work, range(at_once)))

    def _made_up(self) -> tuple[Image, list[DetectedFace]]:
        """A pattern, and a face that fills it."""
        side = self.pack.recogniser.input.size
        grey = np.add.outer(np.arange(side), np.arange(side)) % 256
        image = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
        box, landmarks = np.array([[0.0, 0.0, side, side]]), self.pack.template[None]
        return image, self.pipeline.look_at(image, Detections(box, np.ones(1), landmarks))


@contextmanager
def at_work() -> Iterator[Engine]:
    """The active engine, with a slot to compute in until the end of the block.

    Nothing inside may wait for anybody else, or take a slot. Raises OverloadedError, PackError.
    """
    with slot():
        yield current()


def look(image: bytes, *, most: int | None = None) -> tuple[Engine, FacesOfPicture]:
    """The active engine, and the faces of a picture that it has embedded, main one first.

    It embeds the first `most`, if there are more, and looks closer if there seem to be fewer.
    Raises ImageError, OverloadedError, PackError.
    """
    with slot():
        active = current()
        _, found = active.see(image, closer=lambda found: most is None or found < most)
        with stage("embed"):
            found[:] = active.pipeline.embed(found[:most])
    return active, found


def current() -> Engine:
    """The active engine. Its models are loaded at first use (PackError if that fails)."""
    row = active_model()
    with _loading:
        loaded = _load(here(), pack(row.pack), row.measurement_id, row.template_key)
        _model_versions[here().number] = loaded.pack.model_version
    return loaded


def model_version() -> str:
    """For an answer that needed no model. Asks no database, so it may be old, or of a new one."""
    known = _model_versions.get(here_or_default().number)
    return known or pack(first_pack.choose().pack).model_version


def active_model() -> ActiveModel:
    """The row that says what is active. `migrate` makes it in a new database, once for all."""
    if found := _active_model():
        return found[0]  # type: ignore[no-any-return]
    defaults = {**vars(first_pack.choose()), "template_key": protection.newest_key()}
    row, _ = ActiveModel.objects.get_or_create(pk=1, defaults=defaults)
    return row


@kept
def _active_model() -> "QuerySet[Any]":
    return ActiveModel.objects.all()


def load(pack_name: str, template_key: str) -> Engine:
    """The engine of any pack. Raises PackError."""
    measurement = calibrations.measurement_in_use(pack_name)
    with _loading:
        return _load(here(), pack(pack_name), measurement, template_key)


@lru_cache(maxsize=256)
def _load(collection: Entered, of: ModelPack, measurement: int | None, template_key: str) -> Engine:
    protection.require(template_key)
    return Engine(_pipeline(of), ScoreScale(calibration_of(of, measurement)), template_key)


def pipeline(of: ModelPack) -> FacePipeline:
    """The networks of any pack, also of one without a calibration. Raises PackError."""
    with _loading:
        return _pipeline(of)


# The one that serves and the one that is to: others leave the memory, with their engines.
@lru_cache(maxsize=2)
def _pipeline(of: ModelPack) -> FacePipeline:
    _load.cache_clear()
    return open_pipeline(of)


def pack(name: str) -> ModelPack:
    """A pack by name, as its pack.yaml is now, without its models. Raises PackError."""
    path = pack_file(name, settings.PACK_FOLDERS)
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, changed: int, size: int) -> ModelPack:
    return load_pack(path.parent)


def active_version() -> str:
    """The version of the templates that are compared now. Loads no network. Raises PackError."""
    row = active_model()
    return versions.version_of(pack(row.pack), row.template_key)


def open_pipeline(of: ModelPack) -> FacePipeline:
    """The pipeline of a pack; its files must be prepared."""
    if not weights.is_prepared(of, settings.MODELS_DIR):
        raise PackError(
            f"the pack {of.name!r} is not prepared: run `manage.py models pull {of.name}`"
        )
    return FacePipeline(
        of,
        settings.MODELS_DIR,
        threads=settings.FACESVC_INFERENCE_THREADS,
        provider=Provider(settings.FACESVC_INFERENCE_PROVIDER),
    )


def templates(of: ModelPack, template_key: str, embeddings: Floats) -> Floats:
    """(N, 512) what is stored of (N, D) embeddings by a pack, under a key."""
    return _stored(of.compared(embeddings), template_key)


def centre_of(calibration: Calibration, template_key: str) -> Floats:
    """(512,) the mean of all people's templates, under a key."""
    centre: Floats = _stored(np.array([calibration.mean_embedding], np.float32), template_key)[0]
    return centre


def _stored(vectors: Floats, template_key: str) -> Floats:
    padded = np.zeros((len(vectors), TEMPLATE_DIMENSIONS), np.float32)  # which changes no product
    padded[:, : vectors.shape[1]] = vectors
    return protection.protect(padded, template_key)
