"""The shapes of the answers, for the API description; batch.answers makes the values."""

from rest_framework import serializers as s

from batch.models import Kind, State, Status
from recognition.schemas import Identified, Serializer

ITEM_STATUS = [State.SUCCESS.value, State.ERROR.value]


class ItemError(Serializer):
    code = s.CharField()
    message = s.CharField()
    details = s.DictField()


class Item(Serializer):
    """`result` when it is a success, `error` when it is not."""

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
