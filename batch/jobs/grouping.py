"""Ends jobs, and puts the faces of nobody together before, where a job asks for it.

A worker does it when all pictures are done. One transaction stores the people, deletes the
templates and ends the job: if the worker is killed, the next sweep does all of it again. What comes
out follows from the pictures in their order, and from no worker.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import DatabaseError, InterfaceError, transaction

from batch.jobs import jobs, unknown_faces
from batch.jobs.unknown_faces import UnknownFace
from batch.models import Item, Job, UnknownFaces, UnknownPerson
from recognition.identification import unknown_people
from recognition.models import locks
from recognition.models.locks import One
from recognition.packs import engine

logger = logging.getLogger(__name__)


def end(pk: int) -> None:
    """As `jobs.finish`, by a worker: it has the time to group."""
    try:
        _group(pk)
    except (DatabaseError, InterfaceError):
        raise
    except Exception:
        # Files of the networks or a key are missing here, or something is wrong. The sweep tries
        # again, maybe elsewhere. Whatever it is, it must not keep the templates of this job beyond
        # its time, and no other job from its end.
        logger.exception("the unknown people of job %s wait", pk)
    jobs.finish(pk)


@transaction.atomic
def _group(pk: int) -> None:
    job = Job.objects.filter(pk=pk, finished_at=None).first()
    if job is None or job.is_overdue or Item.objects.pending().filter(job=pk).exists():
        return
    kept = list(UnknownFaces.objects.filter(item__job=pk).order_by("item"))
    # Nothing but the advisory lock is held while the worker computes.
    if kept and locks.take_if_free(One.GROUPING, pk):
        _store(pk, kept, _people(kept))


def _people(kept: Sequence[UnknownFaces]) -> list[list[UnknownFace]]:
    """The faces of each person, best first; the person with most pictures first.

    Faces that another model saw cannot be compared. Among too many faces, the best count.
    """
    active = engine.current()
    faces = unknown_faces.opened(
        row for row in kept if row.embedding_version == active.template_version
    )
    best = sorted(range(len(faces)), key=lambda number: -faces[number].quality)
    faces = [faces[number] for number in sorted(best[: unknown_people.MOST_FACES])]
    if not faces:
        return []
    found = unknown_people.grouped(
        np.stack([face.template for face in faces]),
        [face.item for face in faces],
        unknown_people.least_score(active.scores, len(faces)),
    )
    people = [sorted((faces[n] for n in group), key=lambda face: -face.quality) for group in found]
    return sorted(people, key=lambda person: -len(person))


def _store(pk: int, kept: Sequence[UnknownFaces], people: Sequence[Sequence[UnknownFace]]) -> None:
    job = Job.objects.select_for_update().filter(pk=pk, finished_at=None).first()
    rows = UnknownFaces.objects.filter(pk__in=[row.pk for row in kept])
    # The job may have ended since, or its viewer may have been erased.
    if job is None or job.is_overdue or rows.count() < len(kept):
        return
    # No worker has an item of this job any more, so nobody who holds one waits for the job.
    items = {
        item.pk: item for item in Item.objects.filter(job=pk).order_by("pk").select_for_update()
    }
    named = [(f"{job.unknown_prefix}_{number}", each) for number, each in enumerate(people, 1)]
    for unknown_id, person in named:
        for face in person:
            result: Any = items[face.item].result
            result["faces"][face.face_index]["unknown_id"] = unknown_id
    Item.objects.bulk_update([items[row.item_id] for row in kept], ["result"])
    UnknownPerson.objects.bulk_create(
        UnknownPerson(
            job=job,
            unknown_id=unknown_id,
            pictures=len(person),
            best_item_id=person[0].item,
            best_face_index=person[0].face_index,
        )
        for unknown_id, person in named
    )
    job.unknown_people = len(named)
    job.save(update_fields=["unknown_people"])
    rows.delete()
    jobs.finish(pk)
