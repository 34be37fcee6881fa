"""The shapes of the answers, for the API description; batch.jobs.answers makes the values."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as s

from batch.models import Kind, State, Status
from recognition.api.schemas import Identified, Serializer
from recognition.api.serializers import StrictSerializer

ITEM_STATUS = [State.SUCCESS.value, State.ERROR.value, State.SKIPPED.value]


class ItemError(Serializer):
    code = s.CharField()
    message = s.CharField()
    details = s.DictField()


class Item(Serializer):
    """`result` of a success, `error` of an error. `skipped` has neither: the batch was cancelled,
    or its time was over, before the picture was done."""

    image_id = s.CharField()
    status = s.ChoiceField(ITEM_STATUS)
    error = ItemError(required=False)


class IdentifiedItem(Item):
    result = Identified(required=False)


class AnyItem(Item):
    result = s.DictField(required=False, help_text="`data` of identify or of register.")


class Counts(Serializer):
    status = s.ChoiceField(Status.values)
    total = s.IntegerField()
    succeeded = s.IntegerField()
    failed = s.IntegerField()
    skipped = s.IntegerField(help_text="Not done before the end of the batch; 0 until then.")


class AtOnce(Counts):
    results = IdentifiedItem(many=True)


class Job(Counts):
    job_id = s.CharField()
    job_type = s.ChoiceField(Kind.values)
    callback_url = s.CharField(allow_null=True)
    created_at = s.DateTimeField()
    started_at = s.DateTimeField(allow_null=True)
    finished_at = s.DateTimeField(allow_null=True)


class JobList(Serializer):
    jobs = Job(many=True)
    next_cursor = s.CharField(allow_null=True)


class Results(Counts):
    results = AnyItem(many=True)
    next_cursor = s.CharField(allow_null=True)


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
