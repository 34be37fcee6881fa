"""What an enrolment costs the database soon after a checkpoint, without the inference.

    python -m benchmarks.enrolment [--faces 30000] [--hnsw] [--wal-compression off]

New people are enrolled one after the other, under random ids. A checkpoint comes before the first:
the first change of a page after it writes the whole page into the write-ahead log. Each line is the
mean of 200 enrolments. The last lines say what the first 200 wrote of each table and index.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from benchmarks.search.people import MIXED_SHARE, Gallery
from benchmarks.search.server import own_database
from benchmarks.templates import Floats

_ROUNDS, _ENROLMENTS = 4, 200
_SINCE = "SELECT lsn, lsn - %s::pg_lsn FROM pg_current_wal_insert_lsn() AS lsn"
_WROTE = """
SELECT coalesce(relname, 'others') AS name, sum(block_fpi_length), sum(block_data_length)
FROM pg_get_wal_block_info(%s, %s) AS block
LEFT JOIN pg_class ON pg_class.relfilenode = block.relfilenode
GROUP BY 1 ORDER BY sum(block_fpi_length + block_data_length) DESC LIMIT 10
"""


def enrolments(active: Any, embeddings: Floats) -> Iterator[None]:
    """Each step is one enrolment, as a request makes it after it has looked at the picture."""
    from django.db import transaction

    from recognition.enrolment import enrolling
    from recognition.models.user_ids import UserId
    from tests.support.builders import face_of

    for embedding in embeddings:
        user_id = UserId(str(uuid4()))
        request = enrolling.EnrolmentRequest("service:app", user_id)
        is_known = enrolling.is_known(user_id)
        with transaction.atomic():
            user = enrolling.locked(user_id, is_known=is_known)
            enrolling.keep(active, user, face_of(embedding), None, request)
        yield


def measure(faces: int, compression: str | None, *, hnsw: bool) -> None:
    from benchmarks.search import loading, product
    from benchmarks.search.measure import process_clock
    from recognition import daily_counts

    daily_counts.writes_by_itself = False  # or it would write after the database is gone
    active = product.open_engine()
    product.prepare(active)
    gallery = Gallery.draw(faces, seed=1, **product.drawn_like(active.pack))
    loading.LoadedGallery(active.template_version).load(gallery, MIXED_SHARE)
    if hnsw:
        product.build_index(active)
    enrolling = enrolments(active, gallery.newcomers(1 + _ROUNDS * _ENROLMENTS))
    clock = process_clock(loading.backend_pid())
    _ask("CREATE EXTENSION pg_walinspect")
    if compression:
        _ask(f"SET wal_compression = {compression}")
    next(enrolling)  # makes the plans
    _ask("CHECKPOINT")
    ((begin,),) = _ask("SELECT pg_current_wal_insert_lsn()")
    ends = [begin]
    for number in range(_ROUNDS):
        spent = clock()
        for _ in range(_ENROLMENTS):
            next(enrolling)
        milliseconds = (clock() - spent) / _ENROLMENTS * 1000
        ((end, size),) = _ask(_SINCE, ends[-1])
        ends.append(end)
        print(
            f"{number * _ENROLMENTS + 1:>4} to {(number + 1) * _ENROLMENTS}: "
            f"{size / _ENROLMENTS / 1000:5.2f} kB of log, {milliseconds:.2f} ms of CPU"
        )
    for name, pages, rows in _ask(_WROTE, *ends[:2]):
        print(f"{name:<32} pages {pages / _ENROLMENTS:6.0f} bytes, rows {rows / _ENROLMENTS:6.0f}")


def _ask(statement: str, *values: Any) -> list[Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=30_000, help="of the gallery")
    parser.add_argument("--hnsw", action="store_true", help="with the index of large galleries")
    parser.add_argument("--wal-compression", help="of the server, such as off")
    options = parser.parse_args()
    with own_database():
        from recognition.collections.current import DEFAULT, entered

        with entered(DEFAULT):
            measure(options.faces, options.wal_compression, hnsw=options.hnsw)


if __name__ == "__main__":
    main()
