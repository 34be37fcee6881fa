"""Folders of labelled photos to embeddings, for the commands that measure a pack."""

from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.core.management.base import OutputWrapper
from tqdm import tqdm

from recognition.inference.arrays import Floats
from recognition.inference.pack import weights
from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.measuring.pairs import Numbers, found_faces
from recognition.measuring.photos import Photo, PhotosError, embed_photos, find_photos
from recognition.packs import downloads, engine


@dataclass(frozen=True)
class EmbeddedFolder:
    """The main faces of N photos; a row of zeros where there is none."""

    photos: tuple[Photo, ...]
    embeddings: Floats  # (N, D) of length 1, or what the pack's cohort makes of them; or 0
    qualities: Floats  # (N,) from 0 to 1, not a number where there is no face
    people: Numbers  # (N,) numbers of the persons
    missed: dict[Photo, str] = field(default_factory=dict)  # why there is no face

    def found(self) -> "EmbeddedFolder":
        """The photos with a face."""
        return self.only(found_faces(self.embeddings))

    def only(self, chosen: npt.NDArray[np.bool_]) -> "EmbeddedFolder":
        photos = tuple(self.photos[index] for index in np.flatnonzero(chosen))
        missed = {photo: why for photo, why in self.missed.items() if photo in set(photos)}
        return EmbeddedFolder(
            photos, self.embeddings[chosen], self.qualities[chosen], self.people[chosen], missed
        )

    def compared_by(self, pack: ModelPack) -> "EmbeddedFolder":
        """With plain embeddings as the pack compares them."""
        found = found_faces(self.embeddings)
        vectors = np.zeros((len(found), pack.compared_dimensions), np.float32)
        vectors[found] = pack.compared(self.embeddings[found])
        return replace(self, embeddings=vectors)


def open_pack(name: str) -> ModelPack:
    """A pack with its files in the data folder, as far as they are on this machine.

    Raises PackError.
    """
    return prepared(engine.pack(name))


def prepared(pack: ModelPack) -> ModelPack:
    """The same pack, with its files as `open_pack` has them. Raises PackError."""
    if pack.terms and not weights.is_prepared(pack, settings.MODELS_DIR):
        # The command shows the terms, and takes the consent.
        raise PackError(
            f"the pack {pack.name!r} is not prepared: run `manage.py models pull {pack.name}`"
        )
    downloads.pull(pack, settings.MODELS_DIR, settings.FACESVC_MODEL_SOURCE)
    return pack


def find_labelled(folder: Path, output: OutputWrapper) -> list[Photo]:
    """The photos of a folder that say who is in them. Raises PhotosError."""
    if not folder.is_dir():
        raise PhotosError(f"{folder} is not a folder.")
    photos = list(find_photos(folder))
    labelled = [photo for photo in photos if photo.person]
    if not labelled:
        raise PhotosError(f"{folder} has no photos that say who is in them.")
    if len(labelled) < len(photos):
        output.write(
            f"{len(photos) - len(labelled)} photos are left out: neither a folder nor the file's "
            "name says who is in them."
        )
    return labelled


def embed(photos: Sequence[Photo], pack: ModelPack, *, workers: int) -> EmbeddedFolder:
    """Embed the photos, with a progress bar; each name is a person. Raises PhotosError."""
    if workers < 1:
        raise PhotosError("--workers must be at least 1.")
    limits = {"max_bytes": settings.MAX_IMAGE_BYTES, "max_pixels": settings.MAX_IMAGE_PIXELS}
    results = embed_photos(photos, pack, settings.MODELS_DIR, limits, workers=workers)
    try:
        faces = list(
            tqdm(results, total=len(photos), unit="photo", desc=f"Embedding ({pack.name})")
        )
    except (PackError, BrokenProcessPool) as error:
        raise PhotosError(f"The photos could not be embedded: {error}") from error
    if all(face.embedding is None for face in faces):
        raise PhotosError(f"No face was found in any photo. {photos[0].path}: {faces[0].problem}")
    nothing = np.zeros(pack.recogniser.dimensions, np.float32)
    vectors = [nothing if face.embedding is None else face.embedding for face in faces]
    names = [face.photo.person for face in faces]
    folder = EmbeddedFolder(
        tuple(face.photo for face in faces),
        np.array(vectors, np.float32),
        np.array([face.quality for face in faces]),
        np.unique(names, return_inverse=True)[1].astype(np.int64),
        {face.photo: face.problem for face in faces if face.problem},
    )
    return folder.compared_by(pack)
