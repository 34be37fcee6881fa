"""Answers failures outside of the API's views: under /admin/ with a page for people."""

import sys

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from facesvc.http import errors
from facesvc.http.error_codes import STATUS
from recognition.processes.current_request import current

_ADMIN = "/admin/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, DisallowedHost):  # only this host has admin pages
        message = "The host that the request asks for is not in ALLOWED_HOSTS."
        return errors.failure("invalid_request", message)
    return _failure(
        request,
        "invalid_request",
        "The request is not acceptable.",
        "The page cannot be shown like this",
        "Something in the address or in a filter is not valid. Go back and choose another value.",
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _failure(
        request,
        "not_found",
        "There is nothing here.",
        "There is no such page",
        "What it showed may have been erased, merged or purged, or the address has a mistake.",
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(_ADMIN):
        return defaults.permission_denied(request, exception)
    return _page(
        403,
        "You may not do this",
        "Your account lacks a permission, or the address is not meant to be opened like this."
        " An administrator can put you into another group.",
    )


def payload_too_large(request: HttpRequest) -> HttpResponse:
    return _failure(
        request,
        "payload_too_large",
        "The body is too long.",
        "This is too long",
        "A form of these pages takes 64 KB. Nothing was done; go back and send less.",
    )


def unavailable(request: HttpRequest) -> HttpResponse:
    return _failure(
        request,
        "unavailable",
        "Too many requests are being worked on; try again.",
        "The service is overloaded",
        "Nothing was done. Wait some seconds, and load the page again.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls this while it handles the error, and logs it."""
    if errors.is_passing(sys.exception()):
        return _failure(
            request,
            "unavailable",
            "Not available at the moment; try again.",
            "The service is not available",
            "The database does not answer, or it takes no changes at the moment. Wait some seconds,"
            " and load the page again. If you changed something, look first whether it was stored.",
        )
    return _failure(
        request,
        "internal_error",
        "Something went wrong on our side; the request id is in the log.",
        "Something went wrong",
        f"The log of the service says what, under the request id {current.get().id}.",
    )


def _failure(request: HttpRequest, code: str, message: str, title: str, words: str) -> HttpResponse:
    """The API's answer; for people a page with its headers, which say when to try again."""
    answer = errors.failure(code, message)
    if not request.path.startswith(_ADMIN):
        return answer
    page = _page(STATUS[code], title, words)
    if "Retry-After" in answer:
        page["Retry-After"] = answer["Retry-After"]
    return page


def _page(status: int, title: str, words: str) -> HttpResponse:
    """Renders without the request: its operator is in the database, which may be away."""
    page = render_to_string("operators/failure.html", {"title": title, "words": words})
    return HttpResponse(page, status=status)
