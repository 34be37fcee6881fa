"""Bodies: JSON without the corners that databases choke on, and bare pictures."""

import codecs
import json
import re
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser

from recognition.errors import ServiceError

# NUL, which PostgreSQL refuses in text, and halves of surrogate pairs, which no UTF-8 can hold.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def check_length(context: Any) -> None:
    """Before anything is read: the rest of the stack reads whole bodies into memory."""
    length = int(context["request"].META.get("CONTENT_LENGTH") or 0)
    if length > settings.MAX_BODY_BYTES:
        raise ServiceError(
            "payload_too_large",
            f"The body has {length} bytes; at most {settings.MAX_BODY_BYTES} are taken.",
        )


class StrictJSONParser(JSONParser):
    """JSON objects only; NaN and Infinity, NUL and lone surrogates are refused."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        check_length(parser_context)
        try:
            text = codecs.decode(stream.read(), "utf-8")
            data = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ParseError("The body is not valid JSON.") from error
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object.")
        # Such characters come from escapes only; most bodies have none, so most are not walked.
        if "\\u" in text and not _is_storable(data):
            raise ParseError("A text has a character that cannot be stored.")
        return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _is_storable(value: Any) -> bool:
    match value:
        case str():
            return not _UNSTORABLE.search(value)
        case list():
            return all(map(_is_storable, value))
        case dict():
            return all(_is_storable(key) and _is_storable(item) for key, item in value.items())
    return True


class RawImageParser(BaseParser):
    """A body that is the picture itself; the other fields come from the query string."""

    media_type = "image/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        check_length(parser_context)
        request = parser_context["request"]
        return {**request.query_params.dict(), "image": stream.read()}
