"""Loading a whole graph over HTTP."""

import io
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.http import UnreadablePostError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from management.api.answers import GraphImported
from management.graph import ndjson
from management.graph.loading import import_graph
from recognition.api.service_view import ServiceViewSet
from recognition.errors import ServiceError

MEDIA_TYPE = "application/x-ndjson"
_EXAMPLE = """\
{"user": {"user_id": "5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a001", "privacy_level": "public"}}
{"user": {"user_id": "5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a002", "display_name": "Joe"}}
{"friendship": ["5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a001", "5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a002"]}
{"group": "hiking"}
{"membership": {"group": "hiking", "user_id": "5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a001"}}
{"remove": {"membership": {"group": "chess", "user_id": "5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a001"}}}
"""


class Body(io.RawIOBase):
    """A request's body as a file; it must be as long as Content-Length says."""

    def __init__(self, stream: Any, length: int) -> None:
        self._stream = stream
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except UnreadablePostError:
            data = b""
        self._left -= len(data)
        if not data and self._left:
            # The end is missing, and half a graph must not pass for a whole one.
            raise ServiceError("invalid_request", f"The body ended {self._left} bytes too early.")
        buffer[: len(data)] = data
        return len(data)


class LinesParser(BaseParser):
    """Hands out the lines of the body without reading them: a graph does not fit into memory."""

    media_type = MEDIA_TYPE

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        length = int(parser_context["request"].META["CONTENT_LENGTH"])
        return ndjson.read(io.BufferedReader(Body(stream, length), 64 * 1024))


class GraphViewSet(ServiceViewSet):
    """Loads many users, friendships, groups and memberships at once: all of them or none."""

    required_scope = "face:manage"
    tag = "friends and groups"
    parser_classes = [LinesParser]
    is_read_by_lines = True

    def max_body_bytes(self) -> int:
        return int(settings.MAX_GRAPH_BYTES)

    @extend_schema(
        operation_id="import_graph",
        summary="Load many users, friendships and groups at once",
        request={MEDIA_TYPE: OpenApiTypes.STR},
        responses={200: GraphImported},
        examples=[
            OpenApiExample("Lines", _EXAMPLE, media_type=MEDIA_TYPE, request_only=True),
        ],
    )
    def create(self, request: Request) -> Response:
        """Send one JSON object a line, in any order; the last of several about one thing counts.

        A user has the fields of PUT. Only friendships and memberships can be removed. A second
        import of the same lines changes nothing. `invalid_graph` names the lines.
        """
        self.caller.require_service()
        if "Idempotency-Key" in request.headers:
            message = "This operation takes no Idempotency-Key: send the same lines again."
            raise ServiceError("invalid_request", message)
        lines: Any = request.data
        if not isinstance(lines, Iterator):
            raise ServiceError("invalid_request", f"A body of {MEDIA_TYPE} is needed.")
        return Response(import_graph(actor=self.caller.name, lines=lines))
