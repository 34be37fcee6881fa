"""Possible duplicates: how pairs are found and kept, and what happens when their users change.

An enrolment only notes that its face is new. A worker compares it with all others after the commit:
a hint for moderators is worth no time of a caller, and no lock.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from recognition.enrolment import comparing_all
from recognition.gallery.finding import Found
from recognition.models import Face, Template
from recognition.models.duplicates import (
    DuplicateSearch,
    DuplicateState,
    NewFace,
    PossibleDuplicate,
)
from recognition.models.user_ids import NAMELESS
from recognition.packs import engine, serving
from recognition.packs.engine import Engine
from recognition.prepared import fetched, insert

logger = logging.getLogger(__name__)

_AT_ONCE = 100  # templates in a transaction of the search for all

# The ORM cannot express this statement. Users without a name are no people, so that two of them may
# be one. It skips users who are being erased, merged or moved at this moment, so that nothing waits
# here. A decided pair stays as it is.
_KEEP = """
WITH users AS MATERIALIZED (
    SELECT id FROM recognition_user
    WHERE id = ANY(%(users)s) AND (given_id IS NULL OR NOT starts_with(given_id, %(nameless)s))
    ORDER BY id FOR KEY SHARE SKIP LOCKED
), faces AS MATERIALIZED (
    SELECT id, user_id, face_id FROM recognition_face
    WHERE id = %(face)s OR face_id = ANY(%(faces)s)
    ORDER BY id FOR KEY SHARE SKIP LOCKED
), known AS (
    SELECT faces.* FROM faces JOIN users ON users.id = faces.user_id
)
INSERT INTO recognition_possibleduplicate AS pair
    (user_a_id, user_b_id, face_a_id, face_b_id, confidence, state, found_at, decided_by)
SELECT least(mine.user_id, theirs.user_id), greatest(mine.user_id, theirs.user_id),
    CASE WHEN mine.user_id < theirs.user_id THEN mine.id ELSE theirs.id END,
    CASE WHEN mine.user_id < theirs.user_id THEN theirs.id ELSE mine.id END,
    confidence, 'open', now(), ''
FROM unnest(%(faces)s::text[], %(confidences)s::float[]) AS found (face_id, confidence)
JOIN known theirs USING (face_id)
JOIN known mine ON mine.id = %(face)s AND mine.user_id <> theirs.user_id
ORDER BY 1, 2
ON CONFLICT (user_a_id, user_b_id) DO UPDATE SET
    face_a_id = excluded.face_a_id, face_b_id = excluded.face_b_id,
    confidence = excluded.confidence
WHERE pair.state = 'open' AND pair.confidence < excluded.confidence
"""

# These two wait for nobody. While a face is deleted, or its user is erased, merged or gets the face
# of another, it is left for later. The attempt is counted first, in a transaction of its own: a
# face that kills its worker must not be the first one of the next worker.
_CLAIM = """
UPDATE recognition_newface SET
    attempts = attempts + 1,
    next_attempt_at = now() + least(%(longest)s, %(first)s * power(2, least(attempts, 20)))
WHERE face_id = (
    SELECT new.face_id
    FROM recognition_newface AS new
    JOIN recognition_face AS face ON face.id = new.face_id
    JOIN recognition_user AS owner ON owner.id = face.user_id
    WHERE new.next_attempt_at IS NULL OR new.next_attempt_at <= now()
    ORDER BY new.face_id LIMIT 1
    FOR UPDATE OF new SKIP LOCKED FOR KEY SHARE OF face, owner SKIP LOCKED
)
RETURNING face_id, attempts
"""
_TAKE = """
SELECT face.user_id
FROM recognition_newface AS new
JOIN recognition_face AS face ON face.id = new.face_id
JOIN recognition_user AS owner ON owner.id = face.user_id
WHERE new.face_id = %s
FOR UPDATE OF new SKIP LOCKED FOR KEY SHARE OF face, owner SKIP LOCKED
"""
# Between two attempts; the first is longer than a task may take. It doubles.
_FIRST_DELAY, _LONGEST_DELAY = timedelta(minutes=5), timedelta(days=1)


def note_new(face: Face) -> None:
    """Have a worker search for the look-alikes of a face that is stored in this transaction."""
    insert(NewFace(face=face))


def note_named(face: Face) -> None:
    """The same for a face that a person has got in this transaction, and that was nobody's."""
    NewFace.objects.bulk_create([NewFace(face=face)], ignore_conflicts=True)


def have_new() -> bool:
    """Whether there are faces whose look-alikes a worker may search now."""
    return NewFace.objects.due().exists()


def search_next() -> bool:
    """Keep who else matches the next new face at `strict`. Returns whether there was such a face.

    Several processes take different faces. What fails is logged, and tried again later and later: a
    killed worker leaves its face, too. Raises PackError.
    """
    if not have_new():
        return False  # and a worker without pictures loads no networks
    engine.current()  # a machine without the pack tries no face
    if (claimed := _claim()) is None:
        return False
    face, attempt = claimed
    try:
        _search(face)
    except Exception:
        logger.exception("the look-alikes of a new face wait", extra={"attempt": attempt})
    return True


def _claim() -> tuple[int, int] | None:
    """The key of a face, and which attempt it is."""
    delays = {"first": _FIRST_DELAY, "longest": _LONGEST_DELAY}
    return next(iter(fetched(_CLAIM, delays)), None)


@serving.once_more
def _search(face: int) -> None:
    """All of it is one transaction. Does nothing while the face is deleted or moved."""
    active = engine.current()
    with transaction.atomic():
        serving.hold(active)
        for (user_id,) in fetched(_TAKE, [face]):
            # A face that the active model does not have is found by no search, and finds nobody.
            templates = Template.objects.filter(
                face=face, embedding_version=active.template_version
            )
            embeddings = templates.values_list("embedding", flat=True)
            _note(active, [(face, user_id, embedding) for embedding in embeddings])
            NewFace.objects.filter(pk=face).delete()


def _note(active: Engine, rows: Sequence[tuple[int, UUID, Any]]) -> None:
    """Keep who else matches faces: rows of a face's key, its user and its template."""
    if not rows:
        return
    found = comparing_all.matches(active, [(user_id, template) for _, user_id, template in rows])
    for (face, user_id, _), matches in zip(rows, found, strict=True):
        if matches:
            _keep(active, face, user_id, matches)


def _keep(active: Engine, face: int, user_id: UUID, matches: Sequence[Found]) -> None:
    values: dict[str, Any] = {
        "face": face,
        "users": [user_id, *(found.user_id for found in matches)],
        "faces": [found.face_id for found in matches],
        "confidences": [round(active.scores.confidence(found.cosine), 4) for found in matches],
    }
    _execute_keep(values)


def keep_pair(face: int, other: str, users: tuple[UUID, UUID], confidence: float) -> None:
    """Keep a pair that was found by other means: the key of a face, and the id of another one."""
    pair: dict[str, Any] = {"face": face, "faces": [other], "users": list(users)}
    _execute_keep({**pair, "confidences": [round(confidence, 4)]})


def _execute_keep(values: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, {**values, "nameless": NAMELESS})


# --- over the whole gallery -----------------------------------------------------------------------


def begin_search(active: Engine) -> int:
    """Continue an interrupted search, or begin one. Returns how many templates are to come."""
    version = active.template_version
    new = {"embedding_version": version, "started_at": timezone.now()}
    search, _ = DuplicateSearch.objects.get_or_create(pk=1, defaults=new)
    if search.finished_at or search.embedding_version != version:
        DuplicateSearch.objects.update(**new, last_template=0, finished_at=None)
    return _to_come(DuplicateSearch.objects.get()).count()


@transaction.atomic
def search_some(active: Engine) -> int:
    """Search with the next few templates, and keep what is found. Returns how many these were.

    Two processes at once take turns. Faces that are enrolled during the search come last.
    """
    search = DuplicateSearch.objects.select_for_update().get()
    rows = _to_come(search).order_by("pk").values_list("face_id", "user_id", "embedding", "pk")
    some = list(rows[:_AT_ONCE])
    if some:
        _note(active, [row[:3] for row in some])
        search.last_template = some[-1][3]
    else:
        search.finished_at = timezone.now()
    search.save()
    return len(some)


def _to_come(search: DuplicateSearch) -> QuerySet[Template]:
    version = search.embedding_version
    return Template.objects.filter(embedding_version=version, pk__gt=search.last_template)


# --- when users change ----------------------------------------------------------------------------


def forget_face(face: Face) -> None:
    """Deletes undecided pairs of a face: they cannot be shown without it."""
    open_ones = PossibleDuplicate.objects.filter(state=DuplicateState.OPEN)
    open_ones.filter(Q(face_a=face) | Q(face_b=face)).delete()


def follow_move(face: Face, was: UUID) -> None:
    """Follows a face to its new user, who may be the one that it looks like.

    Decisions are about users, and stay."""
    for row in _locked(Q(face_a=face) | Q(face_b=face)):
        if row.state == DuplicateState.OPEN:
            _change_user(row, was, face.user_id)
        else:
            row.forget_face_of(was)
            row.save(update_fields=["face_a", "face_b"])


def follow_merge(user_id: UUID, into: UUID, *, actor: str) -> None:
    """Moves all rows of a user to the other one. The row of both becomes `same_person`."""
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
    """Moves a row to another user. If that pair has a row, a decision or the better match wins."""
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
