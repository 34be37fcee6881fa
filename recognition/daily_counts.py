"""How often something happened on a day: what the first page of the admin shows.

A process counts in memory, and a thread of its own adds the sums to the table every few seconds, in
one statement. So no request writes here, and none waits for another one. A process that ends adds
what it has; one that is killed loses the counts of those seconds.
"""

import logging
import os
import threading
from collections import Counter
from contextlib import suppress
from datetime import date
from functools import partial
from multiprocessing.util import Finalize

from django.db import Error, connection, transaction
from django.utils import timezone

from recognition.collections.current import (
    CollectionGoneError,
    Entered,
    entered,
    here_or_default,
)
from recognition.models import CountedKind

logger = logging.getLogger(__name__)

SECONDS = 5.0  # between two writings of a process
_LABEL_LENGTH = 40
# Sorted by the key, so that two processes that write at once never wait for each other in a circle.
_ADD = """
INSERT INTO recognition_dailycount AS c (day, kind, label, count)
SELECT * FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[])
ON CONFLICT (day, kind, label) DO UPDATE SET count = c.count + excluded.count
"""
Key = tuple[Entered, date, str, str]

# Tests switch this off: the thread's rows would outlive the transaction of a test.
writes_by_itself = True
_lock = threading.Lock()
_counts: Counter[Key] = Counter()
_writer_of = 0  # the process whose writer runs


def note(kind: CountedKind, label: str = "") -> None:
    """Count one more, now. Takes some microseconds, and never the database.

    A request that is refused before its token is known counts in `default`.
    """
    key = (here_or_default(), timezone.localdate(), kind.value, label[:_LABEL_LENGTH])
    with _lock:
        _counts[key] += 1
        is_first = writes_by_itself and _writer_of != os.getpid()
        if is_first:
            _start()


def note_if_stored(kind: CountedKind, label: str = "") -> None:
    """Count one more if the transaction is committed, or at once without a transaction."""
    transaction.on_commit(partial(note, kind, label))


def write() -> None:
    """Add this process's counts to the tables. Raises the database's error, and keeps them then."""
    with _lock:
        taken = Counter(_counts)
        _counts.clear()
    try:
        for collection in {collection for collection, *_ in taken}:
            mine = sorted((key for key in taken if key[0] == collection), key=lambda key: key[1:])
            with suppress(CollectionGoneError), entered(collection):
                _add(mine, [taken[key] for key in mine])
            for key in mine:
                del taken[key]
    except Exception:
        with _lock:
            _counts.update(taken)
        raise


def _add(keys: list[Key], counts: list[int]) -> None:
    days, kinds, labels = (list(column) for column in zip(*(key[1:] for key in keys), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [days, kinds, labels, counts])


def _start() -> None:
    global _writer_of
    _writer_of = os.getpid()
    threading.Thread(target=_write_for_ever, name="daily counts", daemon=True).start()
    # Runs at the end of the program, and at that of a process of multiprocessing, as the queue's.
    Finalize(None, _write_or_log, exitpriority=0)


def _write_for_ever() -> None:
    pause = threading.Event()
    while not pause.wait(SECONDS):
        _write_or_log()


def _write_or_log() -> None:
    try:
        write()
    except Error as error:
        logger.warning("the counts of the day wait for the database: %s", error)
    finally:
        connection.close()  # of this thread


def _forget() -> None:
    """In a forked process: the parent writes what it has counted, and may hold the lock."""
    global _lock
    _lock = threading.Lock()
    _counts.clear()


os.register_at_fork(after_in_child=_forget)
