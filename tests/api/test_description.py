"""The API does what its description says, with good and with bad data: Schemathesis tries it.

`FACESVC_API_EXAMPLES` is how many made-up requests each operation gets, beside those at the edges
of what its description allows.
"""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import hypothesis
import pytest
import schemathesis
from cryptography.fernet import Fernet
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import strategies as st
from pytest_django import Settings
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from batch.models import Job, Kind
from facesvc.wsgi import application
from recognition.descriptions import attributes_of
from recognition.models import Session
from recognition.packs import engine
from tests.api.routes import ROWS
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    PREFIX,
    STRANGER,
    FakePipeline,
    befriend,
    face_of,
    make_face,
    make_group,
    make_user,
    near,
    service_token,
    vector,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
EXAMPLES = int(os.environ.get("FACESVC_API_EXAMPLES", "10"))
FACE_ID, JOB_ID = "face_0123456789ab", "job_0123456789abcdef"
SESSION = "0000000d-0000-4000-8000-000000000004"

# What a schema cannot say: that a text is a picture, and which ids there are.
TEXTS = {
    "picture": [PICTURE_BASE64, "data:image/png;base64," + PICTURE_BASE64],
    "user-id": [str(OWNER), str(FRIEND), "auth0|64f1c0ffee", "42", "a/faces", "ไทย 1", "x" * 128],
    "uuid": [str(OWNER), str(FRIEND), str(STRANGER), "0000000f-0000-4000-8000-00000000000f"],
    "face_id": [FACE_ID, "face_ffffffffffff"],
    "job_id": [JOB_ID, "job_ffffffffffffffff"],
    "session_id": [SESSION, "0000000f-0000-4000-8000-00000000000f"],
    "uri": ["https://example.com/a.jpg"],
    "date-time": ["2024-01-20T10:30:00Z", "2024-01-20T10:30:00.5+07:00"],
    "json": ["{}"],
}
# Refusals of what a description cannot exclude, and fields that depend on other fields.
# `images` and `items` of a form say together what JSON says in one list, whose ids must differ.
# Not every URI is a URL of a picture.
DEPENDENT = {"match_on", "face_group", "processing_options", "X-On-Behalf-Of", "images", "items"}
DEPENDENT |= {"profile_image"}
# Exactly one of `image` and `images` is needed: `oneOf` says so, and Schemathesis tries both, too.
DEPENDENT |= {"image"}
# `images` take no `unique_people`. The faces of a photo must differ, and so must their users.
DEPENDENT |= {"faces", "unique_people"}
UNFORESEEN = {
    *("invalid_cursor", "invalid_callback_url", "invalid_friendship", "invalid_group_name"),
    *("invalid_face_index", "faces_refused"),
}
for _name, _texts in TEXTS.items():
    schemathesis.openapi.format(_name, st.sampled_from(_texts))
schemathesis.openapi.format("binary", st.just(PICTURE))  # the files of a form
schemathesis.openapi.media_type("image/*", st.just(PICTURE))
schemathesis.openapi.media_type("application/x-ndjson", st.just(b'{"group": "hiking"}\n'))


@pytest.fixture(scope="module")
def description() -> Any:
    """What GET /api/schema answers."""
    raw = json.loads(Client().get("/api/schema", {"format": "json"}).content)
    for part in _parts(raw):
        if part.get("in") == "path":
            part["schema"] |= {"format": part["name"]} if part["name"] in TEXTS else {}
            part |= {"example": "hiking"} if part["name"] == "name" else {}
        elif "contentEncoding" in part:
            part["format"] = "picture"
        if "bare picture" in str(part.get("description")) and part.get("in") == "query":
            # See `complete`. Any text will do, since nobody reads it.
            part |= {"name": "unused", "schema": {"type": "string"}}
    generation = GenerationConfig(
        deterministic=True,
        max_examples=EXAMPLES,
        allow_x00=False,  # which is in no text that is taken
        allow_extra_parameters=False,  # in a query, where unknown ones are ignored
    )
    project = ProjectConfig(generation=generation)
    config = schemathesis.Config(projects=ProjectsConfig(default=project))
    schema = schemathesis.openapi.from_dict(raw, config=config)
    schema.app = application
    return schema


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    match value:
        case dict():
            yield value
            for each in value.values():
                yield from _parts(each)
        case list():
            for each in value:
                yield from _parts(each)


@pytest.fixture
def one_connection() -> Iterator[None]:
    """The end of a request closes no connection, as with Django's own test client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def everything(db: None, one_connection: None, fake: FakePipeline, settings: Settings) -> None:
    """One of each thing."""
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    fake.show(near(vector(1), 0.93))
    owner, friend = make_user(OWNER), make_user(FRIEND)
    befriend(owner, friend)
    make_group("hiking", owner, friend)
    attributes = attributes_of(face_of(vector(1)), engine.pack("dlib").detector.landmark_names)
    make_face(owner, vector(1), face_id=FACE_ID, attributes=attributes)
    later = timezone.now() + timedelta(hours=1)
    Session.objects.create(
        pk=SESSION, user=owner, purpose="video_call", level="standard", expires_at=later
    )
    job = Job(job_id=JOB_ID, kind=Kind.IDENTIFY, subject="app", scopes=[], options={})
    job.total, job.deadline_at = 1, later
    job.save()


def excluded(case: schemathesis.Case, response: schemathesis.Response) -> list[Any]:
    """The checks that do not hold for this request."""
    answer = json.loads(response.content) if response.content else {}
    error = answer.get("error", {})
    wrong = set(error.get("details", {}).get("fields", ()))
    if error.get("code") in UNFORESEEN or (wrong and wrong <= DEPENDENT):
        return [positive_data_acceptance]
    if answer.get("data", {}).get("failed"):
        return [negative_data_rejection]  # a bad picture of a batch is the error of its item
    # An empty field of a form is one that is left out, and what has no fields is an empty form.
    is_less = not isinstance(case.body, dict) or "" in case.body.values()
    return [negative_data_rejection] if is_less and "form" in str(case.media_type) else []


OPERATIONS = sorted({(row.path, row.method) for row in ROWS})


def complete(case: schemathesis.Case) -> None:
    """Beside a bare picture the other fields are in the query, which a description cannot say."""
    if (case.media_type or "").startswith("image/") and case.path.endswith(("register", "verify")):
        case.query = {"user_id": str(OWNER)}


def headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {service_token()}"}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_each_operation(everything: None, description: Any, path: str, method: str) -> None:
    def send(case: schemathesis.Case) -> None:
        complete(case)
        with transaction.atomic():  # each request finds everything as it was
            response = case.call(headers=headers())
            transaction.set_rollback(True)
        case.validate_response(
            response, headers=headers(), excluded_checks=excluded(case, response)
        )

    trying = build_operation_test(
        config=description.config,
        operation=description[PREFIX + path][method],
        test_func=send,
        given_kwargs={},
        feedback=NO_FEEDBACK,
    )
    trying()


def test_sequences(everything: None, description: Any) -> None:
    """One request after the other, with what the former ones answered."""

    class Sequence(description.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.before = transaction.savepoint()

        def teardown(self) -> None:
            transaction.savepoint_rollback(self.before)

        def before_call(self, case: schemathesis.Case) -> None:
            complete(case)

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"headers": headers()}

        def validate_response(self, response: Any, case: Any, **kwargs: Any) -> None:
            # A bad value may have been replaced by one that was answered before.
            checks = [negative_data_rejection, *excluded(case, response)]
            # So may a file, which is then no picture.
            if b"unsupported_format" in response.content:
                checks.append(positive_data_acceptance)
            case.validate_response(response, headers=headers(), excluded_checks=checks)

    health = list(HealthCheck)
    Sequence.run(
        settings=hypothesis.settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=health
        )
    )
