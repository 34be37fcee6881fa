"""What botocore signs is what this service reads."""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.http import HttpRequest
from django.test import RequestFactory

from facesvc.aws import signature
from facesvc.aws.errors import AwsError
from facesvc.aws.signature import Signed
from tests.facesvc.aws.clients import KEY_ID, SECRET

BODY = b'{"CollectionId": "caf\\u00e9"}'
HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "RekognitionService.ListFaces",
    "X-Odd": "  two   blanks ",
}
Change = Callable[[AWSRequest], None]


class Ahead(SigV4QueryAuth):
    """Signs an address for BODY. botocore would put the body into the query."""

    def payload(self, request: AWSRequest) -> str:
        return hashlib.sha256(BODY).hexdigest()


class AheadForLong(Ahead):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args, expires=8 * 24 * 3600)


def signed_request(
    *,
    path: str = "/aws/",
    secret: str = SECRET,
    signer: type[SigV4Auth] = SigV4Auth,
    service: str = "rekognition",
    region: str = "eu-central-1",
    context: dict[str, Any] | None = None,
    **headers: str,
) -> AWSRequest:
    given = {**HEADERS, **headers}
    body = b"" if issubclass(signer, Ahead) else BODY
    request = AWSRequest("POST", f"http://testserver{path}", given, body)
    request.context.update(context or {})
    signer(Credentials(KEY_ID, secret), service, region).add_auth(request)
    return request


def received(request: AWSRequest, body: bytes = BODY) -> HttpRequest:
    prepared = request.prepare()
    headers = {str(name): _text(value) for name, value in prepared.headers.items()}
    content_type = headers.pop("Content-Type", "")
    headers.pop("Content-Length", None)
    headers["Host"] = "testserver"
    path = prepared.url.removeprefix("http://testserver")
    return RequestFactory().generic("POST", path, body, content_type, headers=headers)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def check(
    request: AWSRequest, *, body: bytes = BODY, now: datetime | None = None, secret: str = SECRET
) -> Signed:
    arrived = received(request, body)
    signed = Signed.of(arrived)
    digest = hashlib.sha256(body).hexdigest()
    signature.require(signed, secret, arrived, digest, now or datetime.now(UTC))
    return signed


def refusal(request: AWSRequest, **options: Any) -> tuple[str, str]:
    with pytest.raises(AwsError) as error:
        check(request, **options)
    return error.value.name, str(error.value)


def test_it_works() -> None:
    signed = check(signed_request())
    assert signed.access_key_id == KEY_ID
    assert signed.scope[1] == "eu-central-1"


def test_an_example_that_aws_publishes() -> None:
    """The signing key and the signature of the documentation, for a service of another name."""
    signed = Signed("", ("20150830", "us-east-1", "iam"), (), "", "20150830T123600Z")
    request = "\n".join(
        [
            "GET",
            "/",
            "Action=ListUsers&Version=2010-05-08",
            "content-type:application/x-www-form-urlencoded; charset=utf-8",
            "host:iam.amazonaws.com",
            "x-amz-date:20150830T123600Z",
            "",
            "content-type;host;x-amz-date",
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    made = signature._signature(signed, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", request)
    assert made == "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"


@pytest.mark.parametrize("path", ["/aws/", "/aws", "/aws/?b=2&a=%C3%A9%20~&a=", "/aws/?x"])
def test_a_path_and_a_query_are_signed(path: str) -> None:
    check(signed_request(path=path))


def test_an_address_that_was_signed_ahead() -> None:
    request = signed_request(signer=Ahead)
    assert check(request).lasts == timedelta(hours=1)
    assert check(request, now=datetime.now(UTC) + timedelta(minutes=59))
    late = refusal(request, now=datetime.now(UTC) + timedelta(minutes=61))
    assert late[0] == "InvalidSignatureException" and "Signature expired" in late[1]


def test_an_address_signed_for_too_long() -> None:
    assert refusal(signed_request(signer=AheadForLong))[0] == "IncompleteSignatureException"


def test_the_date_may_be_in_the_header_date() -> None:
    check(signed_request(Date="Thu, 01 Jan 1970 00:00:00 GMT"))  # botocore puts its own there


def test_a_repeated_request_is_taken_while_its_date_is() -> None:
    """As AWS does: nothing but the date ends a request."""
    request = signed_request()
    check(request)
    check(request)
    check(request, now=datetime.now(UTC) + timedelta(minutes=4, seconds=50))


@pytest.mark.parametrize(
    ("minutes", "said"), [(5.1, "Signature expired"), (-5.1, "Signature not yet current")]
)
def test_an_old_or_a_future_date(minutes: float, said: str) -> None:
    name, message = refusal(signed_request(), now=datetime.now(UTC) + timedelta(minutes=minutes))
    assert name == "InvalidSignatureException"
    assert message.startswith(said)


def test_a_wrong_secret() -> None:
    name, message = refusal(signed_request(secret="another"))
    assert name == "InvalidSignatureException"
    assert message.startswith("The request signature we calculated does not match")


def test_a_changed_body() -> None:
    assert refusal(signed_request(), body=BODY + b" ")[0] == "InvalidSignatureException"


def test_a_changed_body_of_an_address_that_was_signed_ahead() -> None:
    request = signed_request(signer=Ahead)
    assert refusal(request, body=BODY + b" ")[0] == "InvalidSignatureException"


def test_a_changed_header() -> None:
    request = signed_request()
    request.headers.replace_header("X-Amz-Target", "RekognitionService.DeleteCollection")
    assert refusal(request)[0] == "InvalidSignatureException"


def test_a_header_that_is_not_signed() -> None:
    """A header of AWS changes what a request means."""
    request = signed_request()
    request.headers["X-Amz-More"] = "1"
    name, message = refusal(request)
    assert name == "InvalidSignatureException"
    assert "'x-amz-more' must be a 'SignedHeader'" in message


def test_a_body_that_is_not_signed() -> None:
    """Only S3 takes UNSIGNED-PAYLOAD."""
    request = AWSRequest("POST", "https://testserver/aws/", dict(HEADERS), BODY)
    request.context["payload_signing_enabled"] = False
    SigV4Auth(Credentials(KEY_ID, SECRET), "rekognition", "eu-central-1").add_auth(request)
    assert request.headers["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"
    request.url = "http://testserver/aws/"
    assert refusal(request)[0] == "InvalidSignatureException"


def _without(name: str) -> Change:
    def change(request: AWSRequest) -> None:
        parts = request.headers["Authorization"].split(", ")
        text = ", ".join(part for part in parts if f"{name}=" not in part)
        request.headers.replace_header("Authorization", text)

    return change


def _instead(old: str, new: str) -> Change:
    def change(request: AWSRequest) -> None:
        text = request.headers["Authorization"].replace(old, new)
        request.headers.replace_header("Authorization", text)

    return change


@pytest.mark.parametrize(
    "change",
    [
        _without("Signature"),
        _without("SignedHeaders"),
        _instead("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        _instead("AWS4-HMAC-SHA256", "Bearer"),
        _instead("SignedHeaders=", "SignedHeaders"),
        _instead("/eu-central-1", ""),
    ],
)
def test_a_header_that_lacks_something(change: Change) -> None:
    request = signed_request()
    change(request)
    assert refusal(request)[0] == "IncompleteSignatureException"


@pytest.mark.parametrize("date", ["00010101T000000Z", "99991231T235959Z"])
@pytest.mark.parametrize("signer", [SigV4Auth, Ahead])
def test_the_first_and_the_last_day_that_there_is(date: str, signer: type[SigV4Auth]) -> None:
    request = signed_request(signer=signer)
    today = f"{datetime.now(UTC):%Y%m%d}"
    request.url = re.sub(rf"X-Amz-Date={today}\w+", f"X-Amz-Date={date}", request.url)
    request.url = request.url.replace(f"%2F{today}%2F", f"%2F{date[:8]}%2F")
    if signer is SigV4Auth:
        request.headers.replace_header("X-Amz-Date", date)
        _instead(f"/{today}/", f"/{date[:8]}/")(request)
    name, message = refusal(request)
    assert name == "InvalidSignatureException"
    assert message.startswith("Signature ")


@pytest.mark.parametrize("date", ["", "yesterday", "20260101T1Z", "2026-01-01T00:00:00Z"])
def test_a_date_that_is_none(date: str) -> None:
    request = signed_request()
    request.headers.replace_header("X-Amz-Date", date)
    name, _ = refusal(request)
    assert name in ("IncompleteSignatureException", "InvalidSignatureException")


def test_no_signature() -> None:
    request = signed_request()
    del request.headers["Authorization"]
    assert refusal(request)[0] == "MissingAuthenticationTokenException"


@pytest.mark.parametrize("missing", ["X-Amz-Signature", "X-Amz-Expires", "X-Amz-Date"])
def test_an_address_that_lacks_something(missing: str) -> None:
    request = signed_request(signer=Ahead)
    request.url = request.url.replace(missing, "X-Amz-Other")
    assert refusal(request)[0] == "IncompleteSignatureException"


@pytest.mark.parametrize("key_id", ["", "AKIA%00", "AKIA%F0%9F%98%80", "a" * 200])
def test_a_key_id_that_is_none(key_id: str) -> None:
    """The database refuses some characters, and is not asked for them."""
    request = signed_request(signer=Ahead)
    request.url = request.url.replace(KEY_ID, key_id)
    assert refusal(request)[0] == "IncompleteSignatureException"


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ({"service": "s3"}, "correct service"),
        ({"region": "Mars!"}, "valid region"),
    ],
)
def test_another_scope(scope: dict[str, str], said: str) -> None:
    name, message = refusal(signed_request(**scope))
    assert name == "InvalidSignatureException"
    assert said in message


@pytest.mark.parametrize(("old", "new"), [("aws4_request", "aws5"), ("/202", "/102")])
def test_a_scope_of_another_kind_or_day(old: str, new: str) -> None:
    request = signed_request()
    _instead(old, new)(request)
    assert refusal(request)[0] == "InvalidSignatureException"
