"""OpenTelemetry, which is imported only if its usual variables are set.

A span for each request, named by its route, and one for each of its stages. Paths, ids and
statements stay here.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.http import HttpRequest

from facesvc.monitoring.logs import method_of, route_of
from recognition.processes import slots
from recognition.processes.current_request import current

logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracer: Any = None
# What goes around a request.
around: Callable[[HttpRequest], AbstractContextManager[object]] = nullcontext


def is_wanted(environment: "os._Environ[str] | dict[str, str]") -> bool:
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    off = off or environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    return not off and any(environment.get(name) for name in _ENDPOINTS)


def start() -> None:
    """Starts tracing in a process that answers requests, after its fork."""
    if not is_wanted(os.environ):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        logger.warning("no traces without the extra otel (%s)", error)
        return
    os.environ.setdefault("OTEL_SERVICE_NAME", "facesvc")
    provider = TracerProvider(resource=Resource.create())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)


def use(provider: Any) -> None:
    """Trace everything with this provider from now on."""
    global _tracer, around
    _tracer = provider.get_tracer("facesvc")
    around, slots.around = _request_span, _span


def _span(name: str, **options: Any) -> Any:
    # An exception's message may hold what the log leaves out, so it is not recorded.
    silent = {"record_exception": False, "set_status_on_exception": False}
    return _tracer.start_as_current_span(name, **silent, **options)


@contextmanager
def _request_span(request: HttpRequest) -> Iterator[None]:
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    method = method_of(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    with _span(method, context=extract(headers), kind=SpanKind.SERVER) as span:
        yield
        span.update_name(f"{method} {route_of(request)}")
        span.set_attribute("http.request.method", method)
        span.set_attribute("http.route", route_of(request))
        span.set_attribute("http.response.status_code", current.get().status)
        span.set_attribute("facesvc.request_id", current.get().id)
