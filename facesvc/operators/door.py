"""The admin pages show one collection at a time."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from recognition.collections.current import DEFAULT, entered


class CollectionMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(reverse("admin:index")):
            return self._get_response(request)
        with entered(DEFAULT):
            return self._get_response(request)
