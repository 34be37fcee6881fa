"""What an upgrade of the service has to change in the templates that it finds."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from django.utils import timezone

from recognition import audit, model_change
from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import TEMPLATE_DIMENSIONS
from recognition.measuring.here import runs
from recognition.model_change import TemplateTarget
from recognition.models import GalleryCount, locks
from recognition.packs import calibrations, engine, versions
from recognition.prepared import raw_cursor

logger = logging.getLogger(__name__)

# Faces in one transaction. Somebody who deletes one of them waits for a fraction of a second.
_BATCH = 500
# Seconds from one line of the log about the progress to the next.
_BETWEEN_LINES = 5.0

# A face that is being deleted is either missing here, or takes its new template along.
_LOCK_FACES = "SELECT FROM recognition_face WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
# One template of each face that has none of the target yet.
_READ = """
SELECT DISTINCT ON (face.id) face.id, face.user_id, stored.embedding_version, stored.embedding
FROM recognition_face face JOIN recognition_template stored ON stored.face_id = face.id
WHERE face.id = ANY(%s) AND stored.embedding_version = ANY(%s) AND NOT EXISTS (
    SELECT FROM recognition_template made
    WHERE made.face_id = face.id AND made.embedding_version = %s
)
"""
_WRITE = """
COPY recognition_template
    (face_id, user_id, embedding_version, model_version, embedding, created_at)
FROM STDIN (FORMAT BINARY)
"""
_TYPES = ("int8", "uuid", "text", "text", "bytea", "timestamptz")
# What PostgreSQL sends and takes of a halfvec: the number of dimensions, 0, then the numbers.
_HALFVEC = np.dtype([("size", ">i2"), ("unused", ">i2"), ("halves", ">f2", TEMPLATE_DIMENSIONS)])


def carry_over(*, actor: str) -> int:
    """Convert the templates that the active pack made with another cohort, or with none.

    So nobody is lost when an upgrade brings a pack another cohort. Returns how many faces it was.
    It needs no network, so it works where the files of the pack are not here yet.
    Raises PackError, ModelChangeInProgressError.
    """
    carrying = _Carrying.of(model_change.active_target())
    if not carrying.former or not carrying.missing():
        return 0
    with model_change.exclusive():
        pks = carrying.missing()  # once more: another process may have been here
        *batches, last = (pks[at : at + _BATCH] for at in range(0, max(1, len(pks)), _BATCH))
        said, done = time.monotonic(), 0
        for batch in batches:
            carrying.convert(batch)
            done += len(batch)
            if time.monotonic() > said + _BETWEEN_LINES:
                said = time.monotonic()
                logger.info("%d of %d faces have templates of %s", done, len(pks), carrying.version)
        # Together: a process that is killed between them would leave old templates that nobody
        # knows to be retired.
        with transaction.atomic():
            carrying.convert(last)
            for version in carrying.former:
                details: dict[str, Any] = {"from": version, "to": carrying.version}
                audit.note(actor, "model.activate", **details, faces_missing=0)
    return len(pks)


@dataclass(frozen=True)
class _Carrying:
    """The `former` versions of templates, which have the embeddings of the target's pack."""

    pack: ModelPack
    target: TemplateTarget
    version: str
    former: Sequence[str]

    @classmethod
    def of(cls, target: TemplateTarget) -> Self:
        pack, version = engine.pack(target.pack), target.version
        stored = set(GalleryCount.objects.order_by().values_list("embedding_version", flat=True))
        former = [
            each
            for each in stored - {version}
            if versions.is_same_embedding(each, pack)
            and versions.key_of(each) == target.template_key
        ]
        return cls(pack, target, version, former)

    def missing(self) -> list[int]:
        """The primary keys of the faces that the change would lose."""
        lost = model_change.missing(self.version)
        lost = lost.filter(templates__embedding_version__in=self.former)
        return list(lost.order_by("pk").values_list("pk", flat=True).distinct())

    @transaction.atomic
    def convert(self, pks: list[int]) -> None:
        """Make the templates of faces. In binary: as text, a vector takes ten times as long."""
        locks.lock_owners(pks)  # before the faces, as everywhere
        with raw_cursor() as cursor:
            cursor.execute(_LOCK_FACES, [pks])
            cursor.execute(_READ, [pks, self.former, self.version], binary=True)
            rows = cursor.fetchall()
        made: dict[int, tuple[UUID, bytes]] = {}
        for version in self.former:
            of_version = [row for row in rows if row[2] == version]
            vectors = _vectors([row[3] for row in of_version])
            new = model_change.converted(vectors, version, self.pack, self.target)
            owned = zip((row[:2] for row in of_version), _sent(new), strict=True)
            made |= {pk: (user, halves) for (pk, user), halves in owned}
        self._store(made)

    def _store(self, made: dict[int, tuple[UUID, bytes]]) -> None:
        now = timezone.now()
        with connection.cursor() as cursor, cursor.copy(_WRITE) as stream:
            stream.set_types(_TYPES)
            for pk, (user, halves) in sorted(made.items()):
                row = (pk, user, self.version, self.pack.model_version, halves, now)
                stream.write_row(row)


def _vectors(received: Sequence[bytes]) -> Floats:
    """(N, 512) from what PostgreSQL sends of each."""
    halves = np.frombuffer(b"".join(received), _HALFVEC)["halves"]
    return halves.astype(np.float32)


def _sent(vectors: Floats) -> list[bytes]:
    """The inverse of `_vectors`."""
    rows = np.zeros(len(vectors), _HALFVEC)
    rows["size"], rows["halves"] = TEMPLATE_DIMENSIONS, vectors
    return [row.tobytes() for row in rows]


def release_measurement(*, actor: str) -> None:
    """Let scores mean what pack.yaml says, if what is in use was measured with another version.

    It counts no longer in any case; no page should say that it does.
    """
    row = engine.active_model()
    is_old = calibrations.measured(engine.pack(row.pack), row.measurement_id) is None
    if row.measurement_id and is_old:
        runs.return_to_pack(row.pack, actor=actor)
