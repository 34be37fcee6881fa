"""The answers of batches and their jobs."""

from typing import Any

from rest_framework import serializers as s

from batch.models import ItemState, Kind, Status
from recognition.api.answers import Identified
from recognition.api.rendering import Serializer, TextOrNull, Value, page_of

ITEM_STATUS = [ItemState.SUCCESS.value, ItemState.ERROR.value, ItemState.SKIPPED.value]


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

    @classmethod
    def of(cls, row: Any, shown: Any = None) -> Value:
        """A row has `image_id`, `state` and `result`: None when the batch has ended before the
        picture was done."""
        if row.result is None:
            return {"image_id": row.image_id, "status": ItemState.SKIPPED.value}
        name = "result" if row.state == ItemState.SUCCESS else "error"
        return {"image_id": row.image_id, "status": row.state, name: row.result}


class IdentifiedItem(Item):
    result = Identified(required=False)


class AnyItem(Item):
    result = s.DictField(required=False, help_text="`data` of identify or of register.")


class Counts(Serializer):
    status = s.ChoiceField(Status.values)
    total = s.IntegerField()
    succeeded = s.IntegerField()
    failed = s.IntegerField()
    skipped = s.IntegerField(help_text="Pictures that were not done before the end; 0 until then.")


class AtOnce(Counts):
    results = IdentifiedItem(many=True)


class JobName(Serializer):
    job_id = s.CharField()
    job_type = s.ChoiceField(Kind.values, source="kind")


class Job(JobName, Counts):
    callback_url = TextOrNull()
    created_at = s.DateTimeField()
    started_at = s.DateTimeField(allow_null=True)
    finished_at = s.DateTimeField(allow_null=True)


JobList = page_of("JobList", jobs=Job(many=True))


class Results(Counts):
    results = AnyItem(many=True)
    next_cursor = s.CharField(allow_null=True)
