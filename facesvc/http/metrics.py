"""GET /metrics for Prometheus: what this machine's web processes counted, and what is stored.

The processes of one gunicorn count together in a folder, see facesvc.running.gunicorn_conf.
What is stored is the same from each process and each machine.
"""

import os
from collections.abc import Iterable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from facesvc import __version__
from facesvc.http import errors
from facesvc.monitoring import stored_metrics
from facesvc.monitoring.logs import method_of, route_of

_REQUESTS = Counter("facesvc_requests", "Requests answered.", ["route", "method", "status"])
_SECONDS = Histogram(
    "facesvc_request_seconds",
    "Time from the first byte of a request's head to its answer, without the time on the network.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


def observe(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    route = route_of(request)
    _REQUESTS.labels(route, method_of(request), response.status_code).inc()
    _SECONDS.labels(route).observe(seconds)


@require_safe
def view(request: HttpRequest) -> HttpResponse:
    if not (settings.FACESVC_METRICS_TOKEN or settings.FACESVC_METRICS_OPEN):
        return errors.failure("not_found", "There is nothing here.")
    if not settings.FACESVC_METRICS_OPEN and not _has_token(request):
        response = errors.failure("invalid_token", "The token is not valid.")
        response["WWW-Authenticate"] = 'Bearer realm="facesvc metrics"'
        return response
    text = b"".join(generate_latest(registry) for registry in _registries())
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "")
    return constant_time_compare(given, f"Bearer {settings.FACESVC_METRICS_TOKEN}")


def _registries() -> Iterable[CollectorRegistry]:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        yield counted
    else:
        yield REGISTRY
    rest = CollectorRegistry()
    rest.register(_NotCounted())
    yield rest


class _NotCounted(Collector):
    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily(
            "facesvc_build_info", "The version of the service; always 1.", labels=["version"]
        )
        build.add_metric([__version__], 1)
        return [build, *stored_metrics.collect()]
