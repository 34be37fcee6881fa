"""The connection to the database is lost at each statement of a request, and at its end.

The request gets 503. Sent again with its `Idempotency-Key`, it does once what it asks for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connection, connections
from django.db.models import Model
from django.http import HttpResponse
from pytest_django import Settings

from batch.models import Job
from recognition.models import Face, Session
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    refusal,
    vector,
)

pytestmark = pytest.mark.django_db(transaction=True)

Send = Callable[[int], HttpResponse]


@pytest.fixture
def sends(service: Person, fake: FakePipeline, settings: Settings) -> dict[str, Send]:
    """Requests with a number. Two with the same number are the same request."""
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    make_face(make_user(OWNER), vector(0))
    picture = {"image_id": "a", "image": PICTURE_BASE64}
    job = {"images": [picture], "processing_options": {"async": True}}

    def send(path: str, number: int, **fields: Any) -> HttpResponse:
        headers = {"Idempotency-Key": f"{path}-{number}"}
        return service.send("post", path, fields, headers=headers)

    def register(number: int) -> HttpResponse:
        fake.show(vector(number))
        return send("register", number, user_id=str(UUID(int=number)), image=PICTURE_BASE64)

    def verify(number: int) -> HttpResponse:
        fake.show(vector(0))
        return send("verify", number, user_id=str(OWNER), image=PICTURE_BASE64)

    return {
        "register": register,
        "sessions": lambda number: send("sessions", number, user_id=str(OWNER), purpose="login"),
        "batch-identify": lambda number: send("batch-identify", number, **job),
        "verify": verify,
        "users": lambda number: service.put(f"users/{UUID(int=number)}", display_name="Zoe"),
    }


class Cut:
    """Ends the connection, once, before a statement with this number. Is an execute_wrapper."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.happened = False

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self._left -= 1
        if not self._left:
            self.end_connection()
        return execute(sql, params, many, context)

    def end_connection(self) -> None:
        self.happened = True
        mine = connection.connection.info
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [mine.backend_pid])


@contextmanager
def cut_before(number: int) -> Iterator[Cut]:
    cut = Cut(number)
    with connection.execute_wrapper(cut):
        yield cut
    close_old_connections()  # as at the end of a request


@pytest.mark.parametrize(
    ("name", "kind", "statements"),
    [
        ("register", Face, 10),
        ("sessions", Session, 5),
        ("batch-identify", Job, 5),
        ("verify", None, 5),
        ("users", None, 2),
    ],
)
def test_at_each_statement(
    name: str, kind: type[Model] | None, statements: int, sends: dict[str, Send]
) -> None:
    send, before = sends[name], kind.objects.count() if kind else 0  # type: ignore[attr-defined]
    for number in count(1):
        with cut_before(number) as cut:
            answer = send(number)
        if not cut.happened:
            assert answer.status_code < 300
            break
        assert refusal(answer) == (503, "unavailable"), number
        assert int(answer["Retry-After"]) > 0
        assert send(number).status_code < 300
    assert number > statements
    if kind:
        assert kind.objects.count() == before + number  # type: ignore[attr-defined]


def test_the_log_has_one_line_of_it(
    sends: dict[str, Send], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover with many requests would fill the log with tracebacks that say the same."""

    def no_server(parameters: Any) -> None:
        raise psycopg.OperationalError("connection refused\nMultiple connection attempts failed")

    with cut_before(1):
        assert refusal(sends["users"](1)) == (503, "unavailable")
    connection.close()
    with monkeypatch.context() as patch:
        patch.setattr(connection, "get_new_connection", no_server)
        assert refusal(sends["users"](1)) == (503, "unavailable")
    lines = [each for each in caplog.records if each.message.startswith("unavailable")]
    assert [each.exc_info for each in lines] == [None, None]
    assert "terminating connection" in lines[0].message
    assert lines[1].message == "unavailable: connection refused"


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize(("name", "kind"), [("register", Face), ("sessions", Session)])
def test_at_the_commit(
    name: str,
    kind: type[Model],
    is_stored: bool,
    sends: dict[str, Send],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the database knows whether it is stored; the repetition gets the answer either way."""
    database = connections[DEFAULT_DB_ALIAS]
    before, commit, cut = kind.objects.count(), database._commit, Cut(0)  # type: ignore[attr-defined]

    def broken() -> None:
        if cut.happened:
            commit()
            return
        if is_stored:
            commit()
        cut.end_connection()
        with database.wrap_database_errors:
            database.connection.execute("SELECT 1")

    monkeypatch.setattr(database, "_commit", broken)
    answer = sends[name](1)
    assert cut.happened and refusal(answer) == (503, "unavailable")
    close_old_connections()
    again = sends[name](1)
    data_of(again, 201)
    assert ("Idempotent-Replayed" in again) is is_stored
    assert kind.objects.count() == before + 1  # type: ignore[attr-defined]
