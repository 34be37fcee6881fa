"""How many statements each verb asks of the database, and that the ORM makes them only once.

docs/sizing.md says what they cost.
"""

from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler
from django.http import HttpResponse

from recognition.models import Attempt, RecentProbe
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    befriend,
    data_of,
    make_face,
    make_user,
    near,
    vector,
)
from tests.support.dump import noted
from tests.support.photos import encode

pytestmark = pytest.mark.django_db(transaction=True)

# Prepares one call, and returns what sends it.
Verb = Callable[[Person, FakePipeline], Callable[[], HttpResponse]]
PEOPLE = count(2)


def verify(service: Person, fake: FakePipeline) -> Callable[[], HttpResponse]:
    return lambda: service.post("verify", user_id=OWNER, image=PICTURE_BASE64)


def verify_at_a_device(service: Person, fake: FakePipeline) -> Callable[[], HttpResponse]:
    device = {"device_id": "phone"}
    return lambda: service.post("verify", user_id=OWNER, image=PICTURE_BASE64, metadata=device)


def login(service: Person, fake: FakePipeline) -> Callable[[], HttpResponse]:
    opened = data_of(service.post("sessions", user_id=OWNER), 201)
    metadata = {"session_id": opened["session_id"]}
    Attempt.objects.all().delete()  # or it would be a replay
    RecentProbe.objects.all().delete()
    return lambda: service.post("verify", user_id=OWNER, image=PICTURE_BASE64, metadata=metadata)


def call(service: Person) -> Callable[[int], HttpResponse]:
    """Sends a frame of a new call, another picture for each number."""
    opened = data_of(service.post("sessions", user_id=OWNER, purpose="video_call"), 201)

    def send(number: int) -> HttpResponse:
        path = f"sessions/{opened['session_id']}/frames"
        picture = encode(np.full((48, 64, 3), number, np.uint8))
        return service.send("post", path, picture, content_type="image/png")

    return send


def frame(service: Person, fake: FakePipeline) -> Callable[[], HttpResponse]:
    fake.varies = True
    send = call(service)
    states = [data_of(send(number))["state"] for number in range(1, 4)]
    assert states[-1] == "verified"
    return lambda: send(4)


def frame_of_a_still(service: Person, fake: FakePipeline) -> Callable[[], HttpResponse]:
    """It verifies nobody, so each frame is checked as an attempt is."""
    send = call(service)
    assert data_of(send(1))["state"] == "verifying"
    return lambda: send(2)


def identify(service: Person, fake: FakePipeline) -> Callable[[], HttpResponse]:
    return lambda: service.post("identify", image=PICTURE_BASE64)


def identify_for_a_user(service: Person, fake: FakePipeline) -> Callable[[], HttpResponse]:
    return lambda: service.post("identify", image=PICTURE_BASE64, on_behalf_of=OWNER)


def register(service: Person, fake: FakePipeline) -> Callable[[], HttpResponse]:
    fake.show(vector(next(PEOPLE)))
    return lambda: service.post("register", user_id=uuid4(), image=PICTURE_BASE64)


def compare(service: Person, fake: FakePipeline) -> Callable[[], HttpResponse]:
    return lambda: service.post("compare", image_a=PICTURE_BASE64, image_b=PICTURE_BASE64)


@pytest.fixture(autouse=True)
def gallery(fake: FakePipeline) -> None:
    owner, friend = make_user(OWNER), make_user(FRIEND, "public")
    befriend(owner, friend)
    for user in (owner, friend):
        make_face(user, near(vector(1), 0.97))
    fake.show(vector(1))


@pytest.mark.parametrize(
    ("verb", "statements"),
    [
        (verify, 10),
        (verify_at_a_device, 11),
        (login, 16),
        (frame, 7),
        (frame_of_a_still, 10),
        (identify, 6),
        (identify_for_a_user, 9),
        (register, 14),
        (compare, 1),
    ],
)
def test_it_works(
    service: Person,
    fake: FakePipeline,
    monkeypatch: pytest.MonkeyPatch,
    verb: Verb,
    statements: int,
) -> None:
    by_orm: list[str] = []
    as_sql: Any = SQLCompiler.as_sql

    def note(compiler: Any, *args: Any, **options: Any) -> Any:
        by_orm.append(compiler.query.model.__name__)
        return as_sql(compiler, *args, **options)

    build_filter: Any = Query.build_filter

    def note_filter(query: Any, *args: Any, **options: Any) -> Any:
        by_orm.append(f"a filter of {query.model.__name__}")
        return build_filter(query, *args, **options)

    assert verb(service, fake)().status_code < 300
    send = verb(service, fake)
    monkeypatch.setattr(SQLCompiler, "as_sql", note)
    monkeypatch.setattr(Query, "build_filter", note_filter)  # also of a query that is never asked
    with noted() as asked:
        assert send().status_code < 300
    assert not by_orm
    assert len(asked) == statements, "\n".join(asked)
    assert not [sql for sql in asked if "SAVEPOINT" in sql]
