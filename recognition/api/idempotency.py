"""`Idempotency-Key`: a request that creates something can be repeated, and creates it once.

Each repetition gets the first answer.

The key is locked, the work done and the answer stored in one transaction. So a killed process
leaves neither a row without its answer nor a key that is blocked, and a refused request leaves
nothing: it may be sent again, corrected. What may take long and changes nothing comes before it
(`ServiceViewSet.prepare`).
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import OperationalError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from recognition import audit
from recognition.access import Caller
from recognition.api.base64_text import DecodedPicture
from recognition.api.service_view import ServiceViewSet
from recognition.collections.current import rule
from recognition.collections.hashes import keyed
from recognition.errors import ServiceError
from recognition.models import Face, IdempotencyKey, locks
from recognition.models.locks import One
from recognition.models.user_ids import UserId
from recognition.privacy.keeping import Person

_KEY = re.compile(r"[!-~]{1,255}")
_LOCK_NOT_AVAILABLE = "55P03"
REPLAYED = "Idempotent-Replayed"

_HEADER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": f"^{_KEY.pattern}$"},
    OpenApiParameter.HEADER,
    description="Any text of yours. Repeated with the same body it gives the first answer again, "
    f"with the header `{REPLAYED}: true`; with another body 409 `idempotency_conflict`.",
)

_ANSWER_HEADER = OpenApiParameter(
    REPLAYED,
    bool,
    OpenApiParameter.HEADER,
    response=[200, 201, 202],
    description="Only when the answer is that of a former request.",
)

Post = Callable[..., Response]


def idempotent(post: Post) -> Post:
    """For an action of a ServiceViewSet that creates something."""

    @wraps(post)
    def once(view: ServiceViewSet, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is not None and not _KEY.fullmatch(key):
            message = "Idempotency-Key must be 1 to 255 printable ASCII characters."
            raise ServiceError("invalid_request", message)
        if key is None:
            view.prepare(request)
            return post(view, request, *args, **kwargs)
        refusal: Exception | None = None  # of a request that was not answered before
        try:
            view.prepare(request)
        except (ServiceError, APIException) as error:
            refusal = error
        caller, fingerprint = view.caller, fingerprint_of(request)
        try:
            with transaction.atomic():
                _lock(caller.subject, key)
                rows = IdempotencyKey.objects.filter(subject=caller.subject, key=key)
                row = rows.filter(created_at__gt=_oldest()).first()
                if row is not None:
                    return _replay(row, fingerprint, caller, request)
                if refusal is not None:
                    raise refusal
                rows.delete()
                response = post(view, request, *args, **kwargs)
                _store(caller, key, fingerprint, response)
                return response
        finally:
            del refusal  # it refers to this frame, and to those that have the body

    decorated: Post = extend_schema(parameters=[_HEADER, _ANSWER_HEADER])(once)
    return decorated


def _lock(subject: str, key: str) -> None:
    """Lock the key until the end of the transaction. Raises request_in_progress.

    At most one repetition waits for the first request. A request that waits holds a thread of the
    server, and one caller could otherwise take all threads with a single key.
    """
    if locks.take_if_free(One.REQUEST, subject, key):
        return
    if not locks.take_if_free(One.WAITING_REQUEST, subject, key):
        raise _in_progress()
    try:
        locks.wait_for(One.REQUEST, subject, key)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise _in_progress() from None


def _in_progress() -> ServiceError:
    message = "A request with this Idempotency-Key is being worked on; send yours again later."
    return ServiceError("request_in_progress", message)


def drop_old() -> str:
    """A rule of recognition.privacy.retention."""
    count, _ = IdempotencyKey.objects.filter(created_at__lte=_oldest()).delete()
    return f"{count} idempotency keys are dropped."


def _oldest() -> datetime:
    """The time of the oldest answer that is repeated."""
    return timezone.now() - timedelta(hours=rule("FACESVC_IDEMPOTENCY_HOURS"))


def _store(caller: Caller, key: str, fingerprint: str, response: Response) -> None:
    """Skipped if a user in the answer has been erased: then the request created nothing."""
    answer = json.dumps(response.data, cls=JSONEncoder)
    user_ids = sorted(_named_in(json.loads(answer)))
    # An erasure of one of these users waits for this lock, and then drops the answer.
    own = [caller.user_id] if caller.user_id else []
    if locks.hold_users([*user_ids, *own]).issuperset(user_ids):
        IdempotencyKey.objects.create(
            subject=caller.subject,
            key=key,
            fingerprint=fingerprint,
            status=response.status_code,
            answer=answer,
            user_ids=user_ids,
        )


def first_answer(caller: Caller, key: str, fingerprint: str) -> Any | None:
    """What was answered to a request with this key, where the work has transactions of its own.

    Raises idempotency_conflict.
    """
    rows = IdempotencyKey.objects.filter(subject=caller.subject, key=key)
    row = rows.filter(created_at__gt=_oldest()).first()
    if row is None:
        return None
    _require_same(row, fingerprint)
    return json.loads(row.answer)


def keep_answer(
    caller: Caller, key: str, fingerprint: str, answer: Any, about: Collection[UUID]
) -> None:
    """Keep it for `first_answer`, until one of the users that it is `about` is erased."""
    with transaction.atomic():
        IdempotencyKey.objects.filter(
            subject=caller.subject, key=key, created_at__lte=_oldest()
        ).delete()
        row = IdempotencyKey(subject=caller.subject, key=key, fingerprint=fingerprint, status=200)
        row.answer, row.user_ids = json.dumps(answer), sorted(locks.hold_users(about))
        # A request that came at the same time may have kept its own.
        IdempotencyKey.objects.bulk_create([row], ignore_conflicts=True)


def _named_in(answer: Any) -> set[UUID]:
    match answer:
        case dict():
            named: set[UUID] = {UserId(answer["user_id"])} if answer.get("user_id") else set()
            return named.union(*map(_named_in, answer.values()))
        case list():
            return set().union(*map(_named_in, answer))
    return set()


def forget(person: Person) -> dict[str, int]:
    """Drop the answers to a user and those that name the user, who is locked."""
    about = Q(subject__in=map(str, person.ids)) | Q(user_ids__overlap=person.ids)
    about |= person.in_column("key")  # many clients make their keys of ids
    _, removed = IdempotencyKey.objects.filter(about).delete()
    return removed


def forget_face(face: Face, was: UUID) -> None:
    """Drop the answer to its registration, for the user `was`: it has the landmarks and the age."""
    named = IdempotencyKey.objects.filter(user_ids__contains=[was])
    named.filter(answer__contains=face.face_id).delete()


def _replay(row: IdempotencyKey, fingerprint: str, caller: Caller, request: Request) -> Response:
    _require_same(row, fingerprint)
    if _is_admin(request):  # it may have searched everyone
        audit.note(caller.name, "request.replay", path=request.path)
    return Response(json.loads(row.answer), status=row.status, headers={REPLAYED: "true"})


def _require_same(row: IdempotencyKey, fingerprint: str) -> None:
    """Raises idempotency_conflict."""
    if row.fingerprint != fingerprint:
        raise ServiceError(
            "idempotency_conflict", "This Idempotency-Key came with another request before."
        )


def _is_admin(request: Request) -> bool:
    return "face:admin" in request.user.scopes  # type: ignore[union-attr]


def fingerprint_of(request: Request) -> str:
    """A hash of what is asked for. A form counts by its fields: its boundary changes every time.

    The hash includes the right to search everyone: a token without it must not get such an answer.
    """
    digest = keyed("recognition.idempotency", b"")
    _add(digest, _is_admin(request))
    _add(digest, [request.method, request.path, request.headers.get("X-On-Behalf-Of", "")])
    _add(digest, request.query_params)
    _add(digest, request.data)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    """Adds each part with its kind and length, so that no two values give the same bytes."""
    match value:
        case MultiValueDict():
            _add(digest, dict(value.lists()))
        case Mapping():
            digest.update(b"{")
            _add(digest, [part for pair in sorted(value.items()) for part in pair])
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
            digest.update(b"b%d:" % len(value))
            digest.update(value)  # not copied: it may be a picture
        case DecodedPicture():
            digest.update(b"p")
            _add(digest, value.data)
            _add(digest, value.wrong)
        case str():
            digest.update(b"s")
            _add(digest, value.encode())
        case _:
            digest.update(b"j")
            _add(digest, json.dumps(value).encode())
