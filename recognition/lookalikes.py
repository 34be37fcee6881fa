"""Possible duplicates: found, kept once a pair, and what becomes of them when users change."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from recognition import erasure
from recognition.duplicates import DuplicateState, PossibleDuplicate
from recognition.engine import Engine
from recognition.inference.arrays import Floats
from recognition.matching import STRICT
from recognition.models import Face, User
from recognition.search import Candidate, Gallery
from recognition.stages import stage
from recognition.statements import statements

# A stranger may match in this share of the searches for one face under two users.
_BACKGROUND_FPIR = 0.01
_MOST = 5  # users whom one face may look like

# One statement, which the ORM cannot say. Who is being erased, merged or moved at this moment is
# left out: nobody waits for anybody here. A pair that is decided stays as it is.
_KEEP = """
WITH users AS MATERIALIZED (
    SELECT id FROM recognition_user WHERE id = ANY(%(users)s)
    ORDER BY id FOR KEY SHARE SKIP LOCKED
), theirs AS MATERIALIZED (
    SELECT id, user_id, face_id FROM recognition_face WHERE face_id = ANY(%(faces)s)
    ORDER BY id FOR KEY SHARE SKIP LOCKED
)
INSERT INTO recognition_possibleduplicate AS known
    (user_a_id, user_b_id, face_a_id, face_b_id, confidence, state, found_at, decided_by)
SELECT least(mine.user_id, theirs.user_id), greatest(mine.user_id, theirs.user_id),
    CASE WHEN mine.user_id < theirs.user_id THEN mine.id ELSE theirs.id END,
    CASE WHEN mine.user_id < theirs.user_id THEN theirs.id ELSE mine.id END,
    confidence, 'open', now(), ''
FROM unnest(%(faces)s::text[], %(confidences)s::float[]) AS found (face_id, confidence)
JOIN theirs USING (face_id)
JOIN users ON users.id = theirs.user_id
JOIN recognition_face mine ON mine.id = %(face)s AND mine.user_id <> theirs.user_id
ORDER BY 1, 2
ON CONFLICT (user_a_id, user_b_id) DO UPDATE SET
    face_a_id = excluded.face_a_id, face_b_id = excluded.face_b_id,
    confidence = excluded.confidence
WHERE known.state = 'open' AND known.confidence < excluded.confidence
"""


def note(active: Engine, face: int, user_id: UUID, template: Floats) -> None:
    """Remember who else strictly matches a user's face (its primary key) with this template (512,).

    In the caller's transaction, which holds the user and the face.
    """
    with stage("search"), statements():
        others = Gallery.of_others(user_id, active)
        least = max(
            active.scores.cosine_of_confidence(STRICT),
            active.scores.cosine_of_fmr(_BACKGROUND_FPIR / max(others.searched, 1)),
        )
        matches = others.nearest(template, least=least, limit=_MOST)
    if matches:
        _keep(active, face, matches)


def _keep(active: Engine, face: int, matches: Sequence[Candidate]) -> None:
    values: dict[str, Any] = {
        "face": face,
        "users": [found.user_id for found in matches],
        "faces": [found.face_id for found in matches],
        "confidences": [round(active.scores.confidence(found.cosine), 4) for found in matches],
    }
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, values)


# --- when users change ----------------------------------------------------------------------------


def forget(sender: type[User], instance: User, **kwargs: object) -> None:
    """A receiver of pre_delete, before the faces go: decisions as well."""
    about = Q(user_a=instance) | Q(user_b=instance)
    _, removed = PossibleDuplicate.objects.filter(about).delete()
    erasure.note(instance, removed)


def forget_face(sender: type[Face], instance: Face, **kwargs: object) -> None:
    """A receiver of pre_delete: what is not decided cannot be shown without both faces."""
    open_ones = PossibleDuplicate.objects.filter(state=DuplicateState.OPEN)
    open_ones.filter(Q(face_a=instance) | Q(face_b=instance)).delete()


def follow_move(face: Face, was: UUID) -> None:
    """A face has another user: whom it looks like may be that user. Decisions are about users."""
    for row in _locked(Q(face_a=face) | Q(face_b=face)):
        if row.state == DuplicateState.OPEN:
            _change_user(row, was, face.user_id)
        else:
            row.forget_face_of(was)
            row.save(update_fields=["face_a", "face_b"])


def follow_merge(user_id: UUID, into: UUID, *, actor: str) -> None:
    """All rows of a user go to the other one; the row of both becomes `same_person`."""
    for row in _locked(Q(user_a=user_id) | Q(user_b=user_id)):
        if row.user_b_id is None:
            row.user_a_id = into
            row.save(update_fields=["user_a"])
        elif row.other_than(user_id) == into:
            row.user_a_id, row.user_b_id = into, None
            decide(row, DuplicateState.SAME_PERSON, actor)
        else:
            _change_user(row, user_id, into)


def _locked(rows: Q) -> list[PossibleDuplicate]:
    return list(PossibleDuplicate.objects.filter(rows).order_by("pk").select_for_update())


def _change_user(row: PossibleDuplicate, was: UUID, now: UUID) -> None:
    """Unless that pair is there already: then a decision wins, and else the better match."""
    other = row.other_than(was)
    if other == now:
        row.delete()  # both faces are of one user
        return
    row.put_user(was, now)
    pair = Q(user_a=row.user_a_id, user_b=row.user_b_id)
    known = next(iter(_locked(pair & ~Q(pk=row.pk))), None)
    if known is None:
        row.save()
    elif known.state == DuplicateState.OPEN and (
        row.state != DuplicateState.OPEN or row.confidence > known.confidence
    ):
        known.delete()
        row.save()
    else:
        row.delete()


def decide(row: PossibleDuplicate, state: str, actor: str) -> None:
    row.state, row.decided_by, row.decided_at = state, actor, timezone.now()
    row.save()
