"""The envelope of every answer."""

import time
from datetime import UTC, datetime
from typing import Any

from rest_framework.renderers import JSONRenderer

from recognition.packs import engine
from recognition.processes.current_request import current


def metadata() -> dict[str, str]:
    """Beside each answer. `model_version` is that of the active pack where nothing computed."""
    request = current.get()
    return {
        "request_id": request.id,
        "processing_time": f"{round((time.perf_counter() - request.started) * 1000)}ms",
        "model_version": request.model_version or engine.model_version(),
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
        response = renderer_context["response"]
        key = "error" if response.exception else "data"
        envelope = {"success": not response.exception, key: data, "metadata": metadata()}
        body: bytes = super().render(envelope, accepted_media_type, renderer_context)
        return body
