"""Bodies: strict JSON, forms and bare pictures, none longer than its view takes."""

import codecs
from typing import Any

from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser, MultiPartParser

from recognition import strict_json
from recognition.errors import ServiceError


def check_length(context: Any) -> None:
    """Before anything is read: the rest of the stack reads whole bodies into memory."""
    request, limit = context["request"], context["view"].max_body_bytes()
    length = request.META.get("CONTENT_LENGTH")
    if not length and "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        raise ServiceError("length_required", "The body needs a Content-Length.")
    if int(length or 0) > limit:
        raise ServiceError(
            "payload_too_large", f"The body has {length} bytes; at most {limit} are taken here."
        )


class StrictJSONParser(JSONParser):
    """JSON objects only."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        check_length(parser_context)
        try:
            data = strict_json.loads(codecs.decode(stream.read(), "utf-8"))
        except ValueError as error:
            raise ParseError("The body is not valid JSON.") from error
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object.")
        return data


class LimitedMultiPartParser(MultiPartParser):
    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        check_length(parser_context)
        return super().parse(stream, media_type, parser_context)


class RawImageParser(BaseParser):
    """A body that is the picture itself; the other fields come from the query string."""

    media_type = "image/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        check_length(parser_context)
        data = MultiValueDict(parser_context["request"].query_params)
        data["image"] = stream.read()
        return data
