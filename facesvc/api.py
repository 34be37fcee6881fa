"""Errors to answers, with the one table from error code to HTTP status."""

import logging
from typing import Any

from django.core.exceptions import (
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFilesSent,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from facesvc.envelope import metadata
from recognition import tokens
from recognition.errors import ServiceError
from recognition.inference.images import ImageError
from recognition.inference.packs import PackError

logger = logging.getLogger(__name__)

# Every code that an answer may carry. Codes are part of the API and never change their meaning.
STATUS = {
    # the request
    "invalid_request": status.HTTP_400_BAD_REQUEST,
    "malformed_json": status.HTTP_400_BAD_REQUEST,
    "unknown_field": status.HTTP_400_BAD_REQUEST,
    "method_not_allowed": status.HTTP_405_METHOD_NOT_ALLOWED,
    "not_acceptable": status.HTTP_406_NOT_ACCEPTABLE,
    "invalid_cursor": status.HTTP_400_BAD_REQUEST,
    "length_required": status.HTTP_411_LENGTH_REQUIRED,
    "payload_too_large": status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    "unsupported_media_type": status.HTTP_415_UNSUPPORTED_MEDIA_TYPE,
    "too_many_images": status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    "invalid_callback_url": status.HTTP_422_UNPROCESSABLE_ENTITY,
    "idempotency_conflict": status.HTTP_409_CONFLICT,
    "request_in_progress": status.HTTP_409_CONFLICT,
    "rate_limited": status.HTTP_429_TOO_MANY_REQUESTS,
    "not_found": status.HTTP_404_NOT_FOUND,
    # the caller
    "not_authenticated": status.HTTP_401_UNAUTHORIZED,
    "invalid_token": status.HTTP_401_UNAUTHORIZED,
    "token_expired": status.HTTP_401_UNAUTHORIZED,
    "insufficient_scope": status.HTTP_403_FORBIDDEN,
    "not_your_user": status.HTTP_403_FORBIDDEN,
    "service_only": status.HTTP_403_FORBIDDEN,
    # the picture
    "invalid_base64": status.HTTP_400_BAD_REQUEST,
    "empty_image": status.HTTP_400_BAD_REQUEST,
    "invalid_image": status.HTTP_400_BAD_REQUEST,
    "truncated_image": status.HTTP_400_BAD_REQUEST,
    "unsupported_format": status.HTTP_415_UNSUPPORTED_MEDIA_TYPE,
    "image_too_small": status.HTTP_422_UNPROCESSABLE_ENTITY,
    "image_too_large": status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    "too_many_pixels": status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    # the face
    "no_face": status.HTTP_422_UNPROCESSABLE_ENTITY,
    "multiple_faces": status.HTTP_422_UNPROCESSABLE_ENTITY,
    "invalid_face_index": status.HTTP_422_UNPROCESSABLE_ENTITY,
    "low_quality": status.HTTP_422_UNPROCESSABLE_ENTITY,
    "duplicate_face": status.HTTP_409_CONFLICT,
    "consent_required": status.HTTP_422_UNPROCESSABLE_ENTITY,
    # what is stored
    "job_not_found": status.HTTP_404_NOT_FOUND,
    "face_not_found": status.HTTP_404_NOT_FOUND,
    "user_not_found": status.HTTP_404_NOT_FOUND,
    # sessions and lockout
    "session_not_found": status.HTTP_404_NOT_FOUND,
    "session_ended": status.HTTP_409_CONFLICT,
    "session_not_live": status.HTTP_409_CONFLICT,
    "session_is_live": status.HTTP_409_CONFLICT,
    "too_many_frames": status.HTTP_429_TOO_MANY_REQUESTS,
    "frames_in_progress": status.HTTP_429_TOO_MANY_REQUESTS,
    "too_many_attempts": status.HTTP_429_TOO_MANY_REQUESTS,
    "locked": status.HTTP_423_LOCKED,
    # friends and groups
    "friendship_not_found": status.HTTP_404_NOT_FOUND,
    "group_not_found": status.HTTP_404_NOT_FOUND,
    "membership_not_found": status.HTTP_404_NOT_FOUND,
    "invalid_friendship": status.HTTP_422_UNPROCESSABLE_ENTITY,
    "invalid_group_name": status.HTTP_422_UNPROCESSABLE_ENTITY,
    "invalid_graph": status.HTTP_422_UNPROCESSABLE_ENTITY,
    # us
    "unavailable": status.HTTP_503_SERVICE_UNAVAILABLE,
    "encryption_not_set_up": status.HTTP_503_SERVICE_UNAVAILABLE,
    "internal_error": status.HTTP_500_INTERNAL_SERVER_ERROR,
}

# Seconds after which the same request may well succeed.
_RETRY_AFTER = {"unavailable": "5", "request_in_progress": "1"}

# Codes of Django REST framework that we name otherwise.
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
    # Nothing of a refused request may stay, also where a view runs inside a transaction.
    set_rollback()
    response = Response(body, status=STATUS[body["code"]])
    if wait_first := body["details"].get("retry_after", _RETRY_AFTER.get(body["code"])):
        response["Retry-After"] = str(wait_first)
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
        case ImageError():
            return _body(error.code, str(error))
        case exceptions.ValidationError():
            return _body("invalid_request", "Some fields are not valid.", {"fields": error.detail})
        case exceptions.APIException():
            codes = error.get_codes()
            code = codes if isinstance(codes, str) else "invalid_request"
            return _body(_RENAMED.get(code, code), str(error.detail))
        case RequestDataTooBig():
            return _body("payload_too_large", "The body is too long.")
        case TooManyFilesSent():
            return _body("too_many_images", "The form has too many files.")
        case OperationalError() | InterfaceError() | tokens.KeysUnavailableError() | PackError():
            logger.exception("unavailable")
            return _body("unavailable", "Not available at the moment; try again.")
        case Http404():
            return _body("not_found", "There is nothing here.")
        case PermissionDenied():
            return _body("insufficient_scope", "The token does not allow this.")
        case SuspiciousOperation():
            return _body("invalid_request", "The request is not acceptable.")
    return None


def _body(code: str, message: str, details: Any = None) -> dict[str, Any]:
    return {"code": code, "message": message, "details": details or {}}


def _failure(request: HttpRequest, code: str, message: str) -> HttpResponse:
    body = {"success": False, "error": _body(code, message), "metadata": metadata(request)}
    return JsonResponse(body, status=STATUS[code])


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    message = "The request is not acceptable."
    if isinstance(exception, DisallowedHost):
        message = "The host that the request asks for is not in ALLOWED_HOSTS."
    return _failure(request, "invalid_request", message)


def payload_too_large(request: HttpRequest) -> HttpResponse:
    return _failure(request, "payload_too_large", "The body is too long.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _failure(request, "not_found", "There is nothing here.")


def wrong_token(request: HttpRequest) -> HttpResponse:
    response = _failure(request, "invalid_token", "The token is not valid.")
    response["WWW-Authenticate"] = 'Bearer realm="facesvc metrics"'
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    message = "Something went wrong on our side; the request id is in the log."
    return _failure(request, "internal_error", message)
