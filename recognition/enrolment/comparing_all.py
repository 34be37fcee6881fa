"""Compares faces with those of all other users, hidden ones too: for possible duplicates."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np

from recognition.gallery import finding
from recognition.gallery.finding import Found
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking
from recognition.gallery.scope import Gallery
from recognition.gallery.statements import searching
from recognition.inference.arrays import Floats
from recognition.packs.engine import Engine
from recognition.packs.scores import STRICT
from recognition.processes.slots import stage

# A stranger may match in this share of the searches for one face under two users.
_BACKGROUND_FPIR = 0.01
_MOST = 5  # users that one face may look like


@stage("search")
def matches(active: Engine, faces: Sequence[tuple[UUID, Any]]) -> list[list[Found]]:
    """Those of other users who match each face, a user with a template (512,), at `strict`.

    A replica has to know every face that is stored by now: a pair that two searches miss is never
    found. Nobody judges what it finds, so ask the primary whether users and faces are still there.
    """
    is_there = asking.wait_for_all(active, asking.moment())
    found = asking.tried(lambda: _matches(active, faces)) if is_there else None
    asking.count(on_replica=found is not None)
    if found is not None:
        return found
    with searching(savepoint=False):
        return _matches(active, faces)


def _matches(active: Engine, faces: Sequence[tuple[UUID, Any]]) -> list[list[Found]]:
    others, found = Gallery.of_everybody(active), []
    for user_id, template in faces:
        others = others.without(user_id)
        found.append(find(others, np.array(template, np.float32)))
    return found


def find(others: Gallery, template: Floats) -> list[Found]:
    """Who of them matches a template (512,)."""
    threshold = others.engine.scores.cut(STRICT, _BACKGROUND_FPIR, others.searched)
    return finding.find(others, SearchProbe(template), threshold, limit=_MOST)
