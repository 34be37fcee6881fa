"""boto3 in front of the service in this process: it signs, and reads the answers, as in any app."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config
from botocore.model import Shape
from django.test import Client
from django.utils import timezone

from facesvc.aws.keys import Key
from recognition.access import SCOPES, Caller
from recognition.api.callers.keys import FoundKey
from recognition.collections.current import DEFAULT
from recognition.collections.models import AccessKey
from recognition.inference.arrays import Floats
from tests.support.builders import PICTURE, FakePipeline

ADDRESS = "http://testserver/aws/"
KEY_ID, SECRET = "AKIAFACESVCTESTS0001", "a secret of the tests, which signs what they send"
MODEL = botocore.session.get_session().get_service_model("rekognition")
HERE = {"CollectionId": "default"}
ALL_SCOPES = frozenset(SCOPES)


def key_with(scopes: Iterable[str]) -> Key:
    """The key of the service `shop`. It was used just now, so nothing is noted."""
    caller = Caller("shop", None, frozenset(scopes))
    ends = (None, False, False)
    return Key(
        KEY_ID, SECRET, FoundKey(AccessKey, KEY_ID, b"", caller, DEFAULT, *ends, timezone.now())
    )


class _Raw:
    """The body of an answer, as botocore reads it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, *args: Any, **options: Any) -> Iterator[bytes]:
        yield self._data


def rekognition(web: Client, key_id: str = KEY_ID, secret: str = SECRET, **options: Any) -> Any:
    """A client of boto3 whose requests go to the service of the test, each one once."""
    client = boto3.client(
        "rekognition",
        endpoint_url=ADDRESS,
        region_name="eu-central-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
        **options,
    )
    client.meta.events.register("before-send.rekognition", sender(web))
    return client


def sender(web: Client) -> Callable[..., AWSResponse]:
    def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        headers = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
            if name != "Content-Length"
        }
        response = web.generic(
            request.method,
            request.url.removeprefix("http://testserver"),
            request.body or b"",
            content_type=headers.pop("Content-Type", ""),
            headers={**headers, "Host": "testserver"},
        )
        if response.status_code == 200:
            name = headers["X-Amz-Target"].rpartition(".")[2]
            require_shape(json.loads(response.content), MODEL.operation_model(name).output_shape)
        sent = HeadersDict(dict(response.headers))
        return AWSResponse(request.url, response.status_code, sent, _Raw(response.content))

    return send


_KINDS: dict[str, Any] = {
    "structure": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "timestamp": (int, float),
}
# Names of models have letters here.
_FREE = {"IndexFacesModelVersion"}


def require_shape(value: Any, shape: Shape, name: str = "") -> None:
    """The value is what the service of AWS answers, by botocore's model: nothing more, nothing
    else. boto3 itself drops what it does not know."""
    assert isinstance(value, _KINDS[shape.type_name]), name
    rules = shape.metadata
    if shape.type_name == "structure":
        assert value.keys() <= shape.members.keys(), name
        for member, each in value.items():
            require_shape(each, shape.members[member], member)
    elif shape.type_name == "list":
        for each in value:
            require_shape(each, shape.member, name)
    elif shape.type_name == "string" and name not in _FREE:
        assert len(value) <= rules.get("max", len(value)), name
        assert re.fullmatch(rules.get("pattern", ".*"), value), name
        assert value in rules.get("enum", [value]), name
    elif shape.type_name in ("integer", "long", "float"):
        assert rules.get("min", value) <= value <= rules.get("max", value), name


def index(client: Any, fake: FakePipeline, *embeddings: Floats) -> list[dict[str, Any]]:
    """Index a picture with these faces, and return them as ListFaces does."""
    fake.show([*embeddings])
    answer = client.index_faces(**HERE, Image={"Bytes": PICTURE})
    return [record["Face"] for record in answer["FaceRecords"]]
