"""Measures a pack on the kept pictures of the people who are enrolled here.

Pictures are decrypted and embedded in memory. What is stored names nobody.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
from django.db.models import Max, Min, QuerySet
from django.utils.translation import gettext as _

from recognition.enrolment import lookalikes
from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import Calibration, ModelPack
from recognition.measuring import calibration, charts, reports
from recognition.measuring.calibration import PAIRS_NEEDED
from recognition.measuring.folders import EmbeddedFolder
from recognition.measuring.pairs import ERRORS_NEEDED, all_pairs
from recognition.measuring.photos import Photo, PhotosError
from recognition.measuring.reports import Json
from recognition.models import Face, FaceCrop, PossibleDuplicate
from recognition.models.duplicates import DuplicateState
from recognition.packs import calibrations, engine
from recognition.packs.scores import ScoreScale
from recognition.privacy import kept_pictures
from recognition.privacy.sealing import UnreadableError
from recognition.processes import pools

# Each with each, the least pairs of strangers: 246 people.
PEOPLE_NEEDED = math.ceil((1 + math.sqrt(1 + 8 * PAIRS_NEEDED)) / 2)
# With 3,000 people there are 4.5 million pairs of two people, and 1e-5 is measured. More take
# longer than what is rarer is worth.
MOST_PEOPLE = 3000
BATCH = 16
_NAME = "the people enrolled here"
# Pairs that are so alike that they may be one person. More say that the pack tells nobody apart.
_MOST_NOTED = 100
# For a pack that never stated one: see `duplicate_similarity` in recognition.measuring.calibration.
_DUPLICATE = 0.95


@dataclass(frozen=True)
class Census:
    """People who are not suspended and have faces that are not."""

    people: int  # with a kept picture of a face
    with_several: int  # of these, with pictures of two faces or more
    without_picture: int

    @property
    def measured(self) -> int:
        """People who would be measured."""
        return min(self.people, MOST_PEOPLE)

    @property
    def faces(self) -> int:
        """At most two of each of them."""
        return self.measured + min(self.with_several, self.measured)

    @property
    def pairs(self) -> int:
        """How many of two people."""
        return self.measured * (self.measured - 1) // 2

    @property
    def least_rate(self) -> float:
        """The lowest false match rate that so many people measure."""
        return ERRORS_NEEDED / max(self.pairs, ERRORS_NEEDED)

    @property
    def lacks(self) -> str:
        """What is missing before it can begin; empty if nothing is."""
        if self.people < PEOPLE_NEEDED:
            said = _("People with a kept picture of their face: {people}.")
            return f"{said.format(people=self.people)} {why()}"
        if not self.with_several:
            return _(
                "Nobody has kept pictures of two faces. At least one person is needed who has, to "
                "compare a person with himself or herself: enrol a second photo of somebody."
            )
        return ""


def why() -> str:
    pairs = PEOPLE_NEEDED * (PEOPLE_NEEDED - 1) // 2
    said = _(
        "At least {people} are needed: they make {people} x {others} / 2 = {pairs:,} pairs of two "
        "people. A false match rate counts as measured when {errors} pairs are behind it. So "
        "{people} people measure rates down to 1 in {rate:,}, and rarer rates are estimated from "
        "those."
    )
    return said.format(
        people=PEOPLE_NEEDED,
        others=PEOPLE_NEEDED - 1,
        pairs=pairs,
        errors=ERRORS_NEEDED,
        rate=pairs // ERRORS_NEEDED,
    )


def census() -> Census:
    ends = _first_and_last()
    people = _counted().order_by().values("user").distinct().count()
    several = sum(first != last for _, first, last in ends)
    return Census(len(ends), several, people - len(ends))


def _counted() -> "QuerySet[Face]":
    return Face.objects.filter(suspended_at=None, user__suspended_at=None)


def _first_and_last() -> list[tuple[UUID, int, int]]:
    """Each person with the oldest and the newest face of which a picture is kept."""
    kept = _counted().filter(crop__isnull=False).order_by().values_list("user")
    return list(kept.annotate(Min("pk"), Max("pk")))


def choose() -> list[int]:
    """The keys of the faces to look at: up to two a person, the ones that lie farthest apart.

    Raises PhotosError if there are too few people.
    """
    if lacks := census().lacks:
        raise PhotosError(lacks)
    everybody = _first_and_last()
    random.shuffle(everybody)
    # Half of the people at most are taken for their two faces.
    several = [row for row in everybody if row[1] != row[2]][: MOST_PEOPLE // 2]
    taken = {user for user, _, _ in several}
    others = [row for row in everybody if row[0] not in taken]
    chosen = [*several, *others[: MOST_PEOPLE - len(several)]]
    return sorted({face for _, first, last in chosen for face in (first, last)})


# --- Pictures to embeddings -----------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """A face, by its key: its embedding with its quality, or why there is none."""

    face: int
    embedding: Floats | None = None
    quality: float = math.nan
    problem: str = ""


def look(faces: Sequence[int], pack: str, *, workers: int = 1) -> Iterator[list[Seen]]:
    """Look at the kept pictures of faces, batch by batch.

    Raises PackError, ImproperlyConfigured.
    """
    return pools.by_batches(_look, faces, pack, size=BATCH, workers=workers)


def _look(faces: Sequence[int], pack: str) -> list[Seen]:
    """What became of a face since it was chosen does not matter: it may be gone."""
    pipeline = engine.pipeline(engine.pack(pack))
    found, seen = {}, []
    for face, sealed in FaceCrop.objects.filter(face__in=faces).values_list("face_id", "sealed"):
        try:
            _, found[face] = kept_pictures.face_in_crop(pipeline, bytes(sealed))
        except UnreadableError as error:
            seen.append(Seen(face, problem=str(error)))
    embedded = pipeline.embed(list(found.values()))
    for face, each in zip(found, embedded, strict=True):
        # No verb compares a misread face, and all of them would be alike.
        seen.append(
            Seen(face, problem=kept_pictures.MISREAD)
            if each.quality.is_misread
            else Seen(face, each.embedding, each.quality.score)
        )
    return seen


@dataclass(frozen=True)
class EnrolledFaces:
    """The faces that were looked at and are still there. A photo's path is the id of its face."""

    folder: EmbeddedFolder
    keys: list[int]  # (N,)
    owners: list[UUID]  # (N,)


def still_there(seen: Sequence[Seen], pack: ModelPack) -> EnrolledFaces:
    """Leaves out who was erased or suspended by now. Raises PhotosError if too few are left."""
    by_key = {each.face: each for each in seen}
    rows = list(_counted().filter(pk__in=list(by_key)).values_list("pk", "face_id", "user_id"))
    nothing = np.zeros(pack.compared_dimensions, np.float32)
    faces = [by_key[key] for key, _, _ in rows]
    vectors = [
        nothing if face.embedding is None else pack.compared(face.embedding[None])[0]
        for face in faces
    ]
    people = {user: number for number, user in enumerate({user: 0 for _, _, user in rows})}
    photos = [Photo(Path(face_id), str(people[user])) for _, face_id, user in rows]
    folder = EmbeddedFolder(
        tuple(photos),
        np.array(vectors, np.float32).reshape(len(rows), -1),
        np.array([face.quality for face in faces]),
        np.array([people[user] for _, _, user in rows], np.int64),
        {photo: face.problem for photo, face in zip(photos, faces, strict=True) if face.problem},
    )
    found = len(np.unique(folder.found().people))
    if found < PEOPLE_NEEDED:
        raise PhotosError(f"The pictures of {found} people show a face that can be used. {why()}")
    return EnrolledFaces(folder, [key for key, _, _ in rows], [user for _, _, user in rows])


# --- Embeddings to what scores mean ---------------------------------------------------------------


def calibrate(enrolled: EnrolledFaces, pack: ModelPack) -> Calibration:
    """Raises PhotosError."""
    found, before = enrolled.folder.found(), calibrations.in_use(pack)
    return calibration.calibrate(
        found.embeddings,
        found.people,
        data=_NAME,
        model_version=pack.model_version,
        # Two faces of a person may come from two files of one photo, which must not move this.
        duplicate_similarity=before.duplicate_similarity if before else _DUPLICATE,
    )


def report(enrolled: EnrolledFaces, pack: ModelPack, measured: Calibration) -> Json:
    """What an operator sees beside the calibration. It names nobody."""
    found = enrolled.folder.found()
    levels = reports.levels(found, ScoreScale(measured))
    title = f"{pack.name} on {_NAME}: {measured.identities:,} people"
    pairs = all_pairs(found.embeddings, found.people)
    return {
        "unread": dict(Counter(enrolled.folder.missed.values())),
        "levels": reports.describe_levels(levels),
        "open_duplicates": open_duplicates(enrolled),
        "chart": charts.det(reports.chart_of(title, pairs, measured, levels)),
    }


def open_duplicates(enrolled: EnrolledFaces) -> int:
    """Pairs of the people measured who wait for a decision whether they are one.

    They count as two people. If they are one, the rates seem higher than they are. Without them the
    rates would seem lower than they are if they are two, and that is the error that lets people in.
    """
    among = {"user_a__in": enrolled.owners, "user_b__in": enrolled.owners}
    return PossibleDuplicate.objects.filter(state=DuplicateState.OPEN, **among).count()


def note_duplicates(enrolled: EnrolledFaces, measured: Calibration) -> int:
    """Note the people who are too alike for two as possible duplicates; how many pairs of faces."""
    scores = ScoreScale(measured)
    doubtful = reports.doubtful_pairs(enrolled.folder, measured)[:_MOST_NOTED]
    for a, b, cosine in doubtful:
        lookalikes.keep_pair(
            enrolled.keys[a],
            str(enrolled.folder.photos[b].path),
            (enrolled.owners[a], enrolled.owners[b]),
            scores.confidence(cosine),
        )
    return len(doubtful)
