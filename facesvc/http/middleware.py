"""Gives every request an id, a starting time and a line in the log, and limits its size."""

import re
import time
import uuid
from collections.abc import Callable
from threading import Lock

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.middleware import common

from facesvc.http import failures, metrics
from facesvc.monitoring import logs, tracing
from recognition.collections.current import nowhere
from recognition.processes.current_request import CurrentRequest, WaitLimit, current
from recognition.processes.slots import REFUSED

# An id that is longer, or has other characters, does not belong in a log line or a header.
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_API = "/api/v1/"
# Clients write the address of the service with a slash at its end, or without.
AWS_PATHS = ("/aws", "/aws/")
# The paths that probes and Prometheus ask for.
PAST_THE_PROXY = ("/health", "/health/live", "/health/ready", "/metrics")


class RequestContextMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        carried = CurrentRequest(
            id=given if _SANE_ID.fullmatch(given) else str(uuid.uuid4()),
            limit=WaitLimit(settings.FACESVC_INFERENCE_WAIT_SECONDS, takes_place=True),
        )
        token = current.set(carried)
        try:
            with nowhere():  # the token says which collection it is of
                return self._answer(request, carried)
        finally:
            # The next line that this thread logs may belong to no request, or to a broken one.
            current.reset(token)

    def _answer(self, request: HttpRequest, carried: CurrentRequest) -> HttpResponse:
        with tracing.around(request):
            response = self._get_response(request)
            carried.status = response.status_code
            response["X-Request-ID"] = carried.id
            for name, value in carried.rate_limit.items():
                response[name] = value
            if request.path.startswith(_API):
                # Answers are about people's faces: no browser or proxy may keep them.
                response.setdefault("Cache-Control", "no-store")
            seconds = time.perf_counter() - carried.started
            metrics.observe(request, response, seconds)
            logs.request_line(request, response, round(seconds * 1000, 1))
        return response


class AdmissionMiddleware:
    """Refuses requests at once when the threads of this process have no room for them.

    What requests may wait for, such as the database, cannot take the last threads. Probes pass: a
    process whose requests all wait is alive, and says so.
    """

    _FREE_THREADS = 2

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._inside = 0
        self._lock = Lock()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in PAST_THE_PROXY:
            return self._get_response(request)
        computing = settings.FACESVC_INFERENCE_AT_ONCE + settings.FACESVC_INFERENCE_WAITING
        room = max(computing, settings.WEB_THREADS - self._FREE_THREADS)
        with self._lock:
            has_room = self._inside < room
            self._inside += has_room
        if not has_room:
            REFUSED.labels("threads").inc()
            return failures.unavailable(request)
        try:
            return self._get_response(request)
        finally:
            with self._lock:
                self._inside -= 1


class CommonMiddleware(common.CommonMiddleware):
    """Skips Django's check of ALLOWED_HOSTS for probes and Prometheus.

    They come past the proxy, to the address of a pod, which no setting can name.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        if request.path in PAST_THE_PROXY:
            return None
        return super().process_request(request)


# The one form that may be long reads nothing before it knows the operator and the length.
_PHOTO_FORM = "/admin/recognition/face/find-by-photo/"


class BodyLimitMiddleware:
    """Refuses a body that is too long for a form; the views of the API have limits of their own.

    Django's own limit holds for the whole service, and a batch needs a large one: without this
    class anybody could make the login read hundreds of megabytes. The service reads a form before
    it knows who sent it, so this limit is what facesvc.running.web_worker waits for without a
    thread.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("CONTENT_LENGTH") or ""
        length = int(given) if given.isdecimal() else 0
        may_be_long = request.path.startswith(_API) or request.path in (*AWS_PATHS, _PHOTO_FORM)
        if length > settings.BODY_ROOM_BYTES and not may_be_long:
            return failures.payload_too_large(request)
        return self._get_response(request)
