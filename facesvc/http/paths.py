"""Slashes in user ids that stand in a path, as `%2F`.

WSGI gives the decoded path, in which `/users/a%2Ffaces` looks like the faces of the user `a`.
gunicorn gives the path as it was sent besides.
"""

from collections.abc import Callable
from urllib.parse import quote, unquote

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from recognition.api.service_view import SLASH


class SlashMiddleware:
    """Puts a mark in place of each slash that was sent as `%2F`.

    It refuses what is no UTF-8, too: Django would take `%FF` for the text `%FF`, which is an id.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        raw: str = request.META.get("RAW_URI", "").partition("?")[0]
        marked = raw.replace("%2F", quote(SLASH)).replace("%2f", quote(SLASH))
        try:
            marked = unquote(marked, errors="strict")
        except UnicodeDecodeError:
            raise BadRequest("The path is not percent-encoded UTF-8.") from None
        # The same path but for the slashes, and nothing else that a server may put there.
        if SLASH in marked and marked.replace(SLASH, "/") == request.path_info:
            request.path = request.path.removesuffix(request.path_info) + marked
            request.path_info = request.META["PATH_INFO"] = marked
        return self._get_response(request)
