"""A request reads nothing of another collection: so its time cannot depend on what is there.

PostgreSQL counts what a transaction has read of each table. No clock is looked at.
"""

from collections import Counter
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connection, transaction
from django.test import Client
from pytest_django import Settings

from recognition.access import SCOPES
from recognition.api.callers import tokens
from recognition.collections.current import Entered, entered, schema_of
from recognition.models import User
from tests.api.routes import ROWS, Ids, Row
from tests.recognition.collections.isolation.filling import begin, fill, nowhere
from tests.recognition.collections.isolation.test_routes import MORE, send
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    make_templates,
    vector,
)
from tests.support.collections.callers import service_of
from tests.support.everywhere import HERS, allow

pytestmark = pytest.mark.django_db
FACES = 5000
# By table, and by that of the large values of each: how often it was looked into, and rows read.
_READ = """
SELECT space.nspname, owner.relname,
    sum(read.seq_scan + coalesce(read.idx_scan, 0)),
    sum(read.seq_tup_read + coalesce(read.idx_tup_fetch, 0))
FROM pg_stat_xact_all_tables read
JOIN pg_class owner ON read.relid IN (owner.oid, owner.reltoastrelid) AND owner.relkind = 'r'
JOIN pg_namespace space ON space.oid = owner.relnamespace
WHERE space.nspname LIKE 'collection%%'
GROUP BY 1, 2
"""
Reads = Counter[tuple[str, str, str]]


def reads() -> Reads:
    """What this transaction has read so far, by schema, table and kind."""
    with connection.cursor() as cursor:
        cursor.execute(_READ)
        found: Reads = Counter()
        for schema, table, looks, rows in cursor.fetchall():
            found[schema, table, "looks"] = int(looks)
            found[schema, table, "rows"] = int(rows)
    return found


def read_by(row: Row, ids: Ids, token: str) -> Reads:
    with transaction.atomic():
        before = reads()
        answer = send(row, ids, token)
        assert answer.status_code < 500, row
        after = reads()
        transaction.set_rollback(True)
    return after - before


def of_others(found: Reads, place: Entered) -> Reads:
    mine = schema_of(place.number)
    return Counter({key: count for key, count in found.items() if key[0] != mine})


@pytest.mark.slow
@pytest.mark.parametrize(("mine", "theirs"), [(0, 1), (1, 2), (1, 0)])
def test_it_works(
    places: list[Entered], fake: FakePipeline, settings: Settings, mine: int, theirs: int
) -> None:
    """Every route, by an admin, with ids of the other one, and with own ones."""
    allow(settings)
    place, full = places[mine], fill(places[theirs], fake)
    own = begin(place)
    fake.show(HERS)
    with entered(place):
        admin = tokens.issue("moderation", [*SCOPES], minutes=5)
    with connection.cursor() as cursor:  # what the rows above have still to be checked for
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    mine_too = {"user_id": own["own_id"], "face_id": own["own_face"], "name": own["own_group"]}
    found: dict[str, Any] = {}
    for row in [*ROWS, *MORE]:
        if row.scope == "face:collections":
            continue  # those that count what is in the others, for services of `default`
        for ids in (full.ids | own, nowhere() | own | mine_too):
            by_all = read_by(row, ids, admin)
            assert by_all or row.path in NEEDS_NONE, row
            if others := of_others(by_all, place):
                found[f"{row.method} {row.path}"] = others
    assert found == {}


# They look for no row.
NEEDS_NONE = {"detect", "compare"}


# --- the size of the other one --------------------------------------------------------------------


def crowd(count: int, first: int = 1) -> None:
    """People of all levels, each with a face."""
    levels = "public", "friends", "private"
    users = [
        User(pk=UUID(int=first + number), privacy_level=levels[number % 3])
        for number in range(count)
    ]
    User.objects.bulk_create(users)
    raw = np.random.default_rng(first).normal(size=(count, 128)).astype(np.float32)
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    make_templates([(user, each, "") for user, each in zip(users, unit, strict=True)])


def verbs() -> list[tuple[str, dict[str, Any]]]:
    scope: dict[str, Any] = {"user_groups": ["public", "friends", "club"]}
    image = {"image": PICTURE_BASE64}
    return [
        ("identify", image),
        ("identify", {**image, "on_behalf_of": str(UUID(int=1)), "search_scope": scope}),
        ("identify", {**image, "search_scope": scope | {"match_on": "user"}}),
        ("identify", {**image, "search_scope": {"scope": "all"}}),
        ("faces/face_000000000001/identify", {}),
        ("verify", {**image, "user_id": str(UUID(int=2))}),
        ("register", {**image, "user_id": str(OWNER)}),
        ("batch-identify", {"images": [{"image_id": "a", **image}]}),
    ]


def work_of(person: Person, path: str, body: dict[str, Any]) -> Reads:
    """What a request reads."""
    with transaction.atomic():
        before = reads()
        assert person.send("post", path, body).status_code < 300, path
        after = reads()
        transaction.set_rollback(True)
    return after - before


@pytest.mark.slow
def test_the_size_of_another_one_changes_nothing(places: list[Entered], fake: FakePipeline) -> None:
    """As many looks and rows, in every table, beside an empty one and beside 5,000 faces."""
    small, large = places[1:]
    with entered(small):
        crowd(50)
    fake.show(vector(3))
    person = service_of(small, Client())
    work = []
    for is_full in (False, True):
        if is_full:
            with entered(large):
                crowd(FACES)
                assert data_of(service_of(large, Client()).get("users", page_size=1))["users"]
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        found = []
        for path, body in verbs():
            work_of(person, path, body)  # what is kept for later is there
            found.append((path, work_of(person, path, body)))
        work.append(found)
    assert work[0] == work[1]
    assert all(of_others(reads_of, small) == Counter() for _, reads_of in work[1])
