"""The locks: who waits for whom, and that there is one place for them."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from recognition.models import Face, User, locks
from recognition.models.locks import One
from recognition.prepared import fetched
from tests.support.builders import FRIEND, OWNER, STRANGER, make_face, make_user, vector
from tests.support.dump import noted
from tests.support.patience import PATIENCE, wait_until
from tests.support.servers import schemas

PRODUCT = ("recognition", "batch", "management", "facesvc")
# What must stand in recognition.models.locks alone.
HAND_MADE = re.compile(
    r"pg_(try_)?advisory|User\.objects[^\n]*select_for_update"
    r"|SELECT \S+ FROM recognition_user [^\"]*FOR (KEY SHARE|UPDATE|NO KEY UPDATE)\""
)


@pytest.mark.django_db
def test_it_works() -> None:
    owner, friend = make_user(OWNER), make_user(FRIEND)
    assert locks.lock_user(OWNER) == owner and locks.lock_user(STRANGER) is None
    both = {OWNER: owner, FRIEND: friend}
    assert locks.lock_users([STRANGER, FRIEND, OWNER]) == both
    assert locks.lock_entirely(FRIEND, OWNER) == both
    assert locks.hold_users([STRANGER, FRIEND]) == {FRIEND}
    assert locks.hold_users([]) == locks.hold_faces(["face_0"]) == set()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "lock", [locks.lock_users, lambda ids: locks.lock_entirely(*ids), locks.hold_users]
)
def test_users_are_locked_in_one_order(lock: Callable[[Any], Any]) -> None:
    with noted() as statements:
        lock([FRIEND, OWNER])
    (sql,) = statements
    assert re.search(r"ORDER BY (\S+\.)?\S*id\S*( ASC)? FOR ", sql)


# Whether a transaction that wants the second lock waits for one that has the first.
WAITS = {
    ("hold", "hold"): False,
    ("change", "hold"): False,
    ("change", "change"): True,
    ("entire", "hold"): True,
    ("hold", "entire"): True,
}
TAKE: dict[str, Callable[[], Any]] = {
    "hold": lambda: locks.hold_users([OWNER]),
    "change": lambda: locks.lock_user(OWNER),
    "entire": lambda: locks.lock_entirely(OWNER),
}
SQL = {"hold": "KEY SHARE", "change": "NO KEY UPDATE", "entire": "UPDATE"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first, second", WAITS)
def test_who_waits_for_whom(first: str, second: str) -> None:
    make_user(OWNER)
    wanted = f"SELECT FROM recognition_user WHERE id = %s FOR {SQL[second]} SKIP LOCKED"
    with (
        schemas.connect(**connection.get_connection_params()) as other,
        transaction.atomic(),
    ):
        TAKE[first]()
        assert (other.execute(wanted, [OWNER]).fetchone() is None) == WAITS[first, second]


@pytest.mark.django_db(transaction=True)
def test_a_face_gets_another_owner_while_its_owner_is_waited_for() -> None:
    """By a merge. Whoever has the face then is locked, before anybody writes for it."""
    face = make_face(make_user(OWNER), vector(1))
    make_user(FRIEND)
    locked, is_over = Event(), Event()

    def convert() -> None:
        with closing(connection), transaction.atomic():
            locks.lock_owners([face.pk])
            locked.set()
            assert is_over.wait(PATIENCE)

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            locks.lock_entirely(OWNER, FRIEND)
            converting = threads.submit(convert)
            wait_until(lambda: fetched("SELECT 1 FROM pg_locks WHERE NOT granted"))
            Face.objects.update(user=FRIEND)
        try:
            assert locked.wait(PATIENCE)
            free = User.objects.select_for_update(no_key=True, skip_locked=True)
            with transaction.atomic():
                assert [user.pk for user in free] == [OWNER]
        finally:
            is_over.set()
        converting.result(PATIENCE)


@pytest.mark.django_db(transaction=True)
def test_there_is_one_at_a_time() -> None:
    def is_free(*of: object) -> bool:
        statement = "SELECT pg_try_advisory_xact_lock(%s)"
        row = other.execute(statement, [locks.number(One.LOGIN, *of)]).fetchone()
        other.rollback()
        return row == (True,)

    with schemas.connect(**connection.get_connection_params()) as other:
        with transaction.atomic():
            locks.wait_for(One.LOGIN, OWNER)
            assert locks.take_if_free(One.LOGIN, OWNER)  # it is ours
            assert not is_free(OWNER) and is_free(FRIEND)
        assert is_free(OWNER)
        with locks.only_process(One.LOGIN) as is_held:
            assert is_held and not is_free()
        assert is_free()


def test_no_two_have_one_number() -> None:
    numbers = [locks.number(each) for each in One]
    numbers += [locks.number(One.LOGIN, *of) for of in (("ab", "c"), ("a", "bc"), ("abc",))]
    assert len(set(numbers)) == len(numbers) == len(One) + 3
    assert all(-(2**63) <= number < 2**63 for number in numbers)


def test_all_of_them_stand_in_one_module() -> None:
    root = Path(settings.BASE_DIR)
    found = {
        str(path.relative_to(root))
        for package in PRODUCT
        for path in (root / package).rglob("*.py")
        if "migrations" not in path.parts and HAND_MADE.search(path.read_text())
    }
    # Who makes the tables of the models cannot import them. Its numbers are pairs, as no other is.
    assert found == {"recognition/models/locks.py", "recognition/collections/schemas.py"}
