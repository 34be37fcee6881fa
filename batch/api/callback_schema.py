"""The callback in the API description.

batch.webhooks.callbacks makes it, and docs/webhooks.md explains it.
"""

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
