"""Every route, every method and every kind of caller, by the table in tests/api/routes.py."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from pytest_django import Settings

from batch.models import Job, Kind
from management import collections
from recognition.access import SCOPES
from recognition.models import FaceCrop, PossibleDuplicate, Session
from recognition.privacy import sealing
from tests.api.routes import AWS, METRICS, OPEN, ROWS, Ids, Row
from tests.support.builders import (
    FRIEND,
    OWNER,
    PREFIX,
    STRANGER,
    FakePipeline,
    befriend,
    make_face,
    make_group,
    make_user,
    row_counts,
    service_token,
    user_token,
    vector,
)

pytestmark = pytest.mark.django_db

NOT_ADMIN = SCOPES[:-1]
# A user who is not there, and has nothing.
NOBODY = UUID("0000000f-0000-4000-8000-00000000000f")
MISSING = {
    "user_id": str(NOBODY),
    "other_id": str(NOBODY),
    "face_id": "face_ffffffffffff",
    "name": "no such group",
    "collection": "nothing",
    "session_id": str(NOBODY),
    "job_id": "job_ffffffffffffffff",
    "duplicate_id": "999999999999",
}


@pytest.fixture
def ids(db: None, settings: Settings, fake: FakePipeline, request: pytest.FixtureRequest) -> Ids:
    """One of everything that belongs to OWNER; the face that is shown is nobody's yet."""
    settings.JWT_AUDIENCE = ["facesvc"]
    settings.FACESVC_TEMPLATE_KEYS = (Fernet.generate_key().decode(),)
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    fake.show(vector(2))
    owner, friend, _ = (make_user(user_id) for user_id in (OWNER, FRIEND, STRANGER))
    befriend(owner, friend)
    group = make_group("hiking", owner, friend)
    if "collections" in request.node.name:  # the others need not wait for its tables
        collections.make("shop", actor="system")
    later = timezone.now() + timedelta(hours=1)
    session = Session.objects.create(
        user=owner, purpose="video_call", level="standard", expires_at=later
    )
    job = Job.objects.create(
        kind=Kind.IDENTIFY, subject=str(OWNER), scopes=[], options={}, total=1, deadline_at=later
    )
    face = make_face(owner, vector(1))
    FaceCrop.objects.create(face=face, sealed=sealing.seal(b"a picture"))
    duplicate = PossibleDuplicate.objects.create(user_a=owner, user_b=friend, confidence=0.97)
    return {
        "duplicate_id": str(duplicate.pk),
        "user_id": str(OWNER),
        "other_id": str(FRIEND),
        "face_id": face.face_id,
        "name": group.name,
        "collection": "shop",
        "session_id": str(session.pk),
        "job_id": job.job_id,
    }


def send(row: Row, ids: Ids, token: str | None, method: str = "") -> HttpResponse:
    body = row.body(ids)
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Client(raise_request_exception=False).generic(
        method or row.method,
        PREFIX + row.path.format(**ids),
        data,
        content_type=row.content_type if data else "",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


def told(answer: HttpResponse) -> str:
    """The status, and the code of a refusal."""
    if answer["Content-Type"] == "image/jpeg":
        return str(answer.status_code)
    body = json.loads(answer.content)
    assert body["success"] is (answer.status_code < 400), answer.content
    code = body.get("error", {}).get("code", "")
    return f"{answer.status_code} {code}".rstrip()


def signed(key: str | None = None, algorithm: str = "HS256", **changes: Any) -> str:
    """A token of an admin that is good but for the changes."""
    claims = {"sub": "moderation", "scope": " ".join(SCOPES), "aud": "facesvc"}
    soon = datetime.now(UTC) + timedelta(minutes=5)
    secret = django_settings.JWT_SECRET if key is None else key
    return jwt.encode({**claims, "exp": soon, **changes}, secret or None, algorithm)


def bad_tokens() -> dict[str, tuple[str | None, str]]:
    past = datetime.now(UTC) - timedelta(minutes=5)  # more than the leeway of clocks
    return {
        "no token": (None, "401 not_authenticated"),
        "expired": (signed(exp=past), "401 token_expired"),
        "expired, of another secret": (signed("x" * 64, exp=past), "401 invalid_token"),
        "signed with another secret": (signed("x" * 64), "401 invalid_token"),
        "not signed": (signed("", "none"), "401 invalid_token"),
        "for another audience": (signed(aud="others"), "401 invalid_token"),
        "for no audience": (signed(aud=[]), "401 invalid_token"),
    }


def callers() -> dict[str, str]:
    return {
        "other": user_token(STRANGER, NOT_ADMIN),
        "own": user_token(OWNER, NOT_ADMIN),
        "service": service_token("app", NOT_ADMIN),
        "admin": service_token("moderation", SCOPES),
    }


def by_row(rows: list[Row] = ROWS) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=lambda row: f"{row.method} {row.path}")


@by_row()
def test_each_caller(row: Row, ids: Ids) -> None:
    answers = {}
    for name, token in callers().items():
        with transaction.atomic():  # each finds everything as it was
            answers[name] = told(send(row, ids, token))
            transaction.set_rollback(True)
    assert answers == row.expected


@by_row()
def test_bad_tokens_and_wrong_scopes(row: Row, ids: Ids) -> None:
    before = row_counts()
    for case, (token, expected) in bad_tokens().items():
        assert told(send(row, ids, token)) == expected, case
    for missing in row.scope.split():
        scopes = [scope for scope in SCOPES if scope != missing]
        for token in (user_token(OWNER, scopes), service_token("moderation", scopes)):
            assert told(send(row, ids, token)) == "403 insufficient_scope", missing
    assert row_counts() == before


@by_row()
def test_a_read_only_database_is_no_fault_of_ours(row: Row, ids: Ids) -> None:
    """As that of a standby: what writes gets 503, and what only reads is answered."""
    who = "own" if row.own < "3" else "service" if row.service < "3" else "admin"
    before = row_counts()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")
        answer = send(row, ids, callers()[who])
        transaction.set_rollback(True)
    assert told(answer) in {row.expected[who], "503 unavailable"}
    assert answer.status_code != 503 or int(answer["Retry-After"]) > 0
    assert row_counts() == before


@by_row([row for row in ROWS if row.other > "4"])
def test_what_belongs_to_others_looks_like_what_is_not_there(row: Row, ids: Ids) -> None:
    token = callers()["other"]
    theirs, nobodys = (json.loads(send(row, each, token).content) for each in (ids, MISSING))
    assert theirs["error"] == nobodys["error"]


@by_row()
def test_a_bare_scope_is_enough(row: Row, ids: Ids) -> None:
    """No other scope than the named ones is asked for: nobody has to give away more."""
    scopes = row.scope.split() + (["face:admin"] if row.service == "403 insufficient_scope" else [])
    who = "admin" if row.own == "403 insufficient_scope" else "service"
    assert told(send(row, ids, service_token("app", scopes))) == row.expected[who]


# --- complete by construction ---------------------------------------------------------------------


def routes(
    patterns: list[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    """Every route but those of the admin pages, as in the API description."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield re.sub(r"<\w+:(\w+)>", r"{\1}", path), pattern
        elif pattern.namespace != "admin":
            yield from routes(pattern.url_patterns, path)


ALL_ROUTES = dict(routes(get_resolver().url_patterns))
OURS = {path.removeprefix(PREFIX[1:]): each for path, each in ALL_ROUTES.items() if "/v1/" in path}


def methods_of(pattern: URLPattern) -> set[str]:
    actions = pattern.callback.actions  # type: ignore[attr-defined]
    return {name.upper() for name in actions} - {"HEAD"}  # which test_other_methods asks for


def test_the_table_has_every_method_of_every_route() -> None:
    assert {(method, path) for path, each in OURS.items() for method in methods_of(each)} == {
        (row.method, row.path) for row in ROWS
    }
    assert set(ALL_ROUTES) == {PREFIX[1:] + path for path in OURS} | OPEN | {METRICS} | AWS


def test_each_route_names_its_scope() -> None:
    """A viewset without one answers nobody, but with a fault."""
    named = {}
    for path, pattern in OURS.items():
        view: Any = pattern.callback
        named[path] = view.initkwargs.get("required_scope", view.cls.required_scope)
    assert named == {row.path: row.scope for row in ROWS}


def test_the_api_description_has_the_same(client: Client) -> None:
    schema = json.loads(client.get("/api/schema", {"format": "json"}).content)
    described = [
        (method.upper(), path.removeprefix(PREFIX))
        for path, operations in schema["paths"].items()
        for method in operations
    ]
    assert Counter(described) == Counter({(row.method, row.path) for row in ROWS})


@pytest.mark.parametrize("path", OURS)
def test_other_methods(path: str, ids: Ids) -> None:
    """HEAD is GET without the body, OPTIONS names the methods, and there are no others."""
    rows = {row.method: row for row in ROWS if row.path == path}
    row = next(iter(rows.values()))
    is_of_services = row.scope in {"face:admin", "face:collections"}
    token = callers()["admin" if is_of_services else "own"]
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY", "X"} - set(rows):
        assert told(send(row, ids, token, method)) == "405 method_not_allowed", method
        assert told(send(row, ids, None, method)) == "401 not_authenticated", method
    options = send(row, ids, token, "OPTIONS")
    assert told(options) == "200" and set(rows) <= set(options["Allow"].split(", "))
    assert told(send(row, ids, None, "OPTIONS")) == "401 not_authenticated"
    if "GET" in rows:
        for token in callers().values():
            get, head = (send(rows["GET"], ids, token, method) for method in ("GET", "HEAD"))
            assert (head.status_code, head.content) == (get.status_code, b"")


@pytest.mark.parametrize("path", sorted(OPEN))
def test_open_to_all(client: Client, path: str) -> None:
    for token in [None, "garbage", callers()["other"]]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        assert client.get(f"/{path}", headers=headers).status_code in {200, 302, 503}
