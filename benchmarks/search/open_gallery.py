"""A gallery of real people and, beyond those, of made-up ones; the others are strangers to it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from pgvector import HalfVector

from benchmarks.resampled import Resampled
from benchmarks.search import loading
from benchmarks.search.product import engine_of
from benchmarks.templates import Floats
from recognition.gallery import finding, indexes
from recognition.gallery.finding import Found
from recognition.gallery.probe import SearchProbe
from recognition.gallery.scope import Gallery, Scope
from recognition.gallery.statements import searching
from recognition.inference.pack.declaration import ModelPack
from recognition.measuring.folders import EmbeddedFolder
from recognition.models import Face, Template, User
from recognition.packs import scores
from recognition.packs.scores import Threshold


class OpenGallery:
    """`size` people in the database, all public, with one template each or up to `photos`.

    At most `most_real` of them are real: the others are needed as strangers. What else there is
    of those who are real searches for them.
    """

    def __init__(
        self,
        pack: ModelPack,
        faces: EmbeddedFolder,
        size: int,
        *,
        seed: int,
        photos: int = 1,
        most_real: int = 1_000,
    ) -> None:
        self._by = engine_of(pack)
        people = np.random.default_rng(seed).permutation(np.unique(faces.people))
        real = people[: min(size, most_real)]
        self._strangers = faces.embeddings[np.isin(faces.people, people[most_real:])]
        of_each = [faces.embeddings[faces.people == person] for person in real]
        self._mates = [(n, probe) for n, own in enumerate(of_each) for probe in own[photos:]]
        enrolled = [(n, template) for n, own in enumerate(of_each) for template in own[:photos]]
        self.made_up = size - len(real)
        if self.made_up:
            embeddings = faces.embeddings[:, : pack.recogniser.dimensions]
            more = Resampled(embeddings, faces.people, seed=seed, compared=pack.compared)
            made_up = pack.compared(more.draw(self.made_up))
            enrolled += enumerate(made_up, start=len(real))
        self._load(size, enrolled)

    @property
    def searches(self) -> tuple[int, int]:
        """For strangers, and for those who are enrolled."""
        return len(self._strangers), len(self._mates)

    def shares(self, rates: Sequence[float], *, by_user: bool = False) -> Floats:
        """(rates, 2): of the searches for strangers those that return anybody, and of those for
        the enrolled those that return them first (NaN without a second photo of anybody).

        One search for each photo, at the loosest cut: the others take a part of what it finds.
        """
        basic, scale = scores.level_confidence("basic"), self._by.scores
        with searching():
            gallery = Gallery.visible_to(Scope(viewer=None), self._by)
            cuts = [scale.cut(basic, rate, gallery.searched) for rate in rates]
            loosest = min(cuts, key=lambda cut: cut.cosine)

            def first(probe: Floats) -> Found | None:
                """The best one at the loosest cut."""
                found = finding.find(
                    gallery, SearchProbe(_padded(probe)), loosest, limit=1, by_user=by_user
                )
                return found[0] if found else None

            strangers = [first(probe) for probe in self._strangers]
            answers = [(first(probe), _user(person)) for person, probe in self._mates]
        mates = [found if found and found.user_id == user else None for found, user in answers]

        def share(answers: list[Found | None], cut: Threshold) -> float:
            """NaN without a search."""
            reached = [one and one.cosine >= scale.needed(cut, one.faces) for one in answers]
            return float(np.mean([bool(each) for each in reached])) if answers else float("nan")

        return np.array([[share(strangers, cut), share(mates, cut)] for cut in cuts])

    def _load(self, people: int, enrolled: list[tuple[int, Floats]]) -> None:
        version = self._by.template_version
        loading.empty()
        indexes.drop(indexes.name_of(version))
        indexes.sketch(version, self._by.sketches.centre)
        users = map(_user, range(people))
        loading.copy(User, ("id", "privacy_level"), ((user, "public") for user in users))
        versions = {"embedding_version": version, "model_version": self._by.pack.model_version}
        loading.copy(
            Face,
            ("id", "face_id", "user_id"),
            ((n, f"face_{n:012x}", _user(who)) for n, (who, _) in enumerate(enrolled, 1)),
            quality_score=0.9, quality_components={}, attributes={}, **versions,
        )  # fmt: skip
        loading.copy(
            Template,
            ("face_id", "user_id", "embedding"),
            (
                (n, _user(who), HalfVector(_padded(template)))
                for n, (who, template) in enumerate(enrolled, 1)
            ),
            **versions,
        )
        loading.vacuum()


def _user(number: int) -> UUID:
    return UUID(int=number + 1)


def _padded(embedding: Floats) -> Floats:
    wide = np.zeros(512, np.float32)
    wide[: len(embedding)] = embedding
    return wide
