"""What is in another collection answers like what does not exist: every route, every caller."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from recognition.access import SCOPES
from recognition.api.callers import making, tokens
from recognition.collections.current import Entered, entered
from recognition.collections.models import ApiKey
from recognition.models.user_ids import UserId
from tests.api.routes import ROWS, Ids, Row
from tests.api.test_routes import OURS, methods_of
from tests.recognition.collections.isolation.filling import Filled, begin, fill, nowhere
from tests.support.builders import OWNER, PICTURE_BASE64, PREFIX, FakePipeline, vector
from tests.support.dump import noted
from tests.support.everywhere import allow

pytestmark = pytest.mark.django_db

NOT_ADMIN = SCOPES[:-1]


def _image(**more: str) -> Callable[[Ids], dict[str, Any]]:
    """A body with a picture, whose other fields are filled in with the ids."""
    return lambda ids: {"image": PICTURE_BASE64, **_filled_in(more, ids)}


def _fields(**more: Any) -> Callable[[Ids], dict[str, Any]]:
    return lambda ids: _filled_in(more, ids)


def _filled_in(value: Any, ids: Ids) -> Any:
    if isinstance(value, dict):
        return {name: _filled_in(each, ids) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled_in(each, ids) for each in value]
    return value.format(**ids) if isinstance(value, str) else value


def _line(**more: Any) -> Callable[[Ids], bytes]:
    return lambda ids: json.dumps(_filled_in(more, ids)).encode()


def _more(method: str, path: str, body: Any = None, kind: str = "application/json") -> Row:
    return Row(method, path, "", "", "", "", "", body or (lambda ids: None), kind)


_LINES = "application/x-ndjson"
# Requests about somebody of the caller's own collection that name what is in another one.
MORE = [
    _more("GET", "users?q={display_name}"),
    _more("GET", "faces?user_id={user_id}"),
    _more("GET", "faces?face_group={display_name}"),
    _more("GET", "audit?user_id={user_id}"),
    _more("PUT", "users/{own_id}/friends/{user_id}"),
    _more("GET", "users/{own_id}/friends/{user_id}"),
    _more("DELETE", "users/{own_id}/friends/{user_id}"),
    _more("PUT", "groups/{own_group}/members/{user_id}"),
    _more("GET", "groups/{own_group}/members/{user_id}"),
    _more("DELETE", "groups/{own_group}/members/{user_id}"),
    _more("PUT", "groups/{name}/members/{own_id}"),
    _more("POST", "verify", _image(user_id="{own_id}", face_id="{face_id}")),
    _more("POST", "verify", _image(user_id="{user_id}", face_id="{face_id}")),
    _more(
        "POST",
        "identify",
        _image(on_behalf_of="{own_id}", search_scope={"user_groups": ["{name}"]}),
    ),
    _more("POST", "identify", _image(on_behalf_of="{user_id}", search_scope={"scope": "all"})),
    _more("POST", "verify", _image(user_id="{own_id}", metadata={"session_id": "{session_id}"})),
    _more("POST", "users/{own_id}/merge", _fields(into="{user_id}")),
    _more("POST", "users/{user_id}/merge", _fields(into="{own_id}")),
    _more("POST", "faces/{own_face}/move", _fields(user_id="{user_id}")),
    _more("POST", "duplicates/{duplicate_id}", _fields(decision="different_people")),
    _more("POST", "graph", _line(friendship=["{own_id}", "{user_id}"]), _LINES),
    _more("POST", "graph", _line(membership={"group": "{name}", "user_id": "{own_id}"}), _LINES),
    _more("POST", "graph", _line(remove={"user": {"user_id": "{user_id}"}}), _LINES),
]


@pytest.fixture
def others(places: list[Entered], fake: FakePipeline, settings: Settings) -> Iterator[list[Any]]:
    """The first collection is the callers', the second has Zoë."""
    allow(settings)
    fake.show(vector(2))
    yield places


def tokens_of(place: Entered, user_id: str, key: str) -> dict[str, str]:
    """The token of each kind of caller. `the user` is who a request is about."""
    with entered(place):
        return {
            "user": tokens.issue(UserId(str(OWNER)), [*NOT_ADMIN], minutes=5),
            "service": tokens.issue("app", [*NOT_ADMIN], minutes=5),
            "the user": tokens.issue(UserId(user_id), [*NOT_ADMIN], minutes=5),
            "admin": tokens.issue("moderation", [*SCOPES], minutes=5),
            "key": key,
        }


def send(row: Row, ids: Ids, token: str) -> HttpResponse:
    body = row.body(ids)
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    path = row.path.format(**{name: quote(each) for name, each in ids.items()})
    return Client(raise_request_exception=False).generic(
        row.method,
        PREFIX + path,
        data,
        content_type=row.content_type if data else "",
        headers={"Authorization": f"Bearer {token}"},
    )


# What is another one in each answer.
CHANGES = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z|face_[0-9a-f]{12}|job_[0-9a-f]{16}"
    r'|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|"\d+ms"|"search_time_ms": ?[\d.]+'
    r'|"next_cursor": ?"[^"]+"'
)
_SAVEPOINT = re.compile(r"s\d+_x\d+")


def told(row: Row, ids: Ids, token: str) -> tuple[Any, list[str]]:
    """All that a caller can tell of an answer, with the names of ids in place of them; and what the
    database is asked for it."""
    with transaction.atomic():  # each finds everything as it was
        with noted() as asked:
            answer = send(row, ids, token)
        transaction.set_rollback(True)
    text = (
        answer.content.decode("latin-1") if row.path.endswith("crop") else answer.content.decode()
    )
    for name, value in sorted(ids.items(), key=lambda pair: -len(pair[1])):
        # A short number is in any other one, and `default` lists the names of collections.
        if value.isdigit() or (name == "collection" and name not in row.path):
            continue
        for form in {value, quote(value), json.dumps(value)[1:-1]}:
            text = text.replace(form, f"<{name}>")
    headers = {name: value for name, value in answer.headers.items() if name not in _HEADERS}
    statements = [_SAVEPOINT.sub("", sql) for sql in asked]
    return (answer.status_code, CHANGES.sub("-", text), headers), statements


_HEADERS = {"X-Request-ID", "Content-Length"}


def differences(
    place: Entered, rows: list[Row], theirs: Ids, own: Ids
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Answers and statements that are not those for ids of nowhere, by request and caller."""
    scopes = [*making.all_scopes(place.name)]
    _, key = making.make(ApiKey, "app", scopes, collection=place.name, by="test")
    nobodys = {**nowhere(), **own}
    theirs = {**theirs, **own}
    answers, statements = {}, {}
    for row in rows:
        for caller, token in tokens_of(place, nobodys["user_id"], key).items():
            wanted, asked_then = told(row, nobodys, token)
            found, asked_now = told(row, theirs, tokens_of(place, theirs["user_id"], key)[caller])
            if asked_now != asked_then:  # the first has asked what is kept for all others
                wanted, asked_then = told(row, nobodys, token)
            if found != wanted:
                answers[f"{row.method} {row.path} {caller}"] = found, wanted
            if asked_now != asked_then:
                statements[f"{row.method} {row.path} {caller}"] = asked_now, asked_then
    return answers, statements


@pytest.mark.slow
@pytest.mark.parametrize(("callers", "filled"), [(0, 1), (1, 0), (1, 2)])
def test_it_works(others: list[Entered], fake: FakePipeline, callers: int, filled: int) -> None:
    """`default` beside a full one, and another beside a full `default`."""
    place = others[callers]
    full: Filled = fill(others[filled], fake)
    own = begin(place)
    fake.show(vector(2))
    rows = [*ROWS, *MORE]
    if place.is_default:  # whose services look after all collections
        rows = [row for row in rows if row.scope != "face:collections"]
    answers, statements = differences(place, rows, full.ids, own)
    assert answers == {}
    assert statements == {}


def test_the_table_has_every_route() -> None:
    """A new one has to be in it: `tests/api/routes.py` says how it is called."""
    there = {(method, path) for path, each in OURS.items() for method in methods_of(each)}
    assert there == {(row.method, row.path) for row in ROWS}
    named = {name for row in [*ROWS, *MORE] for name in re.findall(r"{(\w+)}", row.path)}
    assert named - {"own_id", "own_face", "own_group"} <= set(nowhere())
