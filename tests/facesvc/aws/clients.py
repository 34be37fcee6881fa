"""boto3 in front of the service in this process: it signs, and reads the answers, as in any app."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config
from django.test import Client

from recognition.access import SCOPES
from recognition.inference.arrays import Floats
from tests.support.builders import PICTURE, FakePipeline

ADDRESS = "http://testserver/aws/"
KEY_ID, SECRET = "AKIAFACESVCTESTS0001", "a secret of the tests, which signs what they send"
HERE = {"CollectionId": "default"}
ALL_SCOPES = frozenset({*SCOPES, "face:collections"})


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
        sent = HeadersDict(dict(response.headers))
        return AWSResponse(request.url, response.status_code, sent, _Raw(response.content))

    return send


def index(client: Any, fake: FakePipeline, *embeddings: Floats) -> list[dict[str, Any]]:
    """Index a picture with these faces, and return them as ListFaces does."""
    fake.show([*embeddings])
    answer = client.index_faces(**HERE, Image={"Bytes": PICTURE})
    return [record["Face"] for record in answer["FaceRecords"]]
