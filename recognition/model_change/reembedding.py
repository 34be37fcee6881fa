"""Makes the templates for another model or key, without losing a face.

New templates are made beside the old ones, batch by batch; you can repeat it safely. The service
uses the old ones until recognition.model_change.activation activates another version.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from recognition.gallery import indexes
from recognition.inference.arrays import Floats, Image
from recognition.inference.pipeline import DetectedFace
from recognition.models import Face, FaceCrop, Template, User, locks
from recognition.packs import engine, protection
from recognition.packs.engine import Engine
from recognition.privacy import sealing
from recognition.processes import orphans

# Faces in one transaction: few enough that deleting one of them never waits long.
BATCH = 16
# Where FacePipeline.surroundings puts the face, in shares of the crop's side: its box is about half
# of it wide and in the middle. Turned heads lie up to a sixth off (lfw-a); a neighbour's face is
# half a side away or more.
_LEAST_SIDE, _FARTHEST = 0.25, 0.25


@dataclass(frozen=True)
class TemplateTarget:
    """The pack and key that the templates are made for."""

    pack: str
    template_key: str

    @property
    def version(self) -> str:
        return engine.version_of(engine.pack(self.pack), self.template_key)


@dataclass(frozen=True)
class Conversion:
    """The result for one face; `problem` is empty when it has its new template."""

    face_id: str
    problem: str = ""


def missing(version: str) -> QuerySet[Face]:
    """The faces that would be lost if this version were active."""
    return Face.objects.exclude(templates__embedding_version=version)


def reembed(target: TemplateTarget, *, workers: int) -> Iterator[list[Conversion]]:
    """Make the missing templates in `workers` processes; yields the results of each batch."""
    pks = list(missing(target.version).order_by("pk").values_list("pk", flat=True))
    batches = [pks[at : at + BATCH] for at in range(0, len(pks), BATCH)]
    if workers == 1:
        yield from (convert(batch, target) for batch in batches)
        return
    # Spawned, since onnxruntime's threads and the database connection do not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), orphans.set_up) as pool:
        try:
            yield from pool.map(convert, batches, repeat(target))
        finally:
            pool.shutdown(cancel_futures=True)


def convert(pks: list[int], target: TemplateTarget) -> list[Conversion]:
    """Make the templates of some faces, from their templates under another key or their crops."""
    new = engine.load(target.pack, target.template_key)
    indexes.sketch(target.version, new.sketches.centre)
    vectors = _from_other_keys(pks, new)
    problems: dict[int, str] = {}
    made = _from_crops([pk for pk in pks if pk not in vectors], new, problems)
    templates = {pk: new.template(face) for pk, face in made.items()}
    _store({**vectors, **templates}, made, new)
    names = dict(Face.objects.filter(pk__in=pks).values_list("pk", "face_id"))
    return [Conversion(name, problems.get(pk, "")) for pk, name in names.items()]


def _from_other_keys(pks: list[int], new: Engine) -> dict[int, Floats]:
    """Templates of the same model under another known key, rotated to the new key."""
    vectors = {}
    known = {engine.version_of(new.pack, key): key for key in ["", *protection.key_ids()]}
    rows = Template.objects.filter(face__in=pks, embedding_version__in=known)
    for pk, version, embedding in rows.values_list("face_id", "embedding_version", "embedding"):
        stored = np.array(embedding, np.float32)[None]
        plain = protection.reveal(stored, known[version])
        vectors[pk] = protection.protect(plain, new.template_key)[0]
    return vectors


def _from_crops(pks: list[int], new: Engine, problems: dict[int, str]) -> dict[int, DetectedFace]:
    """The faces in the stored crops, embedded and described; `problems` gets why one is missing."""
    sealed = dict(FaceCrop.objects.filter(face__in=pks).values_list("face_id", "sealed"))
    faces = {}
    for pk in pks:
        if pk not in sealed:
            problems[pk] = "no crop was kept"
            continue
        try:
            crop = sealing.unseal_picture(bytes(sealed[pk]))
        except sealing.UnreadableError as error:
            problems[pk] = str(error)
            continue
        face = _kept_face(new.pipeline.detect(crop, rotate=False), crop)
        if face:
            (faces[pk],) = new.pipeline.describe(crop, [face], liveness=False)
        else:
            problems[pk] = "no face was found in the crop"
    embedded = new.embed(list(faces.values()))
    return dict(zip(faces, embedded, strict=True))


def _kept_face(found: list[DetectedFace], crop: Image) -> DetectedFace | None:
    """The face that a crop was kept for: large and in its middle. Others are bystanders."""
    side = crop.shape[0]
    middle = np.array([side, side]) / 2
    fitting = [
        (float(np.linalg.norm(face.centre - middle)), index)
        for index, face in enumerate(found)
        if face.area >= (_LEAST_SIDE * side) ** 2
    ]
    distance, index = min(fitting, default=(np.inf, 0))
    return found[index] if distance <= _FARTHEST * side else None


@transaction.atomic
def _store(vectors: dict[int, Floats], seen: Mapping[int, DetectedFace], new: Engine) -> None:
    # Locked, so that a face that is being deleted is either missing here or takes its new template
    # along; after the users, as everywhere.
    owners = User.objects.filter(faces__in=list(vectors)).values_list("pk", flat=True)
    locks.lock_users(owners)
    alive = list(Face.objects.filter(pk__in=vectors).select_for_update(no_key=True))
    filled = [face for face in alive if face.pk in seen and _fill_in(face, seen[face.pk])]
    Face.objects.bulk_update(filled, ["attributes"])
    Template.objects.bulk_create(
        [
            Template(
                face=face,
                user_id=face.user_id,
                embedding_version=new.template_version,
                model_version=new.pack.model_version,
                embedding=vectors[face.pk].tolist(),
            )
            for face in alive
        ],
        ignore_conflicts=True,  # another worker was here
    )


def _fill_in(face: Face, seen: DetectedFace) -> bool:
    """Add estimates that the model of the enrolment lacked. Returns whether there were any."""
    estimates = {"estimated_age": seen.age, "estimated_gender": seen.gender}
    new = {
        name: value
        for name, value in estimates.items()
        if value is not None and face.attributes.get(name) is None
    }
    face.attributes = {**face.attributes, **new}
    return bool(new)
