"""The locks of the database, and the one order in which they are taken.

A transaction that takes several of them takes them in this order, so that no two wait for each
other. It may leave out any of them.

1. Advisory locks of what there is one of at a time: the request with an Idempotency-Key, the answer
   to a batch of one user, an import of a graph, a claim of callbacks, the grouping of a
   job's unknown people, a change of the model.
2. Items of batches by their keys, then their jobs. Items of a job without pending ones come after
   the job: no worker holds one.
3. Groups.
4. Users by their ids.
5. The advisory lock for opening sessions of a user, then sessions by their keys, then the advisory
   lock of a login.
6. What else belongs to users, each kind by its keys: counts of failures, faces, friendships,
   memberships, possible duplicates.

Some statements lock rows by SQL of their own, in the same order: the import of a graph
(management.graph.loading), the claim and the storing of items (batch.jobs.work), and the search
for duplicates, which waits for nobody (recognition.enrolment.lookalikes). The erasure of a
collection and its migrations wait for each other (recognition.collections.schemas).
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from recognition.collections.current import here
from recognition.models.people import User
from recognition.prepared import Blank, fetched, kept


def lock_user(user_id: UUID) -> User | None:
    """A user who is going to be changed. Others may still store rows that name the user."""
    return next(iter(_locked({"user": user_id})), None)


@kept
def _locked() -> "QuerySet[User, Any]":
    return User.objects.filter(pk=Blank("user")).select_for_update(no_key=True)


def lock_users(user_ids: "Collection[UUID] | QuerySet[User, UUID]") -> dict[UUID, User]:
    """The users of these who exist, locked as by `lock_user`."""
    rows = User.objects.filter(pk__in=user_ids).order_by("pk").select_for_update(no_key=True)
    return {user.pk: user for user in rows}


def lock_owners(face_keys: Collection[int]) -> None:
    """Lock the users whose faces these are, by the keys of the rows.

    While this waits for one, a merge may give a face to somebody else. Then it begins once more,
    and holds none in between, so that the order of the locks stays.
    """
    owners = User.objects.filter(faces__in=face_keys).order_by().values_list("pk", flat=True)
    while True:
        savepoint = transaction.savepoint()
        locked = lock_users(owners)
        if locked.keys() >= set(owners.all()):
            return transaction.savepoint_commit(savepoint)
        transaction.savepoint_rollback(savepoint)


def lock_entirely(*user_ids: UUID) -> dict[UUID, User]:
    """For an erasure, a merge or a move: the users of these who exist.

    This waits for every transaction that holds one of them (`hold_users`). Later ones wait for it.
    """
    rows = User.objects.filter(pk__in=user_ids).order_by("pk").select_for_update()
    return {user.pk: user for user in rows}


def hold_users(user_ids: Iterable[UUID]) -> set[UUID]:
    """The users of these who exist. None of them is erased before the end of the transaction.

    Changes of the users do not wait. This is the lock that a new row with a foreign key takes by
    itself, but at the end, when other locks have been taken.
    """
    return _hold("SELECT id FROM recognition_user WHERE id", user_ids)


def hold_faces(face_ids: Iterable[str]) -> set[str]:
    """The faces of these that exist. None of them is deleted before the end of the transaction."""
    return _hold("SELECT face_id FROM recognition_face WHERE face_id", face_ids)


def _hold(select: str, ids: Iterable[Any]) -> set[Any]:
    if not (wanted := list(ids)):
        return set()
    # psycopg takes long to write a list.
    what, value = ("= %s", wanted[0]) if len(wanted) == 1 else ("= ANY(%s)", wanted)
    return {found for (found,) in fetched(f"{select} {what} ORDER BY id FOR KEY SHARE", [value])}


class One(StrEnum):
    """What there is one of at a time, by an advisory lock. The values are part of its number."""

    REQUEST = "request"  # with an Idempotency-Key
    WAITING_REQUEST = "waiting request"
    BATCH = "batch"  # that is answered at once, of a user
    IMPORT = "import"
    CLAIM_OF_CALLBACK = "claim of callback"
    GROUPING = "grouping"  # of the unknown people of a job
    MODEL_CHANGE = "model change"
    INDEX = "index"  # HNSW indexes are built or dropped
    MEASUREMENT = "measurement"
    REQUEST_TO_MEASURE = "request to measure"
    OPENING = "opening"  # of a session, of a user and a client
    LOGIN = "login"  # of a user
    COLLECTION = "collection"  # is made


def wait_for(what: One, *of: object) -> None:
    """Wait for the advisory lock, and hold it until the end of the transaction."""
    fetched("SELECT pg_advisory_xact_lock(%s::bigint)", [number(what, *of)])


def take_if_free(what: One, *of: object) -> bool:
    """Take the advisory lock until the end of the transaction, unless somebody has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number(what, *of)])
        return bool(cursor.fetchone()[0])


@contextmanager
def only_process(what: One) -> Iterator[bool]:
    """Hold the advisory lock, over any number of transactions; False if somebody has it.

    The lock belongs to the connection. It ends with a killed process, but not before the server has
    finished that process's statement (such as building an index).
    """
    values = [number(what)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", values)
        is_held = bool(cursor.fetchone()[0])
        try:
            yield is_held
        finally:
            if is_held:
                cursor.execute("SELECT pg_advisory_unlock(%s)", values)


def number(what: One, *of: object) -> int:
    """The number of an advisory lock: 64 bits of a hash, since all of them share one space.

    No two collections wait for each other.
    """
    text = "\n".join([what, str(here().number), *map(str, of)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], signed=True)
