"""Answers failures outside of the API's views: under /admin/ with a page for people."""

import sys
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.views import defaults

from facesvc.http import errors, languages
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
        _("The page cannot be shown like this"),
        _(
            "Something in the address or in a filter is not valid. Go back and choose another"
            " value."
        ),
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _failure(
        request,
        "not_found",
        "There is nothing here.",
        _("There is no such page"),
        _("What it showed may have been erased, merged or purged, or the address has a mistake."),
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(_ADMIN):
        return defaults.permission_denied(request, exception)
    return _page(
        403,
        _("You may not do this"),
        _(
            "Your account lacks a permission, or it is bound to collections and the page is about"
            " the whole installation, or the address is not meant to be opened like this. An"
            " administrator can change what your account may do."
        ),
    )


def payload_too_large(request: HttpRequest) -> HttpResponse:
    return _failure(
        request,
        "payload_too_large",
        "The body is too long.",
        _("This is too long"),
        _("A form of these pages takes 64 KB. Nothing was done; go back and send less."),
    )


def unavailable(request: HttpRequest) -> HttpResponse:
    return _failure(
        request,
        "unavailable",
        "Too many requests are being worked on; try again.",
        _("The service is overloaded"),
        _("Nothing was done. Wait some seconds, and load the page again."),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls this while it handles the error, and logs it."""
    if errors.is_passing(sys.exception()):
        return _failure(
            request,
            "unavailable",
            "Not available at the moment; try again.",
            _("The service is not available"),
            _(
                "The database does not answer, or it takes no changes at the moment. Wait some"
                " seconds, and load the page again. If you changed something, look first whether it"
                " was stored."
            ),
        )
    return _failure(
        request,
        "internal_error",
        "Something went wrong on our side; the request id is in the log.",
        _("Something went wrong"),
        format_lazy(
            _("The log of the service says what, under the request id {id}."), id=current.get().id
        ),
    )


def _failure(request: HttpRequest, code: str, message: str, title: Any, words: Any) -> HttpResponse:
    """The API's answer; for people a page with its headers, which say when to try again."""
    answer = errors.failure(code, message)
    if not request.path.startswith(_ADMIN):
        return answer
    # Some failures come before facesvc.http.languages.
    with translation.override(languages.language_of(request)):
        page = _page(STATUS[code], title, words)
    if "Retry-After" in answer:
        page["Retry-After"] = answer["Retry-After"]
    return page


def _page(status: int, title: Any, words: Any) -> HttpResponse:
    """Renders without the request: its operator is in the database, which may be away."""
    page = render_to_string("operators/failure.html", {"title": title, "words": words})
    return HttpResponse(page, status=status)
