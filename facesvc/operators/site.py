"""The admin site: its names, its login, and its first page with the state of the service."""

from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from facesvc.http import errors
from facesvc.http.login import LoginForm
from facesvc.operators import door, overview
from recognition.packs import catalogue

# Browsers trust these hosts as they trust https, and keep our cookies.
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class OperatorSite(AdminSite):
    site_title = _lazy("facesvc operators")
    site_header = _lazy("facesvc operators")
    index_title = _lazy("How the service is")
    login_form = LoginForm
    index_template = "operators/index.html"

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Refuses addresses that the database cannot take. No page has a link to one."""
        answered = super().admin_view(view, cacheable)

        @wraps(answered)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            query = [(name, str(value)) for name, value in request.GET.items()]
            if not all(_is_sane(*each) for each in [*query, (request.path, "")]):
                raise SuspiciousOperation("an address that no page makes")
            return answered(request, *args, **kwargs)

        return guarded

    def get_urls(self) -> list[URLPattern | URLResolver]:
        choose = path("collection/", self.admin_view(door.choose), name="collection")
        return [choose, *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        found, allowed = door.shown(request)
        here = {"collection": found, "collections": allowed}
        return {**super().each_context(request), **here}

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        shown: dict[str, Any] = {}
        if request.user.has_perm("recognition.view_dailycount"):
            shown = {
                "needs": overview.needs(request.user),
                "better": catalogue.better(),
                "activity": overview.activity(),
            }
        return super().index(request, {**shown, **(extra_context or {})})

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"cookies_are_lost": cookies_are_lost(request), **(extra_context or {})}
        return super().login(request, context)


def _is_sane(name: str, value: str) -> bool:
    """Whether the database, and Django's filters by date, can take this part of a query."""
    if name.endswith(("__year", "__month", "__day")):
        return value.isdecimal() and 1 <= int(value[:5]) <= 9999
    return "\0" not in name + value


def cookies_are_lost(request: HttpRequest) -> bool:
    """Whether a browser drops our cookies, as it does over http from another machine.

    No operator can log in then. A proxy that speaks TLS says so, even one that we do not trust.
    """
    if not settings.CSRF_COOKIE_SECURE or request.is_secure():
        return False
    host = request.get_host().rpartition(":")[0] or request.get_host()
    says_https = request.headers.get("X-Forwarded-Proto") == "https"
    return host not in _LOCAL and request.get_host() not in _LOCAL and not says_https


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Replaces Django's page: says what happened, and what to do about it."""
    if not request.path.startswith(reverse("admin:index")):  # no other page has forms
        answer = errors.failure("method_not_allowed", "The address takes no POST.")
        answer["Allow"] = "GET, HEAD"
        return answer
    context = {
        "title": _("This form was not accepted"),
        "cookies_are_lost": cookies_are_lost(request),
        "is_wrong_origin": "Origin checking failed" in reason or "Referer" in reason,
    }
    return render(request, "operators/csrf_failure.html", context, status=403)
