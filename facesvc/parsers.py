"""Bodies: strict JSON and bare pictures; the view has checked their length."""

import codecs
from typing import Any

from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser

from recognition import strict_json


class StrictJSONParser(JSONParser):
    """JSON objects only."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            data = strict_json.loads(codecs.decode(stream.read(), "utf-8"))
        except ValueError as error:
            raise ParseError("The body is not valid JSON.") from error
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object.")
        return data


class RawImageParser(BaseParser):
    """A body that is the picture itself; the other fields come from the query string."""

    media_type = "image/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        data = MultiValueDict(parser_context["request"].query_params)
        data["image"] = stream.read()
        return data
