"""The language of the pages for people: the one they chose, or else their browser's.

The API stays English: its codes are what apps read, and its messages are for developers and logs.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header

_CHOICE = "language"  # in the query of a link on each page
_YEAR = 365 * 24 * 3600


class LanguageMiddleware:
    """Translates the page at / and the admin pages. A query `?language=th` is remembered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path != "/" and not request.path.startswith("/admin/"):
            return self._get_response(request)
        if request.method == "GET" and _is_known(request.GET.get(_CHOICE, "")):
            return _remember(request)
        language = language_of(request)
        with translation.override(language):
            response = self._get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response


def language_of(request: HttpRequest) -> str:
    """The code of a language of settings.LANGUAGES."""
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    if _is_known(chosen):
        return chosen
    for asked, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        if asked == "*":
            break
        if _is_known(language := asked.partition("-")[0]):
            return language
    return settings.FACESVC_LANGUAGE


def _is_known(language: str) -> bool:
    return any(language == code for code, _ in settings.LANGUAGES)


def _remember(request: HttpRequest) -> HttpResponse:
    """The same page again, with a cookie that lasts a year and holds the code of the language."""
    query = request.GET.copy()
    (*_, language) = query.pop(_CHOICE)
    rest = f"?{urlencode(list(query.lists()), doseq=True)}" if query else ""
    response = HttpResponseRedirect(request.path + rest)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=_YEAR,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
    response["Cache-Control"] = "no-store"
    return response
