"""GET /metrics for Prometheus: what this machine's web processes counted, and what is stored.

The processes of one gunicorn count together in a folder, see facesvc.running.gunicorn_conf.
What is stored is the same from each process and each machine. Workers show what they counted on a
port of their own, see facesvc.running.worker_metrics.
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

CHALLENGE = 'Bearer realm="facesvc metrics"'


def observe(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    route = route_of(request)
    _REQUESTS.labels(route, method_of(request), response.status_code).inc()
    _SECONDS.labels(route).observe(seconds)


@require_safe
def view(request: HttpRequest) -> HttpResponse:
    if not is_shown():
        return errors.failure("not_found", "There is nothing here.")
    if not may_see(request.headers.get("Authorization", "")):
        response = errors.failure("invalid_token", "The token is not valid.")
        response["WWW-Authenticate"] = CHALLENGE
        return response
    text = counted() + generate_latest(_registry_of(_Stored()))
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def is_shown() -> bool:
    """Whether anybody may see the metrics."""
    return bool(settings.FACESVC_METRICS_TOKEN or settings.FACESVC_METRICS_OPEN)


def may_see(authorization: str) -> bool:
    """Whether the sender of this header may see the metrics, if they are shown at all."""
    if settings.FACESVC_METRICS_OPEN:
        return True
    return constant_time_compare(authorization, f"Bearer {settings.FACESVC_METRICS_TOKEN}")


def counted() -> bytes:
    """What this process counted, or all processes that count together, and the version."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(_registry_of(_Build()))


def _registry_of(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


class _Build(Collector):
    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily(
            "facesvc_build_info", "The version of the service; always 1.", labels=["version"]
        )
        build.add_metric([__version__], 1)
        return [build]


class _Stored(Collector):
    def collect(self) -> Iterable[Metric]:
        return stored_metrics.collect()
