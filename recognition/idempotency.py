"""`Idempotency-Key`: a creating request that is repeated creates once and is answered the same.

The key is locked, the work done and the answer stored in one transaction. So a killed process
leaves neither a row without its answer nor a key that is blocked, and a refused request leaves
nothing: it may be sent again, corrected.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import OperationalError, connection, transaction
from django.utils.datastructures import MultiValueDict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from recognition.errors import ServiceError
from recognition.models import IdempotencyKey
from recognition.service_view import ServiceView

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# How long a second request waits for the answer of the first, which it then gives as well.
_PATIENCE = "10s"
_LOCK_NOT_AVAILABLE = "55P03"
REPLAYED = "Idempotent-Replayed"

_HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Any text of yours. Repeated with the same body it gives the first answer again, "
    f"with the header `{REPLAYED}: true`; with another body 409 `idempotency_conflict`.",
)

Post = Callable[..., Response]


def idempotent(post: Post) -> Post:
    """For the `post` of a ServiceView that creates something."""

    @wraps(post)
    def once(view: ServiceView, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return post(view, request, *args, **kwargs)
        if not _KEY.fullmatch(key):
            message = "Idempotency-Key must be 1 to 255 printable ASCII characters."
            raise ServiceError("invalid_request", message)
        subject, fingerprint = view.caller.subject, fingerprint_of(request)
        with transaction.atomic():
            _lock(subject, key)
            row = IdempotencyKey.objects.filter(subject=subject, key=key).first()
            if row is not None:
                return _replay(row, fingerprint)
            response = post(view, request, *args, **kwargs)
            IdempotencyKey.objects.create(
                subject=subject,
                key=key,
                fingerprint=fingerprint,
                status=response.status_code,
                answer=json.dumps(response.data, cls=JSONEncoder),
            )
            return response

    decorated: Post = extend_schema(parameters=[_HEADER])(once)
    return decorated


def _lock(subject: str, key: str) -> None:
    """Until the end of the transaction. Raises request_in_progress."""
    number = int.from_bytes(hashlib.sha256(f"{subject}\n{key}".encode()).digest()[:8], signed=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise ServiceError(
            "request_in_progress", "A request with this Idempotency-Key is being worked on."
        ) from None


def _replay(row: IdempotencyKey, fingerprint: str) -> Response:
    if row.fingerprint != fingerprint:
        raise ServiceError(
            "idempotency_conflict", "This Idempotency-Key came with another request before."
        )
    return Response(json.loads(row.answer), status=row.status, headers={REPLAYED: "true"})


def fingerprint_of(request: Request) -> str:
    """A hash of what is asked for: of a form its fields, whose boundary is another every time."""
    digest = hashlib.sha256()
    _add(digest, [request.method, request.path, request.headers.get("X-On-Behalf-Of", "")])
    _add(digest, request.query_params)
    _add(digest, request.data)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    """Every part with its kind and length, so that no two values look the same."""
    match value:
        case MultiValueDict():
            _add(digest, {name: value.getlist(name) for name in value})
        case Mapping():
            digest.update(b"{%d" % len(value))
            for name in sorted(value):
                _add(digest, name)
                _add(digest, value[name])
        case list():
            digest.update(b"[%d" % len(value))
            for each in value:
                _add(digest, each)
        case UploadedFile():
            _add(digest, value.name)
            digest.update(b"f%d:" % (value.size or 0))
            for chunk in value.chunks():
                digest.update(chunk)
            value.seek(0)
        case bytes():
            digest.update(b"b%d:" % len(value) + value)
        case _:
            text = json.dumps(value).encode()
            digest.update(b"j%d:" % len(text) + text)
