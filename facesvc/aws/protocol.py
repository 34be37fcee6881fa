"""The protocol of AWS JSON 1.1: one address, the operation in a header, JSON both ways."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from facesvc.aws import keys, signature
from facesvc.aws.errors import AwsError, not_found, translated
from facesvc.aws.keys import Key
from facesvc.aws.operations.calls import Answer
from facesvc.aws.operations.table import OPERATIONS
from facesvc.aws.signature import Signed
from facesvc.http.middleware import AWS_PATHS
from recognition import daily_counts, strict_json
from recognition.api import base64_text
from recognition.collections.current import CollectionGoneError, enter
from recognition.errors import ServiceError
from recognition.inference.images import ImageError
from recognition.models import CountedKind
from recognition.processes import capacity
from recognition.processes.current_request import current
from recognition.strict_json import PacedBody

CONTENT_TYPE = "application/x-amz-json-1.1"
REQUEST_ID = "x-amzn-RequestId"
_TARGET = "RekognitionService."
_IS_OFF = "This service answers no operations of Rekognition: FACESVC_AWS is not true."
# What a body may have beside its pictures: 4096 ids of faces are 160 KB.
_MOST_OTHER_BYTES = 256 * 1024
_PIECE = 64 * 1024
_SERVER_FAULTS = {"InternalServerError"}


@csrf_exempt  # it reads no cookie
def view(request: HttpRequest) -> HttpResponse:
    if not settings.FACESVC_AWS:
        return refusal(AwsError("UnknownOperationException", _IS_OFF), 404)
    try:
        return _answer(_answered(request))
    except AwsError as error:
        return refusal(error)
    except CollectionGoneError:  # since the request began
        return refusal(not_found("The collection does not exist"))
    except UnreadablePostError:  # the client has gone
        return refusal(AwsError("SerializationException", "The body is incomplete."))
    except (ServiceError, ImageError) as error:
        daily_counts.note(CountedKind.REFUSAL, error.code)
        return refusal(translated(error))
    finally:
        capacity.release()


def is_elsewhere(request: HttpRequest) -> bool:
    """Whether a client of Rekognition calls an address that is none of its own."""
    is_call = request.headers.get("X-Amz-Target", "").startswith(_TARGET)
    return is_call and request.path not in AWS_PATHS


def refusal(error: AwsError, status: int = 400) -> HttpResponse:
    response = _answer({"__type": error.name, "message": str(error)})
    response.status_code = 500 if error.name in _SERVER_FAULTS else status
    response["x-amzn-ErrorType"] = error.name
    return response


def _answer(answer: Answer) -> HttpResponse:
    headers = {REQUEST_ID: current.get().id, "Cache-Control": "no-store"}
    return HttpResponse(json.dumps(answer), content_type=CONTENT_TYPE, headers=headers)


def _answered(request: HttpRequest) -> Answer:
    if request.method != "POST":
        raise AwsError("UnknownOperationException", "Operations are sent by POST.")
    signed = Signed.of(request)
    key = keys.find(signed.access_key_id)
    if key is None or "X-Amz-Security-Token" in request.headers:  # no key here is temporary
        message = "The security token included in the request is invalid."
        raise AwsError("UnrecognizedClientException", message)
    current.get().caller = "service"
    enter(key.opens.collection)
    _hold(request, key)
    given = _verified_body(request, signed, key)
    keys.count(key)
    return _done(request, key, given)


def _done(request: HttpRequest, key: Key, given: Any) -> Answer:
    service, _, name = request.headers.get("X-Amz-Target", "").rpartition(".")
    operation = OPERATIONS.get(name) if f"{service}." == _TARGET else None
    if operation is None:
        raise AwsError("UnknownOperationException", f"There is no operation {name[:64]!r} here.")
    if not isinstance(given, dict):
        raise AwsError("SerializationException", "The body is not a JSON object.")
    call = operation.call(key, given)
    if not operation.is_about_collections and "CollectionId" in call.fields:
        keys.enter(key, call.fields["CollectionId"])
    return operation.run(call)


def _hold(request: HttpRequest, key: Key) -> None:
    """Take the memory of the body, before it is read. Raises ImageTooLargeException."""
    text = request.META.get("CONTENT_LENGTH") or ""
    if not text.isdecimal():
        raise AwsError("SerializationException", "The request needs a body with a Content-Length.")
    if int(text) > settings.MAX_BODY_BYTES:
        message = f"The body has {text} bytes; at most {settings.MAX_BODY_BYTES} are taken."
        raise AwsError("ImageTooLargeException", message)
    capacity.hold(
        key.caller.subject,
        body_bytes=int(text),
        is_user=False,
        has_pictures=True,
        is_batch=False,
    )


def _verified_body(request: HttpRequest, signed: Signed, key: Key) -> Any:
    """The value of the body, if it was signed. It is read to its end in any case, for its hash.

    Raises InvalidSignatureException, SerializationException.
    """
    digest, stream = hashlib.sha256(), PacedBody(request)

    def read(size: int) -> bytes:
        data = stream.read(size)
        digest.update(data)
        return data

    try:
        given = strict_json.load_body(read, _MOST_OTHER_BYTES, base64_text.Base64Decoder)
        is_json = True
    except ValueError:
        given, is_json = None, False
        while read(_PIECE):
            pass
    signature.require(signed, key.secret, request, digest.hexdigest(), datetime.now(UTC))
    if not is_json:
        raise AwsError("SerializationException", "The body is not JSON that is taken here.")
    return given
