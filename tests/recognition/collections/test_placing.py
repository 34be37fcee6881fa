"""A connection looks where the thread works, whatever happens to its transactions."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction
from psycopg.pq import TransactionStatus

from recognition.collections import schemas
from recognition.collections.current import DEFAULT, Entered, entered
from recognition.collections.models import Collection
from recognition.models import User
from recognition.prepared import raw_cursor
from tests.support.servers.schemas import connect, make_collection

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCT = ("recognition", "batch", "management", "facesvc")


@pytest.fixture
def shop() -> Iterator[Entered]:
    """A collection without users, beside `default` with one."""
    User.objects.create()
    made = make_collection("shop")
    yield made
    schemas.drop(made)
    Collection.objects.filter(pk=made.number).delete()


def fail() -> None:
    with connection.cursor() as cursor, suppress(DatabaseError):
        cursor.execute("SELECT 1 / 0")


def test_it_works(shop: Entered) -> None:
    with entered(shop):
        assert User.objects.count() == 0
        with entered(DEFAULT):
            assert User.objects.count() == 1
        assert User.objects.count() == 0


def test_a_cursor_of_psycopg(shop: Entered) -> None:
    """It passes by Django's wrappers, so it turns the connection itself."""
    for collection, users in ((DEFAULT, 1), (shop, 0), (DEFAULT, 1)):
        with entered(collection), raw_cursor() as cursor:
            found = cursor.execute("SELECT count(*) FROM recognition_user").fetchone()
            assert found == (users,)


def test_no_other_cursor_of_psycopg_is_opened() -> None:
    opening = [
        str(path.relative_to(settings.BASE_DIR))
        for package in PRODUCT
        for path in (settings.BASE_DIR / package).rglob("*.py")
        if "psycopg.Cursor(" in path.read_text()
    ]
    assert opening == ["recognition/prepared.py"]


def test_an_error_that_somebody_caught(shop: Entered) -> None:
    """PostgreSQL answers the COMMIT with a ROLLBACK, of the path as well, and with no error."""
    with entered(DEFAULT):
        assert User.objects.count() == 1
    with entered(shop):
        with transaction.atomic():
            fail()
            assert connection.connection.pgconn.transaction_status == TransactionStatus.INERROR
        assert User.objects.count() == 0


def test_an_error_that_somebody_caught_in_a_savepoint(shop: Entered) -> None:
    with entered(shop), transaction.atomic():
        assert User.objects.count() == 0
        with suppress(DatabaseError), entered(DEFAULT), transaction.atomic():
            fail()
        assert User.objects.count() == 0
        with entered(DEFAULT):
            assert User.objects.count() == 1


def test_what_breaks_off_while_the_connection_turns(
    shop: Entered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has the new path then, and nobody knows."""
    assert User.objects.count() == 1
    raw, execute = connection.connection, connection.connection.execute

    def broken_off(*statement: object) -> None:
        execute(*statement)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), entered(shop):
        patched.setattr(raw, "execute", broken_off)
        User.objects.count()
    assert User.objects.count() == 1


def test_a_connection_that_is_lost_while_it_turns(shop: Entered) -> None:
    """It is an error of the database as any other, which passes, and the connection is dropped."""
    assert User.objects.count() == 1
    to = connection.get_connection_params()
    names = {key: to[key] for key in ("dbname", "host", "port", "user", "password") if key in to}
    with connect(**names) as other:
        pid = connection.connection.info.backend_pid
        assert other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone() == (True,)
    with entered(shop):
        with pytest.raises(OperationalError):
            User.objects.count()
        connection.close_if_unusable_or_obsolete()
        assert User.objects.count() == 0
