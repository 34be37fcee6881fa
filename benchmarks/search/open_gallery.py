"""A gallery of real people and, beyond those, of made-up ones; the others are strangers to it."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from pgvector import HalfVector

from benchmarks.resampled import Resampled
from benchmarks.search import loading
from benchmarks.search.product import engine_of
from benchmarks.templates import Floats
from recognition import indexes, matching
from recognition.engine import calibration_of
from recognition.folder_embedding import EmbeddedFolder
from recognition.gallery import Scope
from recognition.inference.packs import ModelPack
from recognition.models import Face, Template, User
from recognition.search import Gallery
from recognition.statements import statements

# At most so many real people are enrolled: the others are needed as strangers.
MOST_REAL = 1_000


class OpenGallery:
    """`size` people in the database, all public, with one template each."""

    def __init__(self, pack: ModelPack, faces: EmbeddedFolder, size: int, *, seed: int) -> None:
        self._pack = pack
        people = np.random.default_rng(seed).permutation(np.unique(faces.people))
        real = people[: min(size, MOST_REAL)]
        self._strangers = faces.embeddings[np.isin(faces.people, people[MOST_REAL:])]
        first = [faces.embeddings[faces.people == person][0] for person in real]
        self.made_up = size - len(real)
        templates = np.array(first)
        if self.made_up:
            made_up = Resampled(faces.embeddings, faces.people, seed=seed)
            templates = np.concatenate([templates, made_up.draw(self.made_up)])
        self._load(templates)

    @property
    def searches(self) -> int:
        return len(self._strangers)

    def share_found(self, rate: float) -> float:
        """Of the searches for strangers those that return anybody."""
        by = engine_of(self._pack)
        options = matching.SearchOptions(
            matching.level_confidence("basic"), max_false_positive_rate=rate
        )
        found = 0
        with statements():
            gallery = Gallery.visible_to(Scope(viewer=None), by)
            least = matching.cut(by, options, gallery.searched).cosine
            for probe in self._strangers:
                found += bool(gallery.nearest(_padded(probe), least=least, limit=1))
        return found / self.searches

    def _load(self, templates: Floats) -> None:
        version = self._pack.embedding_version
        loading.empty()
        mean = calibration_of(self._pack).mean_embedding
        indexes.drop(version)
        indexes.sketch(version, _padded(np.array(mean, np.float32)))
        vectors = [_padded(one) for one in templates]
        ids = [UUID(int=number + 1) for number in range(len(vectors))]
        loading.copy(User, ("id", "privacy_level"), ((user, "public") for user in ids))
        versions = {"embedding_version": version, "model_version": self._pack.model_version}
        loading.copy(
            Face,
            ("id", "face_id", "user_id"),
            ((n, f"face_{n:012x}", user) for n, user in enumerate(ids, 1)),
            quality_score=0.9, quality_components={}, attributes={}, **versions,
        )  # fmt: skip
        loading.copy(
            Template,
            ("face_id", "user_id", "embedding"),
            ((n, ids[n - 1], HalfVector(vector)) for n, vector in enumerate(vectors, 1)),
            **versions,
        )
        loading.vacuum()


def _padded(embedding: Floats) -> Floats:
    wide = np.zeros(512, np.float32)
    wide[: len(embedding)] = embedding
    return wide
