"""Request bodies of the batch endpoints."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.utils import html

from batch.jobs.verbs import ItemResult
from recognition import strict_json
from recognition.api.fields import (
    MAX_METADATA_BYTES,
    FaceMetadataField,
    FlagField,
    MetadataField,
    NestedSerializer,
    PictureField,
    StrictSerializer,
    TextField,
    UserIdField,
    WholeNumberField,
    refuse_unknown,
)
from recognition.api.serializers import UNIQUE_PEOPLE, SearchScope
from recognition.errors import ServiceError

_MAX_ID = 200
# Bytes of a body for the other fields of each picture.
MOST_OF_EACH = MAX_METADATA_BYTES + 2048


class BatchPictureField(PictureField):
    """A picture's bytes, or the ItemResult of one that cannot be read: only its item fails."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        try:
            picture = super().run_validation(data)
        except ServiceError as error:
            return ItemResult.refused(error)
        except serializers.ValidationError as error:
            return ItemResult.failed("invalid_request", " ".join(map(str, error.detail)))
        if len(picture) > settings.MAX_IMAGE_BYTES:
            message = f"The picture has more than {settings.MAX_IMAGE_SIZE_MB:g} MB."
            return ItemResult.failed("image_too_large", message)
        return picture


class BatchPicture(StrictSerializer):
    image_id = TextField(max_length=_MAX_ID)
    image = BatchPictureField()


class BatchFace(BatchPicture):
    user_id = UserIdField()
    face_group = TextField(max_length=64, default="primary")
    face_index = WholeNumberField(min_value=0, max_value=1000, default=None)
    metadata = FaceMetadataField(default=dict)


class Processing(NestedSerializer):
    callback_url = TextField(
        max_length=2000, required=False, help_text="Gets the webhook batchJobEnded."
    )

    def get_fields(self) -> dict[str, Any]:
        # `async` is a word of Python, so it cannot be the name of an attribute.
        return {"async": FlagField(default=False), **super().get_fields()}

    def validate(self, attrs: Any) -> Any:
        if attrs.get("callback_url") and not attrs["async"]:
            raise serializers.ValidationError({"callback_url": ["Only with `async`: true."]})
        return attrs


class IdentifyProcessing(Processing):
    group_unknown = FlagField(
        default=False,
        help_text="Put the faces without a candidate together, each person's under an "
        "`unknown_id`. Only services may, and only with `async`.",
    )

    def validate(self, attrs: Any) -> Any:
        if attrs["group_unknown"] and not attrs["async"]:
            raise serializers.ValidationError({"group_unknown": ["Only with `async`: true."]})
        return super().validate(attrs)


class AlwaysAsync(Processing):
    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {"async": FlagField(default=True)}

    def validate(self, attrs: Any) -> Any:
        if not attrs["async"]:
            raise serializers.ValidationError({"async": ["Only true is possible here."]})
        return attrs


class BatchRequest(StrictSerializer):
    """JSON with pictures in base64; or a form with files `images`, and a JSON list `items` with
    their fields in the same order. Without an `image_id`, the file's name is its id.
    """

    # A field that a form has to give for each picture, in `items`.
    required_of_each = ""

    def to_internal_value(self, data: Any) -> Any:
        if html.is_html_input(data):
            refuse_unknown(data, [*self.fields, "items"])
            with _named_as_in_form():
                return self._read(_from_form(data, required=self.required_of_each))
        return self._read(data)

    def _read(self, data: Any) -> Any:
        images = data.get("images")
        if isinstance(images, list) and len(images) > settings.MAX_BATCH_SIZE:
            raise ServiceError(
                "too_many_images",
                f"{len(images)} pictures; at most {settings.MAX_BATCH_SIZE} are taken.",
                {"limit": settings.MAX_BATCH_SIZE, "images": len(images)},
            )
        return super().to_internal_value(data)

    def validate_images(self, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        counts = Counter(image["image_id"] for image in images)
        if twice := sorted(name for name, count in counts.items() if count > 1):
            message = f"image_id is not unique: {', '.join(twice)[:200]}."
            if html.is_html_input(self.initial_data):
                message += ' Give files of the same name others: `items=[{"image_id": "a"}, ...]`.'
            raise serializers.ValidationError(message)
        return images


class BatchIdentifyRequest(BatchRequest):
    images = BatchPicture(many=True, allow_empty=False)
    on_behalf_of = UserIdField(required=False)
    faces = serializers.ChoiceField(["all", "largest"], default="all")
    unique_people = FlagField(required=False, help_text=UNIQUE_PEOPLE)
    search_scope = SearchScope(required=False)
    metadata = MetadataField(default=dict)
    processing_options = IdentifyProcessing(required=False)


class BatchRegisterRequest(BatchRequest):
    required_of_each = "user_id"
    images = BatchFace(many=True, allow_empty=False)
    processing_options = AlwaysAsync(required=False)


@contextmanager
def _named_as_in_form() -> Iterator[None]:
    """Reports errors of single pictures under `items`, where a form has their fields."""
    try:
        yield
    except serializers.ValidationError as error:
        detail = error.detail
        if not isinstance(detail, dict) or not isinstance(detail.get("images"), dict):
            raise
        # The keys of `images` are the numbers of the pictures.
        renamed = {"items" if name == "images" else name: each for name, each in detail.items()}
        raise serializers.ValidationError(renamed) from None


def _from_form(data: Any, *, required: str) -> dict[str, Any]:
    """Turns a form into the fields of a JSON body, with uploads in place of base64."""
    files = data.getlist("images")
    if required and files and "items" not in data:
        message = f'A JSON list in the files\' order is needed: `[{{"{required}": "..."}}, ...]`.'
        raise serializers.ValidationError({"items": [message]})
    try:
        most = settings.MAX_BATCH_SIZE * MOST_OF_EACH
        items = strict_json.loads(data.get("items", "[]"), most)
    except (TypeError, ValueError):
        raise serializers.ValidationError({"items": ["Not valid JSON."]}) from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise serializers.ValidationError({"items": ["A list of objects is needed."]})
    if items and len(items) != len(files):
        message = f"{len(items)} items for {len(files)} images."
        raise serializers.ValidationError({"items": [message]})
    images = [
        {"image_id": (getattr(file, "name", "") or "")[:_MAX_ID], **item, "image": file}
        for file, item in zip(files, items or [{}] * len(files), strict=True)
    ]
    others = {name: data.get(name) for name in data if name not in ("images", "items")}
    return {**others, "images": images}


# --- forms, for the API description alone ---------------------------------------------------------


@extend_schema_field({"type": "string", "format": "binary"})
class UploadField(serializers.FileField):
    pass


@extend_schema_field({"type": "string", "format": "json"})
class JsonText(serializers.CharField):
    pass


class BatchIdentifyForm(StrictSerializer):
    """The fields of JSON, the objects among them as JSON texts, and the pictures as files."""

    images = serializers.ListField(child=UploadField(), min_length=1)
    items = serializers.CharField(
        required=False,
        help_text='A JSON list, in the files\' order: `[{"image_id": "a"}]`. Left out, the names '
        "of the files are their ids.",
    )
    on_behalf_of = UserIdField(required=False)
    faces = serializers.ChoiceField(["all", "largest"], required=False)
    unique_people = FlagField(required=False, help_text=UNIQUE_PEOPLE)
    search_scope = JsonText(required=False, help_text="A JSON object, as text.")
    metadata = JsonText(required=False, help_text="A JSON object, as text.")
    processing_options = JsonText(required=False, help_text='A JSON object: `{"async": true}`.')


class BatchRegisterForm(StrictSerializer):
    """The pictures as files, and their fields in the same order."""

    images = serializers.ListField(child=UploadField(), min_length=1)
    items = serializers.CharField(help_text='A JSON list: `[{"user_id": "..."}]`.')
    processing_options = JsonText(required=False, help_text="A JSON object, as text.")
