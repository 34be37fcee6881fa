"""What every request carries: an id and its starting time."""

import re
import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from facesvc import logs
from recognition import engine

# Whatever is longer or stranger does not belong in a log line or a header.
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestContextMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _SANE_ID.fullmatch(given) else str(uuid.uuid4())
        request.META["facesvc.request_id"] = request_id
        logs.request_id.set(request_id)
        request.META["facesvc.started"] = time.perf_counter()
        engine.forget_used()
        response = self._get_response(request)
        response["X-Request-ID"] = request_id
        for name, value in request.META.get("facesvc.rate_limit", {}).items():
            response[name] = value
        return response
