"""Request bodies: what is taken, and the shapes of the answers for the API description."""

import json
import math
from collections.abc import Collection, Iterable
from typing import Any, NoReturn

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.utils import html

from recognition import strict_json
from recognition.api import base64_text
from recognition.errors import ServiceError
from recognition.gallery import comparing
from recognition.packs import thresholds
from recognition.privacy import consent

MAX_METADATA_BYTES = 8192


def refuse_unknown(names: Iterable[str], known: Collection[str]) -> None:
    """Raises unknown_field: a misspelt option must not be ignored silently."""
    if unknown := sorted(set(names) - set(known)):
        message = f"Unknown: {', '.join(unknown)[:200]}."
        raise ServiceError("unknown_field", message, {"known": [*known]})


class StrictSerializer(serializers.Serializer[Any]):
    # Not docstrings, here and below: they would stand in the API description of every body.
    # Refuses fields that it does not know.

    def to_internal_value(self, data: Any) -> Any:
        if hasattr(data, "keys"):
            refuse_unknown(data.keys(), [*self.fields])
        return super().to_internal_value(data)


class ChoiceField(serializers.ChoiceField):
    """Says what there is to choose from."""

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

    The parser of JSON has decoded what is long, and gives what is wrong with it as an error.
    """

    default_error_messages = {"invalid": "A picture as base64, or as an uploaded file."}

    def to_internal_value(self, data: Any) -> bytes:
        if isinstance(data, bytes) and data:
            return data
        if isinstance(data, UploadedFile):
            return bytes(data.read())
        if isinstance(data, str):
            return base64_text.decoded(data)
        if isinstance(data, ServiceError):
            raise data
        self.fail("invalid")

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data in ("", b""):
            raise ServiceError("empty_image", "The picture is empty.")
        return super().run_validation(data)


class IdField(serializers.UUIDField):
    """A UUID as text; Django REST framework also takes numbers and booleans for one."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """A JSON string; Django REST framework also takes numbers for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """A whole number; JSON's strings, fractions and booleans are none (forms have only text).

    2.0 is one, as JSON Schema has it: some languages know no other numbers.
    """

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            data = int(data)
        is_form = html.is_html_input(self.root.initial_data)
        if type(data) is not int and not (is_form and isinstance(data, str)):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """true or false, not "yes" or 1; a form says "true" or "false"."""

    TRUE_VALUES = {True, "true"}
    FALSE_VALUES = {False, "false"}
    NULL_VALUES: set[Any] = set()

    def to_internal_value(self, data: Any) -> bool:
        if type(data) not in (bool, str):
            self.fail("invalid", input=data)
        return bool(super().to_internal_value(data))


class FiniteFloatField(serializers.FloatField):
    """Forms may say NaN, which passes every comparison."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not math.isfinite(value := super().to_internal_value(data)):
            self.fail("invalid")
        return value


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
    """The caller's own data. Keys that mean something to us are checked."""

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
    """Of a verification, or of a session for some."""

    texts = ("source", "context", "session_id", "device_id")


def _from_text(data: Any) -> Any:
    if not isinstance(data, str):
        return data
    try:
        return strict_json.loads(data)
    except ValueError:
        raise serializers.ValidationError("Not valid JSON.") from None


class NestedSerializer(StrictSerializer):
    # An object inside a body; forms carry it as JSON text.

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, serializers.empty)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(_from_text(data))


class SearchScope(NestedSerializer):
    user_groups = serializers.ListField(
        child=TextField(max_length=64), default=["public", "friends"], max_length=50
    )
    scope = ChoiceField(
        ["all"], required=False, help_text="`all` searches everyone; needs face:admin."
    )
    match_on = ChoiceField(
        comparing.MATCH_ON,
        default="face",
        help_text="Compare with every face, or with the mean of each user's faces.",
    )
    max_candidates = WholeNumberField(min_value=1, max_value=100, default=10)
    min_confidence = FiniteFloatField(
        min_value=0,
        max_value=0.9999,
        required=False,
        help_text="FACE_MATCH_THRESHOLD if left out, and at least that in a search for a user.",
    )
    max_false_positive_rate = FiniteFloatField(
        min_value=1e-9,
        max_value=1,
        default=0.01,
        allow_null=True,
        help_text="The share of searches in which a stranger may match anybody; null for no limit, "
        "which needs face:admin.",
    )

    def get_default(self) -> Any:
        """Left out means every option at its default, not no options."""
        return self.to_internal_value({})


class RegisterRequest(StrictSerializer):
    user_id = IdField()
    image = PictureField()
    face_group = TextField(max_length=64, default="primary")
    face_index = WholeNumberField(min_value=0, max_value=1000, required=False)
    metadata = FaceMetadataField(
        default=dict,
        help_text="Stored with the face. `consent`: {given_at, text_version}; see docs/privacy.md.",
    )


class VerifyRequest(StrictSerializer):
    user_id = IdField()
    image = PictureField()
    face_id = TextField(max_length=17, required=False)
    verification_level = ChoiceField(
        thresholds.LEVELS,
        required=False,
        help_text="`standard` if left out; in a session the stricter of both.",
    )
    match_on = ChoiceField(
        comparing.MATCH_ON,
        default="face",
        help_text="Decide by the most similar face, or by the mean of all (not with face_id).",
    )
    metadata = AttemptMetadataField(
        default=dict,
        help_text="`session_id`: the session of this attempt. `device_id`: see docs/risk.md.",
    )

    def validate(self, attrs: Any) -> Any:
        if "face_id" in attrs and attrs["match_on"] == "user":
            raise serializers.ValidationError(
                {"match_on": "One face has no mean: leave out face_id."}
            )
        return attrs


class IdentifyRequest(StrictSerializer):
    image = PictureField()
    on_behalf_of = IdField(required=False)
    faces = ChoiceField(["all", "largest"], default="all")
    search_scope = SearchScope(required=False)
    metadata = MetadataField(default=dict)


class DetectRequest(StrictSerializer):
    image = PictureField()


class CompareRequest(StrictSerializer):
    image_a = PictureField()
    image_b = PictureField()
    verification_level = ChoiceField(thresholds.LEVELS, default="standard")
