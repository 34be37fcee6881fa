"""Bodies: strict JSON, forms and bare pictures; the view has checked their length."""

from collections.abc import Iterator
from typing import Any, cast

from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser

from recognition import strict_json
from recognition.api import base64_text
from recognition.errors import ServiceError
from recognition.inference.images import is_known
from recognition.strict_json import PacedBody

# The fields of all forms that are pictures.
_PICTURES = {"image", "image_a", "image_b", "images"}


class StrictJSONParser(JSONParser):
    """JSON objects only."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        most = parser_context["view"].most_other_bytes
        try:
            data = strict_json.load_body(PacedBody(stream).read, most, base64_text.Base64Decoder)
        except strict_json.TooLongError as error:
            raise _too_long(most) from error
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


class FormParser(BaseParser):
    """Forms. Clients differ in what they send as a file.

    So a picture may come without a file name, and any other field, such as a list in JSON, with
    one.
    """

    media_type = "multipart/form-data"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        request, most = parser_context["request"], parser_context["view"].most_other_bytes
        meta, body = {**request.META, "CONTENT_TYPE": media_type}, cast(Any, PacedBody(stream))
        try:
            texts, files = _Form(meta, body, request.upload_handlers, "latin-1").parse()
        except MultiPartParserError as error:
            raise ParseError(f"The form is broken: {error}") from error
        data: MultiValueDict[str, Any] = MultiValueDict()
        others = 0  # bytes beside the pictures
        for name, raw in _parts(texts):
            is_picture = name in _PICTURES
            others += 0 if is_picture else len(raw)
            raw_picture = is_picture and is_known(raw)
            data.appendlist(name, raw if raw_picture else raw.decode(errors="replace"))
        for name, file in _files(files):
            is_picture = name in _PICTURES
            raw = b"" if is_picture else file.read(most + 1)
            others += len(raw)
            data.appendlist(name, file if is_picture else raw.decode(errors="replace"))
        if others > most:
            raise _too_long(most)
        return data


class _Form(MultiPartParser):
    """Reads texts and names as latin-1, which loses no byte of a picture or of UTF-8."""

    def sanitize_file_name(self, file_name: str) -> str | None:
        return super().sanitize_file_name(file_name.encode("latin-1").decode(errors="replace"))


def _parts(texts: Any) -> Iterator[tuple[str, bytes]]:
    for name in texts:
        for text in texts.getlist(name):
            yield _utf8(name), text.encode("latin-1")


def _files(files: Any) -> Iterator[tuple[str, Any]]:
    for name in files:
        for file in files.getlist(name):
            yield _utf8(name), file


def _utf8(name: str) -> str:
    return name.encode("latin-1").decode(errors="replace")


def _too_long(most: int) -> ServiceError:
    message = f"Beside the pictures, the body has more than {most} bytes."
    return ServiceError("payload_too_large", message)
