"""Replaces all templates, for another model or another key, without losing a face.

New templates are made beside the old ones, batch by batch; you can repeat it safely. No request
waits for it: the service uses the old ones until another version is activated. Everything that
changes which version is active runs alone, under `exclusive`. The verbs notice a change by
recognition.packs.serving.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from recognition import audit
from recognition.gallery import indexes
from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import DetectedFace
from recognition.models import (
    ActiveModel,
    AuditEvent,
    Face,
    FaceCrop,
    RecentProbe,
    Template,
    locks,
)
from recognition.models.locks import One
from recognition.packs import calibrations, engine, protection, versions
from recognition.packs.engine import Engine
from recognition.privacy import kept_pictures, sealing
from recognition.processes import pools

# Faces in one transaction: few enough that deleting one of them never waits long.
BATCH = 16
# The most faces enrolled since `reembed` that `activate` converts itself.
_REMAINDER = 20 * BATCH


@dataclass(frozen=True)
class TemplateTarget:
    """The pack and key that the templates are made for."""

    pack: str
    template_key: str

    @property
    def version(self) -> str:
        return versions.version_of(engine.pack(self.pack), self.template_key)


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
    return pools.by_batches(convert, pks, target, size=BATCH, workers=workers)


def convert(pks: list[int], target: TemplateTarget) -> list[Conversion]:
    """Make the templates of some faces, from templates of the same embeddings or from crops."""
    new = engine.load(target.pack, target.template_key)
    indexes.sketch(target.version, new.sketches.centre)
    vectors = _from_templates(pks, new.pack, target)
    problems: dict[int, str] = {}
    made = _from_crops([pk for pk in pks if pk not in vectors], new, problems)
    templates = {pk: new.template(face) for pk, face in made.items()}
    _store({**vectors, **templates}, made, new.pack, target)
    names = dict(Face.objects.filter(pk__in=pks).values_list("pk", "face_id"))
    return [Conversion(name, problems.get(pk, "")) for pk, name in names.items()]


def converted(stored: Floats, version: str, of: ModelPack, target: TemplateTarget) -> Floats:
    """(N, 512) templates for the target from those of the same embeddings in another version:
    under another known key, or with another cohort.
    """
    plain = protection.reveal(stored, versions.key_of(version))
    return engine.templates(of, target.template_key, plain[:, : of.recogniser.dimensions])


def _from_templates(pks: list[int], of: ModelPack, target: TemplateTarget) -> dict[int, Floats]:
    """From templates of the same embeddings, where there are any."""
    vectors = {}
    rows = Template.objects.filter(face__in=pks)
    there = set(rows.values_list("embedding_version", flat=True))
    fitting = [each for each in there if versions.is_same_embedding(each, of)]
    rows = rows.filter(embedding_version__in=fitting)
    for pk, version, embedding in rows.values_list("face_id", "embedding_version", "embedding"):
        stored = np.array([embedding], np.float32)
        (vectors[pk],) = converted(stored, version, of, target)
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
            crop, face = kept_pictures.face_in_crop(new.pipeline, bytes(sealed[pk]))
        except sealing.UnreadableError as error:
            problems[pk] = str(error)
            continue
        (faces[pk],) = new.pipeline.describe(crop, [face], liveness=False)
    embedded = dict(zip(faces, new.embed(list(faces.values())), strict=True))
    misread = [pk for pk, face in embedded.items() if face.quality.is_misread]
    problems.update(dict.fromkeys(misread, kept_pictures.MISREAD))
    return {pk: face for pk, face in embedded.items() if pk not in misread}


@transaction.atomic
def _store(
    vectors: dict[int, Floats],
    seen: Mapping[int, DetectedFace],
    of: ModelPack,
    target: TemplateTarget,
) -> None:
    # Locked, so that a face that is being deleted is either missing here or takes its new template
    # along; after the users, as everywhere.
    locks.lock_owners(list(vectors))
    alive = list(Face.objects.filter(pk__in=vectors).select_for_update(no_key=True))
    filled = [face for face in alive if face.pk in seen and _fill_in(face, seen[face.pk])]
    Face.objects.bulk_update(filled, ["attributes"])
    Template.objects.bulk_create(
        [
            Template(
                face=face,
                user_id=face.user_id,
                embedding_version=versions.version_of(of, target.template_key),
                model_version=of.model_version,
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


# --- Activation -----------------------------------------------------------------------------------


class MissingTemplatesError(Exception):
    def __init__(self, count: int) -> None:
        super().__init__(f"{count} faces have no template of this model")
        self.count = count


class ModelChangeInProgressError(Exception):
    """Another process is changing the model or its key."""


@contextmanager
def exclusive() -> Iterator[None]:
    """Keeps other changes of the model, its key or its templates away.

    Raises ModelChangeInProgressError while another process makes one.
    """
    with locks.only_process(One.MODEL_CHANGE) as is_the_only_one:
        if not is_the_only_one:
            raise ModelChangeInProgressError(
                "another process is changing the model, its key or its templates"
            )
        yield


def active_target() -> TemplateTarget:
    row = engine.active_model()
    return TemplateTarget(row.pack, row.template_key)


def lost_by(target: TemplateTarget) -> QuerySet[Face]:
    """The faces that searches find now and would not find with the target."""
    now = active_target().version
    return missing(target.version).filter(templates__embedding_version=now)


def activate(target: TemplateTarget, *, actor: str, allow_missing: int = 0) -> str:
    """Activate the target; returns the version that was active before. Only under `exclusive`.

    Converts faces that were enrolled since `reembed`. A concurrent enrolment is either stored
    before, and converted, or notices the change and starts again. Raises MissingTemplatesError when
    more than `allow_missing` faces would be lost, and PackError.
    """
    # A pack that cannot be loaded must not become active.
    loaded = engine.load(target.pack, target.template_key)
    indexes.sketch(target.version, loaded.sketches.centre)
    engine.active_model()
    _convert_remainder(target, at_most=_REMAINDER)
    with transaction.atomic():
        row = ActiveModel.objects.select_for_update().get()
        _convert_remainder(target, at_most=BATCH)
        lost = lost_by(target).count()
        if lost > allow_missing:
            raise MissingTemplatesError(lost)
        before = TemplateTarget(row.pack, row.template_key).version
        if row.pack != target.pack:
            row.reason = ""
        row.pack, row.template_key = target.pack, target.template_key
        row.measurement_id = calibrations.measurement_in_use(target.pack)
        row.save()
        details: dict[str, Any] = {"from": before, "to": target.version, "faces_missing": lost}
        audit.note(actor, "model.activate", **details)
    return before


def _convert_remainder(target: TemplateTarget, *, at_most: int) -> None:
    """Convert the faces that are still missing, unless they are too many to be a remainder."""
    pks = list(lost_by(target).order_by("pk").values_list("pk", flat=True)[: at_most + 1])
    if len(pks) <= at_most:
        for at in range(0, len(pks), BATCH):
            convert(pks[at : at + BATCH], target)


def retired_versions() -> list[str]:
    """The stored template versions that were active once and are not now.

    Versions that `reembed` is making for a future model are not among them.
    """
    events = AuditEvent.objects.filter(action="model.activate")
    served = set(events.values_list("details__from", flat=True))
    stored = Template.objects.order_by().values_list("embedding_version", flat=True).distinct()
    return sorted((served & set(stored)) - {active_target().version})


def drop(version: str) -> int:
    """Delete a version's templates for good; returns how many. A worker drops the index.

    Only under `exclusive`. Raises ValueError for the active version.
    """
    if version == active_target().version:
        raise ValueError(f"{version} serves")
    count, _ = Template.objects.filter(embedding_version=version).delete()
    RecentProbe.objects.filter(embedding_version=version).delete()
    return count
