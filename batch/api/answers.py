"""The answers of batches and their jobs, and the callback for the API description."""

from typing import Any

from drf_spectacular.utils import OpenApiWebhook
from rest_framework import serializers as s

from batch.models import ItemState, Kind, Status
from recognition.api.answers import Identified
from recognition.api.rendering import Schema, Serializer, TextOrNull, Value, object_of, page_of

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
    result = s.DictField(
        required=False,
        help_text="`data` of identify or of register. With `group_unknown`, faces of nobody have "
        "an `unknown_id` when the job is completed.",
    )


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
    unknown_people = s.IntegerField(
        allow_null=True,
        help_text="How many people have an `unknown_id`; null unless the job is completed and was "
        "to find that out.",
    )


JobList = page_of("JobList", jobs=Job(many=True))


class Results(Counts):
    results = AnyItem(many=True)
    next_cursor = s.CharField(allow_null=True)


class UnknownPerson(Serializer):
    unknown_id = s.CharField(help_text="Of this job alone: another job has another one.")
    pictures = s.IntegerField(help_text="That have a face of the person: never more than one each.")
    best_image_id = s.CharField(source="best_item.image_id")
    best_face_index = s.IntegerField(
        help_text="The place of the best face in `faces` of the picture's result."
    )


UnknownPeople = page_of("UnknownPeople", unknown_people=UnknownPerson(many=True))


# The callback: batch.webhooks.callbacks makes it, and docs/webhooks.md explains it.

ENDS = [Status.COMPLETED, Status.CANCELLED, Status.TIMED_OUT]


def _header(name: str, description: str) -> Schema:
    schema = {"type": "string"}
    where = {"in": "header", "name": name, "required": True}
    return {**where, "schema": schema, "description": description}


_COUNT: Schema = {"type": "integer"}
_BODY = object_of(
    type={"type": "string", "enum": [f"batch.{end.value}" for end in ENDS]},
    timestamp={"type": "string", "format": "date-time", "description": "When the job ended."},
    data=object_of(
        job_id={"type": "string"},
        status={"type": "string", "enum": [end.value for end in ENDS]},
        total=_COUNT,
        succeeded=_COUNT,
        failed=_COUNT,
        skipped={**_COUNT, "description": "Not done before the end."},
        unknown_people={
            "type": ["integer", "null"],
            "description": "How many people have an `unknown_id`.",
        },
        results_url={
            "type": "string",
            "description": "Where the results are; a path, unless FACESVC_PUBLIC_URL is set.",
        },
    ),
)
_OPERATION: Schema = {
    "operationId": "batch_job_ended",
    "summary": "Reports the end of a job to its `callback_url`.",
    "description": "Signed as in Standard Webhooks: HMAC-SHA256, in base64, of "
    "`{webhook-id}.{webhook-timestamp}.{body}`. Failed calls are repeated for about three days.",
    "tags": ["batches"],
    "parameters": [
        _header("webhook-id", "The same at every try; you may get a callback more than once."),
        _header("webhook-timestamp", "The time of this try, in seconds since 1970."),
        _header("webhook-signature", "`v1,` and the signature; two while a secret is replaced."),
    ],
    "requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}},
    "responses": {
        "2XX": {"description": "The callback has arrived."},
        "410": {"description": "This address gets no more callbacks."},
        "default": {"description": "The callback is sent again; redirects are not followed."},
    },
}

JOB_ENDED = OpenApiWebhook("batchJobEnded", {"post": _OPERATION})
