"""Changing the model, or the key of the templates, without losing anybody.

New templates are made beside the old ones, batch by batch and safe to repeat; the service goes on
with the old ones until `activate` changes one row.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from recognition import crops, engine, indexes, protection, reembed_worker
from recognition.engine import Engine
from recognition.inference.arrays import Floats
from recognition.models import ActiveModel, AuditEvent, Face, FaceCrop, Template

# Faces a transaction: few enough that deleting one of them never waits long.
_BATCH = 16


@dataclass(frozen=True)
class Target:
    """What the templates are to become."""

    pack: str
    template_key: str

    @property
    def version(self) -> str:
        return engine.version_of(engine.pack(self.pack), self.template_key)


@dataclass(frozen=True)
class Outcome:
    """What became of one face; `problem` is empty when it has its new template."""

    face_id: str
    problem: str = ""


class MissingTemplatesError(Exception):
    def __init__(self, count: int) -> None:
        super().__init__(f"{count} faces have no template of this model")
        self.count = count


def missing(version: str) -> QuerySet[Face]:
    """The faces that would be lost if this version were active."""
    return Face.objects.exclude(templates__embedding_version=version)


def reembed(target: Target, *, workers: int) -> Iterator[list[Outcome]]:
    """Make what is missing, in `workers` processes; yields what became of each batch."""
    pks = list(missing(target.version).order_by("pk").values_list("pk", flat=True))
    batches = [pks[at : at + _BATCH] for at in range(0, len(pks), _BATCH)]
    if workers == 1:
        yield from (convert(batch, target) for batch in batches)
        return
    # Not forked: onnxruntime's threads and the database connection do not survive a fork.
    count = len(batches)
    with ProcessPoolExecutor(workers, get_context("spawn"), reembed_worker.start) as pool:
        try:
            yield from pool.map(
                reembed_worker.convert,
                batches,
                [target.pack] * count,
                [target.template_key] * count,
            )
        finally:
            pool.shutdown(cancel_futures=True)


def convert(pks: list[int], target: Target) -> list[Outcome]:
    """Make the templates of some faces, from their templates under another key or their crops."""
    new = engine.load(target.pack, target.template_key)
    vectors = _from_other_keys(pks, new)
    problems: dict[int, str] = {}
    made = _from_crops([pk for pk in pks if pk not in vectors], new, problems)
    _store({**vectors, **made}, new)
    names = dict(Face.objects.filter(pk__in=pks).values_list("pk", "face_id"))
    return [Outcome(name, problems.get(pk, "")) for pk, name in names.items()]


def _from_other_keys(pks: list[int], new: Engine) -> dict[int, Floats]:
    """Templates of the same model under a key that we have, turned to the new key."""
    vectors = {}
    known = {engine.version_of(new.pack, key): key for key in ["", *protection.key_ids()]}
    rows = Template.objects.filter(face__in=pks, embedding_version__in=known)
    for pk, version, embedding in rows.values_list("face_id", "embedding_version", "embedding"):
        stored = np.array(embedding, np.float32)[None]
        plain = protection.reveal(stored, known[version])
        vectors[pk] = protection.protect(plain, new.template_key)[0]
    return vectors


def _from_crops(pks: list[int], new: Engine, problems: dict[int, str]) -> dict[int, Floats]:
    """Templates of the faces in the stored crops; why there is none goes into `problems`."""
    sealed = dict(FaceCrop.objects.filter(face__in=pks).values_list("face_id", "sealed"))
    faces = {}
    for pk in pks:
        if pk not in sealed:
            problems[pk] = "no crop was kept"
            continue
        try:
            found = new.pipeline.detect(crops.unseal(bytes(sealed[pk])))
        except crops.UnreadableCropError as error:
            problems[pk] = str(error)
            continue
        if found:
            faces[pk] = found[0]
        else:
            problems[pk] = "no face was found in the crop"
    embedded = new.embed(list(faces.values()))
    return {pk: new.template(face) for pk, face in zip(faces, embedded, strict=True)}


@transaction.atomic
def _store(vectors: dict[int, Floats], new: Engine) -> None:
    # Locked, so that a face deleted meanwhile is either seen here or takes its template along.
    alive = Face.objects.filter(pk__in=vectors).select_for_update(no_key=True)
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


def activate(target: Target, *, actor: str, allow_missing: int = 0) -> str:
    """Serve with the target from now on; the answer is the version that served before.

    Raises MissingTemplatesError when more than `allow_missing` faces would be lost. Enrolments that
    run at this moment either come before, and are counted, or notice the change and begin anew.
    """
    engine.load(target.pack, target.template_key)  # what cannot be loaded must not become active
    indexes.ensure(target.version)
    with transaction.atomic():
        engine.active_model()
        row = ActiveModel.objects.select_for_update().get()
        lost = missing(target.version).count()
        if lost > allow_missing:
            raise MissingTemplatesError(lost)
        before = Target(row.pack, row.template_key).version
        row.pack, row.template_key = target.pack, target.template_key
        row.save()
        AuditEvent.objects.create(
            actor=actor,
            action="model.activate",
            details={"from": before, "to": target.version, "faces_missing": lost},
        )
    return before


def is_still_active(serving: Engine) -> bool:
    """Whether an engine is the active one, and will be until the end of the transaction."""
    # A shared lock, which the ORM cannot ask for: enrolments do not wait for each other.
    (row,) = ActiveModel.objects.raw("SELECT * FROM recognition_activemodel FOR SHARE")
    return (row.pack, row.template_key) == (serving.pack.name, serving.template_key)


def inactive_versions() -> list[str]:
    """The template versions that are stored beside the active one."""
    row = engine.active_model()
    keep = Target(row.pack, row.template_key).version
    stored = Template.objects.order_by().values_list("embedding_version", flat=True).distinct()
    return sorted(stored.exclude(embedding_version=keep))


def drop(version: str) -> int:
    """Drop a version's index and templates; how many templates. There is no way back to it."""
    indexes.drop(version)
    count, _ = Template.objects.filter(embedding_version=version).delete()
    return count
