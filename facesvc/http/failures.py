"""Answers failures: under /admin/ with a page for people, elsewhere as the API does."""

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from facesvc.http import errors

_ADMIN = "/admin/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    # Only this host has admin pages.
    if not _is_for_people(request) or isinstance(exception, DisallowedHost):
        return errors.bad_request(request, exception)
    return _page(
        400,
        "The page cannot be shown like this",
        "Something in the address or in a filter is not valid. Go back and choose another value.",
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_for_people(request):
        return errors.not_found(request, exception)
    return _page(
        404,
        "There is no such page",
        "What it showed may have been erased, merged or purged, or the address has a mistake.",
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_for_people(request):
        return defaults.permission_denied(request, exception)
    return _page(
        403,
        "You may not do this",
        "Your account lacks a permission, or the address is not meant to be opened like this."
        " An administrator can put you into another group.",
    )


def payload_too_large(request: HttpRequest) -> HttpResponse:
    if not _is_for_people(request):
        return errors.payload_too_large(request)
    return _page(
        413,
        "This is too long",
        "A form of these pages takes 64 KB. Nothing was done; go back and send less.",
    )


def unavailable(request: HttpRequest) -> HttpResponse:
    """The page has the headers of the API's answer, which say when to try again."""
    answer = errors.unavailable(request)
    if not _is_for_people(request):
        return answer
    page = _page(
        503,
        "The service is overloaded",
        "Nothing was done. Wait some seconds, and load the page again.",
    )
    page["Retry-After"] = answer["Retry-After"]
    return page


def server_error(request: HttpRequest) -> HttpResponse:
    if not _is_for_people(request):
        return errors.server_error(request)
    number = request.META.get("facesvc.request_id", "")
    return _page(
        500,
        "Something went wrong",
        f"The log of the service says what, under the request id {number}.",
    )


def _is_for_people(request: HttpRequest) -> bool:
    return request.path.startswith(_ADMIN)


def _page(status: int, title: str, words: str) -> HttpResponse:
    """Renders without the request: its operator is in the database, which may be away."""
    page = render_to_string("operators/failure.html", {"title": title, "words": words})
    return HttpResponse(page, status=status)
