"""Turns errors into answers; facesvc/http/error_codes.py has the table of codes."""

import logging
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFilesSent,
)
from django.http import Http404, HttpResponse, JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from facesvc.http.auth import CHALLENGE
from facesvc.http.envelope import metadata
from facesvc.http.error_codes import STATUS
from facesvc.postgres.cluster import DatabaseError
from recognition import daily_counts
from recognition.api.callers import tokens
from recognition.collections.current import CollectionGoneError
from recognition.errors import ServiceError, first_reason
from recognition.inference.images import ImageError
from recognition.inference.pack.declaration import PackError
from recognition.models import CountedKind
from recognition.processes import connections

logger = logging.getLogger(__name__)

# Seconds after which the same request is likely to succeed (`Retry-After`).
_RETRY_AFTER = {"unavailable": "5", "request_in_progress": "1"}

# Errors that pass by themselves, as those of the database do.
_AWAY = (tokens.KeysUnavailableError, PackError, DatabaseError)

# Codes of Django REST framework that have another name here.
_RENAMED = {
    "parse_error": "malformed_json",
    "throttled": "rate_limited",
    "permission_denied": "insufficient_scope",
    "authentication_failed": "invalid_token",
}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an expected error; None, so a 500, for all others."""
    body = _describe(error)
    if body is None:
        return None
    # A refused request must leave nothing behind, even where its view runs inside a transaction.
    set_rollback()
    daily_counts.note(CountedKind.REFUSAL, body["code"])
    response = Response(body, status=STATUS[body["code"]])
    if wait_first := body["details"].get("retry_after", _RETRY_AFTER.get(body["code"])):
        response["Retry-After"] = str(wait_first)
    if isinstance(error, CollectionGoneError):
        response["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, exceptions.APIException):
        if challenge := getattr(error, "auth_header", None):
            response["WWW-Authenticate"] = challenge
        if (wait := getattr(error, "wait", None)) is not None:
            response["Retry-After"] = str(max(1, round(wait)))
    return response


def _describe(error: Exception) -> dict[str, Any] | None:
    match error:
        case ServiceError():
            return _body(error.code, str(error), error.details)
        case CollectionGoneError():  # since the token was read
            return _body("invalid_token", "The token's collection does not exist.")
        case ImageError():
            return _body(error.code, str(error))
        case exceptions.ValidationError():
            return _body("invalid_request", first_reason(error.detail), {"fields": error.detail})
        case exceptions.APIException():
            codes = error.get_codes()
            code = codes if isinstance(codes, str) else "invalid_request"
            return _body(_RENAMED.get(code, code), str(error.detail))
        case RequestDataTooBig():
            return _body("payload_too_large", "The body is too long.")
        case UnreadablePostError():
            return _body("invalid_request", "The body is incomplete.")
        case TooManyFilesSent():
            return _body("too_many_images", "The form has too many files.")
        case _ if is_passing(error):
            _log_passing(error)
            return _body("unavailable", "Not available at the moment; try again.")
        case Http404():
            return _body("not_found", "There is nothing here.")
        case PermissionDenied():
            return _body("insufficient_scope", "The token does not allow this.")
        case SuspiciousOperation():
            return _body("invalid_request", "The request is not acceptable.")
    return None


def _log_passing(error: Exception) -> None:
    """One line while the database is away: every request fails in the same way until it is back."""
    if connections.is_lost(error):
        logger.error("unavailable: %s", connections.first_line(error))
    else:
        logger.exception("unavailable")


def is_passing(error: BaseException | None) -> bool:
    """Whether something that is needed, such as the database, is away for the moment."""
    return isinstance(error, _AWAY) or connections.is_passing(error)


def _body(code: str, message: str, details: Any = None) -> dict[str, Any]:
    return {"code": code, "message": message, "details": details or {}}


def failure(code: str, message: str) -> HttpResponse:
    """The answer where no view of the API is: to a strange path, or before and after the views."""
    daily_counts.note(CountedKind.REFUSAL, code)
    body = {"success": False, "error": _body(code, message), "metadata": metadata()}
    response = JsonResponse(body, status=STATUS[code])
    if code in _RETRY_AFTER:
        response["Retry-After"] = _RETRY_AFTER[code]
    return response
