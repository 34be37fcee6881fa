"""Fields of request bodies, and what every body has in common."""

import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.utils import html

from recognition import strict_json
from recognition.api import base64_text
from recognition.errors import ServiceError
from recognition.models import user_ids
from recognition.models.user_ids import InvalidUserIdError, UserId
from recognition.privacy import consent

MAX_METADATA_BYTES = 8192
VIEWER_HEADER = "X-On-Behalf-Of"


USER_ID: dict[str, Any] = {
    "type": "string",
    "format": "user-id",  # ours: docs/api.md says what a schema cannot
    "minLength": 1,
    "maxLength": user_ids.MAX_LENGTH,
}
# The API description of searches on behalf of a user has it.
viewer_parameter = OpenApiParameter(
    VIEWER_HEADER,
    USER_ID,
    OpenApiParameter.HEADER,
    description="The same as `on_behalf_of`, percent-encoded as in a path.",
)


def refuse_unknown(names: Iterable[str], known: Collection[str]) -> None:
    """Raises unknown_field: a client must notice a misspelt option."""
    if unknown := sorted(set(names) - set(known)):
        message = f"Unknown: {', '.join(unknown)[:200]}."
        raise ServiceError("unknown_field", message, {"known": [*known]})


class StrictSerializer(serializers.Serializer[Any]):
    # Refuses unknown fields. This is a comment, here and below, since a docstring would stand in
    # the API description of every body.

    one_of: tuple[str, ...] = ()  # fields, exactly one of which is needed

    def to_internal_value(self, data: Any) -> Any:
        if hasattr(data, "keys"):
            refuse_unknown(data.keys(), [*self.fields])
        return super().to_internal_value(data)


class ChoiceField(serializers.ChoiceField):
    """A choice whose error lists the possible values."""

    def fail(self, key: str, **values: Any) -> NoReturn:
        if key == "invalid_choice":
            known = ", ".join(map(str, self.choices))
            raise serializers.ValidationError(f"It must be one of {known}.", code=key)
        super().fail(key, **values)


@extend_schema_field(
    {
        "type": "string",
        "contentEncoding": "base64",
        "description": "JPEG, PNG, WebP or BMP, as base64 or as a data URI.",
    }
)
class PictureField(serializers.Field[bytes, Any, Any, Any]):
    """A picture's bytes from base64 (plain or a data URI), an upload, or a raw body.

    The parser of JSON has decoded a long text.
    """

    default_error_messages = {"invalid": "A picture as base64, or as an uploaded file."}

    def to_internal_value(self, data: Any) -> bytes:
        match data:
            case bytes():
                picture = data
            case UploadedFile():
                picture = bytes(data.read())
            case base64_text.DecodedPicture():
                picture = data.read()
            case str():
                picture = base64_text.decoded(data)
            case _:
                self.fail("invalid")
        if not picture:
            raise ServiceError("empty_image", "The picture is empty.")
        return picture


@extend_schema_field(USER_ID)
class UserIdField(serializers.Field[UserId, Any, Any, Any]):
    """The app's id of a user, as text: docs/api.md says what it may be."""

    default_error_messages = {
        "invalid": 'A user id is a text: write the number 42 as "42".',
        "problem": "{problem}",
    }

    def to_internal_value(self, data: Any) -> UserId:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return UserId(data)
        except InvalidUserIdError as error:
            self.fail("problem", problem=error)


def user_id_of(text: str, name: str) -> UserId:
    """The id in a path or a query. Raises invalid_request, with the `name` of the parameter."""
    try:
        return UserId(text)
    except InvalidUserIdError as error:
        fields = {"fields": {name: [str(error)]}}
        raise ServiceError("invalid_request", f"{name}: {error}", fields) from None


class TextField(serializers.CharField):
    """A JSON string; Django REST framework also takes numbers for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """A whole number, and in JSON no string, fraction or boolean. A form has only text.

    2.0 is a whole number, as in JSON Schema: some languages know no other numbers.
    """

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            data = int(data)
        is_form = html.is_html_input(self.root.initial_data)
        if type(data) is not int and not (is_form and isinstance(data, str)):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """A boolean: true or false, and in a form "true" or "false"."""

    TRUE_VALUES = {True, "true"}
    FALSE_VALUES = {False, "false"}
    NULL_VALUES: set[Any] = set()
    default_empty_html = serializers.empty  # a form without it has left it out

    def to_internal_value(self, data: Any) -> bool:
        if type(data) not in (bool, str):
            self.fail("invalid", input=data)
        return bool(super().to_internal_value(data))


class FiniteFloatField(serializers.FloatField):
    """A finite number. A form may say NaN, which passes every comparison."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not math.isfinite(value := super().to_internal_value(data)):
            self.fail("invalid")
        return value


class TimeField(serializers.DateTimeField):
    """A time as text; Django REST framework also takes other types for one."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.fail("invalid", format="ISO 8601")
        return super().to_internal_value(value)


class ObjectField(serializers.JSONField):
    """A JSON object of limited size; forms carry it as text."""

    default_error_messages = {
        "object": "A JSON object is needed.",
        "long": f"More than {MAX_METADATA_BYTES} bytes.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value = super().to_internal_value(_from_text(data))
        if not isinstance(value, dict):
            self.fail("object")
        if len(json.dumps(value)) > MAX_METADATA_BYTES:
            self.fail("long")
        return value


class MetadataField(ObjectField):
    """The caller's own data. The service checks the keys that it uses itself."""

    texts: tuple[str, ...] = ("source", "context")
    default_error_messages = {
        "text": "{name} must be a text of at most 200 characters.",
        "flag": "{name} must be true or false.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value = super().to_internal_value(data)
        for name in self.texts:
            if not isinstance(value.get(name, ""), str) or len(value.get(name, "")) > 200:
                self.fail("text", name=name)
        if not isinstance(value.get("quality_check", True), bool):
            self.fail("flag", name="quality_check")
        return value


class FaceMetadataField(MetadataField):
    """Stored with a face."""

    default_error_messages = {"consent": "{problem}"}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value = super().to_internal_value(data)
        if consent.CONSENT in value and (problem := consent.problem_with(value[consent.CONSENT])):
            self.fail("consent", problem=problem)
        return value


class AttemptMetadataField(MetadataField):
    """The metadata of a verification or of a session."""

    texts = ("source", "context", "session_id", "device_id")


def _from_text(data: Any) -> Any:
    if not isinstance(data, str):
        return data
    try:
        return strict_json.loads(data)
    except ValueError:
        raise serializers.ValidationError("Not valid JSON.") from None


class NestedList(serializers.ListSerializer[Any]):
    # A list of objects inside a body; forms carry it as JSON text.

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, serializers.empty)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(_from_text(data))


class NestedSerializer(StrictSerializer):
    # An object inside a body; forms carry it as JSON text. Left out, each of its options has its
    # default.

    def get_default(self) -> Any:
        return self.to_internal_value({})

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, serializers.empty)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(_from_text(data))


def viewer_of(request: Request, fields: Mapping[str, Any]) -> UserId | None:
    """The user on whose behalf the caller searches, from the body or the header.

    Raises ValidationError when they disagree.
    """
    in_body: UserId | None = fields.get("on_behalf_of")
    text = request.headers.get(VIEWER_HEADER)
    if text is None:
        return in_body
    try:
        # Servers give the bytes of a header as Latin-1.
        in_header = UserId(unquote_to_bytes(text.encode("latin-1")).decode())
    except UnicodeError:
        message = "The header is not percent-encoded UTF-8."
        raise serializers.ValidationError({VIEWER_HEADER: [message]}) from None
    except InvalidUserIdError as error:
        raise serializers.ValidationError({VIEWER_HEADER: [str(error)]}) from None
    if in_body not in (None, in_header):
        raise serializers.ValidationError(
            {VIEWER_HEADER: "The body names another user in on_behalf_of."}
        )
    return in_header
