"""Every operation of the API description can be tried on the page: its examples succeed as they are
sent, as JSON and as a form, and an operation without an example or a summary is named."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from facesvc.openapi import examples, guide
from facesvc.openapi.hooks import FORM, JSON
from management import collections
from recognition.access import SCOPES
from recognition.models import User
from recognition.models.duplicates import PossibleDuplicate
from tests.api.routes import ROWS
from tests.support.builders import PREFIX, data_of, service_token

Schema = dict[str, Any]
pytestmark = pytest.mark.django_db
# What has to be there before the others: the operations, in this order, whose examples make it.
FIRST = {"import_graph": 200, "register": 201, "open_session": 201, "batch_register": 202}


class Operation(NamedTuple):
    method: str
    path: str
    says: Schema

    @property
    def name(self) -> str:
        return str(self.says["operationId"])

    @property
    def content(self) -> Schema:
        content: Schema = self.says.get("requestBody", {}).get("content", {})
        return content


@pytest.fixture
def description(client: Client) -> Schema:
    description: Schema = json.loads(client.get("/api/schema", {"format": "json"}).content)
    return description


def operations(description: Schema) -> Iterator[Operation]:
    for path, methods in description["paths"].items():
        for method, says in methods.items():
            yield Operation(method, path, says)


@pytest.fixture
def operation(description: Schema, path: str, method: str) -> Operation:
    return Operation(method, path, description["paths"][path][method])


@pytest.fixture
def ids(settings: Settings, description: Schema, operation: Operation) -> dict[str, str]:
    """What stands in a path: from the description, or as the service has answered it."""
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.FACESVC_TEMPLATE_KEYS = (Fernet.generate_key().decode(),)
    known = {name: example for name, (_, example) in examples.PATH.items() if example}
    by_name = {each.name: each for each in operations(description)}
    for name, status in FIRST.items():
        if name != operation.name:  # or it would be sent twice
            made = data_of(send(by_name[name], known, *body_of(by_name[name])), status)
            known |= {key: made[key] for key in examples.PATH if key in made}
    if "{collection}" in operation.path:  # the others need not wait for its tables
        collections.make(known["collection"], actor="system")
    pair = sorted(UUID(known[name]) for name in ("user_id", "other_id"))
    first, second = (User.objects.get_or_create(pk=each)[0] for each in pair)
    duplicate = PossibleDuplicate.objects.create(user_a=first, user_b=second, confidence=0.97)
    return known | {"duplicate_id": str(duplicate.pk)}


def send(
    operation: Operation, ids: dict[str, str], body: Any = "", media_type: str = JSON
) -> HttpResponse:
    for name in examples.PATH:
        if f"{{{name}}}" in operation.path:
            assert name in ids, f"say in FIRST which operation makes {name}"
    options: Schema = {} if media_type == FORM else {"content_type": media_type}
    token = service_token("moderation", SCOPES)
    method = getattr(Client(), operation.method)
    answer: HttpResponse = method(
        operation.path.format(**ids), body, headers={"Authorization": f"Bearer {token}"}, **options
    )
    return answer


def body_of(operation: Operation) -> tuple[Any, str]:
    """The example of JSON or of lines, and its type."""
    for media_type, media in operation.content.items():
        if "example" in media:
            return json.dumps(media["example"]), media_type
        if "examples" in media:
            (example,) = media["examples"].values()
            return example["value"], media_type
    return "", JSON


def form_of(operation: Operation, description: Schema) -> Schema:
    """The form as the page fills it in, with a file where the example has a picture."""
    example = operation.content[JSON]["example"]
    name = operation.content[FORM]["schema"]["$ref"].rpartition("/")[2]
    form: Schema = {}
    for key, field in description["components"]["schemas"][name]["properties"].items():
        if field.get("items", field).get("format") == "binary":
            if key not in example:
                continue
            picture = SimpleUploadedFile("face.webp", examples.PICTURE, "image/webp")
            form[key] = [picture] if field["type"] == "array" else picture
        elif (value := field.get("examples", [field.get("default")])[0]) not in ("", None):
            form[key] = value if isinstance(value, str) else json.dumps(value)
    return form


# tests/api/test_routes.py compares the table with the description.
ALL = sorted({(PREFIX + row.path, row.method.lower()) for row in ROWS})


def named(value: str) -> str:
    return value.removeprefix(PREFIX)


def sent_as(operation: Operation, ids: dict[str, str], description: Schema, kind: str) -> Any:
    if kind == FORM:
        return send(operation, ids, form_of(operation, description), FORM)
    if kind == "image/*":
        parameters = operation.says.get("parameters", ())
        query = [each["name"] for each in parameters if each["in"] == "query"]
        asked = "&".join(f"{name}={ids[name]}" for name in query)
        bare = operation._replace(path=f"{operation.path}?{asked}")
        return send(bare, ids, examples.PICTURE, kind)
    return send(operation, ids, *body_of(operation))


@pytest.mark.parametrize(("path", "method"), ALL, ids=named)
def test_it_works(operation: Operation, ids: dict[str, str], description: Schema) -> None:
    """Whatever kind of body is chosen; Django's client sends forms with POST only."""
    kinds = [*operation.content] or [JSON]
    for kind in kinds:
        if kind == FORM and operation.method != "post":
            continue
        with transaction.atomic():  # each finds everything as it was
            answer = sent_as(operation, ids, description, kind)
            transaction.set_rollback(True)
        assert answer.status_code < 300, f"{kind}: {answer.content!r}"


def test_the_examples_fit_together(description: Schema, client: Client) -> None:
    """Who is enrolled by the first example is verified and found by the next ones."""
    by_name = {each.name: each for each in operations(description)}

    def sent(name: str) -> Schema:
        answer: Schema = send(by_name[name], {}, *body_of(by_name[name])).json()["data"]
        return answer

    registered = sent("register")
    assert sent("verify")["is_match"]
    (candidate,) = sent("identify")["candidates"]
    assert candidate["face_id"] == registered["face_id"]
    assert sent("batch_identify")["succeeded"] == 1


@pytest.mark.parametrize(("path", "method"), ALL, ids=named)
def test_an_operation_can_be_understood_and_tried(operation: Operation) -> None:
    says, name = operation.says, operation.name
    hint = f"{name}: give extend_schema of its view"
    assert re.fullmatch(r"[A-Z][^.]{5,70}", says.get("summary", "")), (
        f'{hint} a `summary="..."`: a few words without a full stop'
    )
    assert says["tags"][0] in {each["name"] for each in guide.TAGS} and len(says["tags"]) == 1, (
        f"{hint} one of the tags in facesvc/openapi/guide.py"
    )
    for parameter in says.get("parameters", ()):
        assert parameter["in"] != "path" or parameter["name"] in examples.PATH, (
            f"say in PATH of facesvc/openapi/examples.py where {parameter['name']} comes from"
        )
    assert not operation.content or body_of(operation)[0], (
        f"{name}: put an example of its body into BODIES of facesvc/openapi/examples.py"
    )


def test_no_example_is_left_over(description: Schema) -> None:
    assert set(examples.BODIES) <= {each.name for each in operations(description)}


def test_pictures_are_chosen_as_files(description: Schema) -> None:
    """By the kind of body that the page offers first; a batch takes several."""
    shapes, choosers = description["components"]["schemas"], {}
    for operation in operations(description):
        if FORM in operation.content and operation.content[FORM] != operation.content.get(JSON):
            name = operation.content[FORM]["schema"]["$ref"].rpartition("/")[2]
            files = [
                key + ("[]" if field["type"] == "array" else "")
                for key, field in shapes[name]["properties"].items()
                if field.get("items", field).get("format") == "binary"
            ]
            assert not files or next(iter(operation.content)) == FORM
            choosers[operation.name] = files
    assert {name: " ".join(files) for name, files in choosers.items() if files} == {
        **dict.fromkeys(["register", "verify", "detect", "post_frame"], "image"),
        "identify": "image images[]",
        "register_faces": "image",
        "compare": "image_a image_b",
        **dict.fromkeys(["batch_identify", "batch_register"], "images[]"),
    }
