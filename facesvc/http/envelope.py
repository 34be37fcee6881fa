"""The envelope of every answer."""

import time
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from rest_framework.renderers import JSONRenderer

from recognition.packs import engine


def metadata(request: HttpRequest) -> dict[str, str]:
    elapsed = time.perf_counter() - request.META["facesvc.started"]
    return {
        "request_id": request.META["facesvc.request_id"],
        "processing_time": f"{round(elapsed * 1000)}ms",
        "model_version": engine.used().model_version,
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


class EnvelopeRenderer(JSONRenderer):
    """Wraps the answer of a view as `data`, or what exception_handler made of an error."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Any = None,
    ) -> bytes:
        request, response = renderer_context["request"], renderer_context["response"]
        key = "error" if response.exception else "data"
        envelope = {
            "success": not response.exception,
            key: data,
            "metadata": metadata(request._request),
        }
        body: bytes = super().render(envelope, accepted_media_type, renderer_context)
        return body
