"""One user's templates in memory, for users in a call, who are compared many times a minute.

What is cached says from which templates it was made. A lookup in the narrow table of listings says
which may be used now. Templates never change, and a deleted or suspended one is not listed: so it
is never compared. It leaves the memory with the next look at its user, or when its time is over and
anything else is cached. The values are made here from our own rows: nothing that a client sent is
ever unpickled.
"""

import hashlib
import time
from collections.abc import Callable
from threading import Lock
from typing import Any
from uuid import UUID

import numpy as np
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.db.models import QuerySet

from recognition.collections.current import here
from recognition.gallery.comparing import Compared
from recognition.gallery.scope import all_listings
from recognition.gallery.statements import NearestAndMean
from recognition.inference.arrays import Floats
from recognition.inference.pipeline import TEMPLATE_DIMENSIONS
from recognition.models import Template
from recognition.packs.engine import Engine
from recognition.prepared import kept
from recognition.processes.slots import stage


class SweptCache(LocMemCache):
    """A cache that drops all expired entries with each new one.

    Django's own drops an expired entry when it is asked for: never, if the user is gone.
    """

    _lock: Lock  # of the base class, as the next two
    _expire_info: dict[str, float | None]
    _delete: Callable[[str], bool]

    def set(self, *args: Any, **options: Any) -> None:
        with self._lock:
            expired = [key for key, at in self._expire_info.items() if at and at < time.time()]
            for key in expired:
                self._delete(key)
        super().set(*args, **options)


@stage("search")
def compare(active: Engine, user_id: UUID, template: Floats) -> Compared | None:
    """The same as gallery.comparing.compare_with_user, from memory."""
    version = active.template_version
    ids = sorted(pk for (pk,) in _listed({"user": user_id}, version=version))
    key = f"{here().number}-{user_id}-{hashlib.sha256(version.encode()).hexdigest()}"
    if not ids:
        caches["templates"].delete(key)
        return None
    made_from, face_ids, data = caches["templates"].get(key) or (None, [], b"")
    if made_from != ids:
        face_ids, data = _load(ids)
        caches["templates"].set(key, (ids, face_ids, data))
    if not face_ids:  # deleted in between
        return None
    vectors = np.frombuffer(data, np.float32).reshape(-1, TEMPLATE_DIMENSIONS)
    cosines = vectors @ template
    best = int(cosines.argmax())
    nearest = NearestAndMean(
        face_ids[best],
        distance=-float(cosines[best]),
        mean_distance=-float(cosines.mean()),
        photo_distance=float(np.linalg.norm(vectors - template, axis=1).min()),
        faces=len(face_ids),
    )
    return Compared.of(active, nearest)


@kept
def _listed(*, version: str) -> QuerySet[Any, Any]:
    return all_listings().comparable_with(version).of_user().values_list("pk")


def _load(ids: list[int]) -> tuple[list[str], bytes]:
    """The ids of faces, and their templates, by the primary keys of these."""
    rows = Template.objects.filter(pk__in=ids).values_list("face__face_id", "embedding")
    found = [(face_id, np.array(embedding, np.float32)) for face_id, embedding in rows]
    return [face_id for face_id, _ in found], b"".join(vector.tobytes() for _, vector in found)
