"""The forms of batches, for the API description; batch.api.serializers reads them."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as s

from recognition.api.serializers import StrictSerializer


@extend_schema_field({"type": "string", "format": "binary"})
class UploadField(s.FileField):
    pass


@extend_schema_field({"type": "string", "format": "json"})
class JsonText(s.CharField):
    pass


class BatchIdentifyForm(StrictSerializer):
    """The fields of JSON, the objects among them as JSON texts, and the pictures as files."""

    images = s.ListField(child=UploadField(), min_length=1)
    items = s.CharField(
        required=False,
        help_text='A JSON list, in the files\' order: `[{"image_id": "a"}]`. Left out, the names '
        "of the files are their ids.",
    )
    on_behalf_of = s.UUIDField(required=False)
    faces = s.ChoiceField(["all", "largest"], required=False)
    search_scope = JsonText(required=False, help_text="A JSON object, as text.")
    metadata = JsonText(required=False, help_text="A JSON object, as text.")
    processing_options = JsonText(required=False, help_text='A JSON object: `{"async": true}`.')


class BatchRegisterForm(StrictSerializer):
    """The pictures as files, and in their order what is said of each."""

    images = s.ListField(child=UploadField(), min_length=1)
    items = s.CharField(help_text='A JSON list: `[{"user_id": "..."}]`.')
    processing_options = JsonText(required=False, help_text="A JSON object, as text.")
