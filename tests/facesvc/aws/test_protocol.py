"""Requests, refusals and answers as AWS has them, by boto3 and by hand."""

import base64
import json
import re
from typing import Any

import numpy as np
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.test import Client
from pytest_django import Settings

from facesvc.aws import keys, protocol
from facesvc.aws.keys import Key
from facesvc.aws.operations.table import OPERATIONS
from facesvc.http.middleware import AWS_PATHS
from recognition.models import User
from recognition.processes.slots import OverloadedError
from tests.facesvc.aws.clients import HERE, KEY_ID, SECRET, key_with, rekognition, sender
from tests.support.builders import PICTURE, FakePipeline, row_counts, vector
from tests.support.photos import encode

pytestmark = pytest.mark.django_db
PHOTO = {"Bytes": PICTURE}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def send(
    web: Client, body: bytes, target: str = "RekognitionService.ListUsers", **changes: str
) -> tuple[int, dict[str, Any]]:
    """A request by hand, which boto3 would not send. The changes are made after it was signed."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    request = AWSRequest("POST", "http://testserver/aws/", headers, body)
    SigV4Auth(Credentials(KEY_ID, SECRET), "rekognition", "eu-central-1").add_auth(request)
    for name, value in changes.items():
        request.headers[name.replace("_", "-")] = value
    response = sender(web)(request.prepare())
    return response.status_code, json.loads(response.content)


def test_it_works(aws: Any, fake: FakePipeline) -> None:
    answer = aws.create_user(**HERE, UserId="ann")["ResponseMetadata"]
    assert answer["HTTPStatusCode"] == 200
    assert UUID.fullmatch(answer["RequestId"])
    headers = answer["HTTPHeaders"]
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert headers["cache-control"] == "no-store"


def test_it_is_off_by_default(key: Key, client: Client, settings: Settings) -> None:
    settings.FACESVC_AWS = False
    for path in AWS_PATHS:
        assert client.post(path).status_code == 404
    with pytest.raises(ClientError, match=r"UnknownOperationException.*FACESVC_AWS is not true"):
        rekognition(client).list_collections()


def test_an_address_without_aws(key: Key) -> None:
    """Its path is that of a page, or of nothing: the client is told where it has to go."""
    visitor = Client(enforce_csrf_checks=True)
    headers = {"X-Amz-Target": "RekognitionService.ListCollections"}
    for path in ("/", "/rekognition/", "/api/v1/face-recognition/users"):
        answer = visitor.post(path, "{}", content_type=protocol.CONTENT_TYPE, headers=headers)
        said = json.loads(answer.content)
        assert (answer.status_code, said["__type"]) == (404, "UnknownOperationException")
        assert "at /aws/" in said["message"]


def test_every_operation_of_the_client_model_is_here(aws: Any) -> None:
    """The names and the fields are those of botocore's model of the service."""
    model = aws.meta.service_model
    for name, operation in OPERATIONS.items():
        shape = model.operation_model(name).input_shape
        assert set(operation.needed) == set(shape.required_members), name
        assert set(operation.taken) == set(shape.members) - set(operation.needed) - {"Tags"}, name


# --- who signs ------------------------------------------------------------------------------------


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("key_id", "secret", "code"),
    [
        ("AKIANOBODY", SECRET, "UnrecognizedClientException"),
        (KEY_ID, "another", "InvalidSignatureException"),
    ],
)
def test_a_wrong_key(client: Client, key_id: str, secret: str, code: str) -> None:
    with pytest.raises(ClientError) as error:
        rekognition(client, key_id, secret).list_users(**HERE)
    assert code_of(error) == code
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.usefixtures("key")
def test_temporary_credentials(client: Client) -> None:
    """There are none here."""
    with pytest.raises(ClientError) as error:
        rekognition(client, aws_session_token="x").list_users(**HERE)
    assert code_of(error) == "UnrecognizedClientException"


@pytest.mark.usefixtures("key")
def test_no_signature(client: Client) -> None:
    response = client.post("/aws/", b"{}", content_type="application/x-amz-json-1.1")
    assert response.status_code == 400
    assert response["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    answer = json.loads(response.content)
    assert answer["__type"] == "MissingAuthenticationTokenException"
    assert UUID.fullmatch(response["x-amzn-RequestId"])


@pytest.mark.usefixtures("key")
def test_a_header_that_was_changed_on_the_way(client: Client) -> None:
    body = b'{"CollectionId": "default"}'
    assert send(client, body)[0] == 200
    status, answer = send(client, body, X_Amz_Target="RekognitionService.DeleteCollection")
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")


def test_a_key_without_the_scope(key: Key, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    weak = key_with({"face:identify"})
    monkeypatch.setattr(keys, "find", {KEY_ID: weak}.get)
    aws = rekognition(client)
    with pytest.raises(aws.exceptions.AccessDeniedException, match="face:manage"):
        aws.create_user(**HERE, UserId="ann")
    assert row_counts() == {}


def test_a_key_that_calls_too_often(aws: Any, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 1
    aws.list_users(**HERE)
    refused = aws.exceptions.ProvisionedThroughputExceededException
    with pytest.raises(refused, match=r"its 1 calls of this minute.*--calls-per-minute"):
        aws.list_users(**HERE)


def test_another_collection(aws: Any) -> None:
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        aws.list_users(CollectionId="another")


# --- what is sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("RekognitionService.DetectLabels", "UnknownOperationException"),
        ("OtherService.ListUsers", "UnknownOperationException"),
        ("ListUsers", "UnknownOperationException"),
        ("", "UnknownOperationException"),
    ],
)
@pytest.mark.usefixtures("key")
def test_an_operation_that_there_is_not(client: Client, target: str, code: str) -> None:
    status, answer = send(client, b"{}", target)
    assert (status, answer["__type"]) == (400, code)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b"[]", "SerializationException"),
        (b'{"CollectionId": NaN}', "SerializationException"),
        (b'{"CollectionId": 1}', "SerializationException"),
        (b'{"CollectionId": "default", "MaxResults": "1"}', "SerializationException"),
        (b'{"CollectionId": "default", "MaxResults": true}', "SerializationException"),
        (b'{"CollectionId": "default", "MaxResults": 1.5}', "SerializationException"),
        (b"{}", "InvalidParameterException"),
        (b'{"CollectionId": null}', "InvalidParameterException"),
        (b'{"CollectionId": ""}', "InvalidParameterException"),
        (b'{"CollectionId": "a b"}', "InvalidParameterException"),
        (b'{"CollectionId": "%s"}' % (b"a" * 256), "InvalidParameterException"),
        (b'{"CollectionId": "default", "MaxResults": 501}', "InvalidParameterException"),
        (b'{"CollectionId": "default", "Other": 1}', "InvalidParameterException"),
        (b'{"CollectionId": "default", "X": "%s"}' % (b"a" * 300_000), "SerializationException"),
    ],
)
@pytest.mark.usefixtures("key")
def test_a_body_that_is_refused(client: Client, body: bytes, code: str) -> None:
    status, answer = send(client, body)
    assert (status, answer["__type"]) == (400, code)
    assert answer["message"]


def test_a_field_that_is_null_is_missing(aws: Any, client: Client) -> None:
    assert send(client, b'{"CollectionId": "default", "MaxResults": null}')[0] == 200


@pytest.mark.usefixtures("key")
def test_a_get(client: Client) -> None:
    answer = json.loads(client.get("/aws/").content)
    assert answer["__type"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("index_faces", "Image"),
        ("search_faces_by_image", "Image"),
        ("search_users_by_image", "Image"),
        ("detect_faces", "Image"),
        ("compare_faces", "SourceImage"),
        ("compare_faces", "TargetImage"),
    ],
)
@pytest.mark.parametrize(
    ("image", "name"),
    [
        ({"S3Object": {"Bucket": "bucket", "Name": "n"}}, "InvalidS3ObjectException"),
        ({"Bytes": b"GIF89a" + bytes(100)}, "InvalidImageFormatException"),
        ({"Bytes": b"no picture"}, "InvalidImageFormatException"),
        ({"Bytes": PICTURE[:100]}, "InvalidImageFormatException"),
        ({"Bytes": PICTURE + bytes(2_000_000)}, "ImageTooLargeException"),
        ({}, "InvalidParameterException"),
    ],
)
def test_a_picture_that_is_refused(
    aws: Any,
    fake: FakePipeline,
    settings: Settings,
    operation: str,
    field: str,
    image: dict[str, Any],
    name: str,
) -> None:
    settings.MAX_IMAGE_BYTES = 1_000_000
    fake.show(vector(1))
    fields: dict[str, Any] = {**HERE, field: image}
    if operation == "compare_faces":
        fields = {"SourceImage": PHOTO, "TargetImage": PHOTO, field: image}
    elif operation == "detect_faces":
        fields = {field: image}
    with pytest.raises(getattr(aws.exceptions, name)):
        getattr(aws, operation)(**fields)
    assert row_counts() == {}


def test_a_picture_with_too_many_pixels(aws: Any, fake: FakePipeline, settings: Settings) -> None:
    settings.MAX_IMAGE_PIXELS = 1000
    with pytest.raises(aws.exceptions.ImageTooLargeException):
        aws.detect_faces(Image=PHOTO)


def test_a_picture_that_is_too_small(aws: Any, fake: FakePipeline) -> None:
    tiny = encode(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(aws.exceptions.InvalidParameterException):
        aws.detect_faces(Image={"Bytes": tiny})


@pytest.mark.usefixtures("key")
def test_base64_that_is_none(client: Client, fake: FakePipeline) -> None:
    for text in ("%%%", "%" * 20_000):
        body = json.dumps({"Image": {"Bytes": text}}).encode()
        status, answer = send(client, body, "RekognitionService.DetectFaces")
        assert (status, answer["__type"]) == (400, "SerializationException")


def test_a_long_picture_is_decoded_as_it_comes(aws: Any, fake: FakePipeline) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (400, 400, 3), np.uint8)
    photo = encode(noise)
    assert len(base64.b64encode(photo)) > 64 * 1024
    fake.show(vector(1))
    assert len(aws.detect_faces(Image={"Bytes": photo})["FaceDetails"]) == 1


def test_a_body_that_is_too_long(aws: Any, settings: Settings) -> None:
    settings.MAX_BODY_BYTES = 1000
    with pytest.raises(aws.exceptions.ImageTooLargeException):
        aws.detect_faces(Image={"Bytes": bytes(2000)})


def test_a_body_that_ends_too_early(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: HttpRequest, *_: Any) -> bytes:
        raise UnreadablePostError("gone")

    monkeypatch.setattr(HttpRequest, "read", read)
    with pytest.raises(ClientError, match="SerializationException"):
        aws.list_users(**HERE)


# --- what fails -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("key")
def test_a_process_that_is_full(
    aws: Any, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> HttpResponse:
        raise OverloadedError("places")

    monkeypatch.setattr("recognition.packs.engine.current", full)
    with pytest.raises(aws.exceptions.ThrottlingException):
        aws.detect_faces(Image=PHOTO)


def test_a_fault_of_ours(aws: Any, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    client.raise_request_exception = False
    monkeypatch.setattr("management.naming.create_user", fault)
    with pytest.raises(aws.exceptions.InternalServerError) as error:
        aws.create_user(**HERE, UserId="ann")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_a_refusal_from_outside_of_the_view(aws: Any, client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["elsewhere"]
    with pytest.raises(aws.exceptions.InvalidParameterException):
        aws.list_users(**HERE)


def test_a_refused_request_leaves_nothing(aws: Any) -> None:
    with pytest.raises(ClientError):
        aws.create_user(CollectionId="another", UserId="ann")
    assert not User.objects.exists()
