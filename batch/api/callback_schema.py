"""The callback in the API description; batch.webhooks.callbacks makes it, docs/webhooks.md explains
it."""

from typing import Any

from drf_spectacular.utils import OpenApiWebhook

from batch.models import Status

Schema = dict[str, Any]

ENDS = [Status.COMPLETED, Status.CANCELLED, Status.TIMED_OUT]


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _header(name: str, description: str) -> Schema:
    schema = {"type": "string"}
    where = {"in": "header", "name": name, "required": True}
    return {**where, "schema": schema, "description": description}


_COUNT: Schema = {"type": "integer"}
_BODY = _object(
    type={"type": "string", "enum": [f"batch.{end.value}" for end in ENDS]},
    timestamp={"type": "string", "format": "date-time", "description": "When the job ended."},
    data=_object(
        job_id={"type": "string"},
        status={"type": "string", "enum": [end.value for end in ENDS]},
        total=_COUNT,
        succeeded=_COUNT,
        failed=_COUNT,
        skipped={**_COUNT, "description": "Not done before the end."},
        results_url={
            "type": "string",
            "description": "Where the results are; a path, unless FACESVC_PUBLIC_URL is set.",
        },
    ),
)
_OPERATION: Schema = {
    "operationId": "batch_job_ended",
    "summary": "The end of a job, told to its `callback_url`.",
    "description": "Signed as Standard Webhooks say: HMAC-SHA256, in base64, of "
    "`{webhook-id}.{webhook-timestamp}.{body}`. Tried again for about three days.",
    "tags": ["batches"],
    "parameters": [
        _header("webhook-id", "The same at every try: it may come more than once."),
        _header("webhook-timestamp", "Seconds since 1970, of this try."),
        _header("webhook-signature", "`v1,` and the signature; two while a secret is rotated."),
    ],
    "requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}},
    "responses": {
        "2XX": {"description": "It has arrived."},
        "410": {"description": "Nothing more is sent to this address."},
        "default": {"description": "It is tried again; redirects are not followed."},
    },
}

JOB_ENDED = OpenApiWebhook("batchJobEnded", {"post": _OPERATION})
