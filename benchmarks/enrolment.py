"""What an enrolment costs the database soon after a checkpoint, without the inference.

    python -m benchmarks.enrolment [--faces 30000] [--wal-compression off]

New people are enrolled one after the other, under random ids, into a gallery without an HNSW index.
A checkpoint comes before the first of them: the first change of a page after it writes the whole
page into the write-ahead log. Each line is the mean of 200 enrolments; the last lines say which
tables and indexes the first 200 wrote of.
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


def measure(faces: int, compression: str | None) -> None:
    from django.db import connection

    from benchmarks.search import loading, product
    from benchmarks.search.measure import process_clock
    from recognition import daily_counts

    daily_counts.writes_by_itself = False  # or it would write after the database is gone
    active = product.open_engine()
    product.prepare(active)
    gallery = Gallery.draw(faces, seed=1, **product.drawn_like(active.pack))
    loading.LoadedGallery(active.template_version).load(gallery, MIXED_SHARE)
    enrolling = enrolments(active, gallery.newcomers(1 + _ROUNDS * _ENROLMENTS))
    clock = process_clock(loading.backend_pid())
    with connection.cursor() as cursor:

        def ask(statement: str, *values: Any) -> Any:
            cursor.execute(statement, values)
            return cursor.fetchall()

        cursor.execute("CREATE EXTENSION pg_walinspect")
        if compression:
            cursor.execute(f"SET wal_compression = {compression}")
        next(enrolling)  # makes the plans
        cursor.execute("CHECKPOINT")
        for number in range(_ROUNDS):
            ((begin,),), spent = ask("SELECT pg_current_wal_insert_lsn()"), clock()
            for _ in range(_ENROLMENTS):
                next(enrolling)
            spent = (clock() - spent) / _ENROLMENTS * 1000
            ((end, size),) = ask(
                "SELECT lsn, lsn - %s::pg_lsn FROM pg_current_wal_insert_lsn() AS lsn", begin
            )
            if not number:
                wrote = ask(_WROTE, begin, end)
            print(
                f"{number * _ENROLMENTS + 1:>4} to {(number + 1) * _ENROLMENTS}: "
                f"{float(size) / _ENROLMENTS / 1000:5.2f} kB of log, {spent:.2f} ms of CPU"
            )
    for name, pages, rows in wrote:
        print(f"{name:<32} pages {pages / _ENROLMENTS:6.0f} bytes, rows {rows / _ENROLMENTS:6.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=30_000, help="of the gallery")
    parser.add_argument("--wal-compression", help="of the server, such as off")
    options = parser.parse_args()
    with own_database():
        from recognition.collections.current import DEFAULT, entered

        with entered(DEFAULT):
            measure(options.faces, options.wal_compression)


if __name__ == "__main__":
    main()
