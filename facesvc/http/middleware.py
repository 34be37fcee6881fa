"""What every request carries: an id, its starting time and its line in the log; how much it may
carry."""

import re
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.middleware import common

from facesvc.http import failures, metrics
from facesvc.monitoring import logs, tracing
from recognition.packs import engine
from recognition.processes import capacity, current_request, stages

# Whatever is longer or stranger does not belong in a log line or a header.
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_API = "/api/v1/"
# What probes and Prometheus ask for.
PAST_THE_PROXY = ("/health", "/health/live", "/health/ready", "/metrics")


class RequestContextMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _SANE_ID.fullmatch(given) else str(uuid.uuid4())
        request.META["facesvc.request_id"] = request_id
        token = current_request.request_id.set(request_id)
        try:
            return self._answer(request, request_id)
        finally:
            # The thread may log something next that belongs to no request, such as a broken one.
            current_request.request_id.reset(token)

    def _answer(self, request: HttpRequest, request_id: str) -> HttpResponse:
        request.META["facesvc.started"] = time.perf_counter()
        engine.forget_used()
        with (
            tracing.of_request(request) as answered,
            stages.collected() as spent,
            capacity.waiting(capacity.limit_of_request()),
        ):
            response = self._get_response(request)
            answered(response)
        response["X-Request-ID"] = request_id
        for name, value in request.META.get("facesvc.rate_limit", {}).items():
            response[name] = value
        if request.path.startswith(_API):
            # People's faces: for whoever asked, and for no browser's or proxy's memory.
            response.setdefault("Cache-Control", "no-store")
        seconds = time.perf_counter() - request.META["facesvc.started"]
        metrics.observe(request, response, seconds)
        total = round(seconds * 1000, 1)
        logs.request_line(request, response, total, stages.milliseconds(spent))
        return response


class AdmissionMiddleware:
    """Refuses at once what the threads of this process have no room for.

    Probes pass: a process whose requests all wait for the database is alive, and says so.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in PAST_THE_PROXY:
            return self._get_response(request)
        if not capacity.admission.enter():
            return failures.unavailable(request)
        try:
            return self._get_response(request)
        finally:
            capacity.admission.leave()


class CommonMiddleware(common.CommonMiddleware):
    """Django's own, which asks whether the host is one of ALLOWED_HOSTS, but not of probes and
    Prometheus: they come past the proxy, to the address of a pod, which no setting can name."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        if request.path in PAST_THE_PROXY:
            return None
        return super().process_request(request)


# The one form that may be long reads nothing before it knows the operator and the length.
_PHOTO_FORM = "/admin/recognition/face/find-by-photo/"


class BodyLimitMiddleware:
    """Refuses what is too long for a form; the views of the API have limits of their own.

    Django's own limit holds for all of the service, and a batch needs much: without this anybody
    could have hundreds of megabytes read at the login. A form is read before it is known who sends
    it, so it is no longer than what facesvc.running.web_worker waits for without a thread.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("CONTENT_LENGTH") or ""
        length = int(given) if given.isdecimal() else 0
        may_be_long = request.path.startswith(_API) or request.path == _PHOTO_FORM
        if length > settings.BODY_ROOM_BYTES and not may_be_long:
            return failures.payload_too_large(request)
        return self._get_response(request)
