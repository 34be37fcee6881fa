"""Adds to the finished API description what drf-spectacular cannot see by itself."""

import json
from typing import Any

from django.conf import settings

from facesvc.http.error_codes import STATUS
from facesvc.openapi import examples, guide
from recognition.api.fields import USER_ID
from recognition.api.rendering import Schema, object_of
from recognition.api.service_view import USERS_IN_PATHS

JSON, FORM = "application/json", "multipart/form-data"
_METADATA = object_of(
    request_id={"type": "string"},
    processing_time={"type": "string", "examples": ["187ms"]},
    model_version={"type": "string"},
    timestamp={"type": "string", "format": "date-time"},
)
_ERROR = object_of(
    success={"const": False},
    error=object_of(
        code={"type": "string", "enum": sorted(STATUS)},
        message={"type": "string"},
        details={"type": "object"},
    ),
    metadata={"$ref": "#/components/schemas/Metadata"},
)
_FAILURE: Schema = {JSON: {"schema": {"$ref": "#/components/schemas/Failure"}}}
_BUSY: Schema = {
    "description": "`unavailable`: too many pictures are being worked on, or something that is "
    "needed is away, such as a database that is read-only until its standby takes over. Send the "
    "same request again. Nothing was done, unless the database was lost just as it stored the "
    "answer: an `Idempotency-Key` makes the repetition safe then, too.",
    "content": _FAILURE,
    "headers": {
        "Retry-After": {
            "description": "Seconds to wait before.",
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}


def complete(result: Schema, **kwargs: Any) -> Schema:
    """A hook of drf-spectacular: adds addresses, forms, examples, and the failures.

    drf-spectacular has the methods of a path in another order in each process.
    """
    result["paths"] = {path: dict(sorted(at.items())) for path, at in result["paths"].items()}
    result["servers"] = [{"url": "/", "description": "Where this description came from"}]
    if settings.FACESVC_PUBLIC_URL:
        result["servers"].append({"url": settings.FACESVC_PUBLIC_URL})
    shapes: Schema = result["components"]["schemas"]
    shapes |= {"Metadata": _METADATA, "Failure": _ERROR}
    for operation in [each for at in result["paths"].values() for each in at.values()]:
        example = examples.BODIES.get(operation["operationId"])
        content: Schema = operation.get("requestBody", {}).get("content", {})
        _describe_form(content, shapes, example or {})
        if JSON in content and example:
            content[JSON]["example"] = example
        _describe_path(operation)
        said = guide.refusals(operation["tags"][0], has_pictures=_has_files(content, shapes))
        # The page calls a status undocumented if only a range, such as 4XX, includes it.
        failures = {"503": _BUSY, "default": {"description": said, "content": _FAILURE}}
        operation["responses"] |= failures
    return result


def _describe_path(operation: Schema) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in examples.PATH:
            parameter["description"], example = examples.PATH[parameter["name"]]
            if parameter["name"] in USERS_IN_PATHS:
                parameter["schema"] = USER_ID
            if example:
                parameter["example"] = example


def _describe_form(content: Schema, shapes: Schema, example: Schema) -> None:
    """Give the form its own schema, and put it first where it has files."""
    if FORM not in content:
        return
    name = _named(content[FORM]["schema"])
    shape = shapes[name]
    if content[FORM] == content.get(JSON):  # else the view has described it
        name = name.removesuffix("Request") + "Form"
    properties = {
        key: _as_field(key, each, shapes, example) for key, each in shape["properties"].items()
    }
    shapes[name] = {**shape, "properties": properties}
    form = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    content[FORM] = form
    if _has_files(content, shapes):
        # The page offers the first one.
        others = {kind: each for kind, each in content.items() if kind != FORM}
        content.clear()
        content |= {FORM: form, **others}


def _as_field(key: str, schema: Schema, shapes: Schema, example: Schema) -> Schema:
    """A property as a field of a form: pictures are files, objects are JSON as text.

    The page fills each field with the example; an empty field is not sent.
    """
    if "contentEncoding" in schema:
        return {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP or BMP."}
    if "contentEncoding" in schema.get("items", {}):
        # Without a default the page makes up as many as there must be, and sends them.
        return schema | {"items": {"type": "string", "format": "binary"}, "default": []}
    if _is_file(schema):
        return schema
    value = example.get(key)
    if key == "items":
        value = [*filter(None, map(_beside_file, example["images"]))] or None
    is_list = _is_list_of_objects(schema, shapes)
    if is_list or _is_object(schema, shapes):
        kind = "list" if is_list else "object"
        about = f"{schema.get('description', '')} A JSON {kind}, as text.".strip()
        schema = {"type": "string", "format": "json", "description": about}
    if isinstance(value, dict | list):
        value = json.dumps(value)
    if value is not None:
        return schema | {"examples": [value]}
    return {"default": ""} | schema


def _beside_file(item: Schema) -> Schema:
    """The properties of a picture of a batch beside its file, which has a name."""
    return {name: value for name, value in item.items() if name not in ("image", "image_id")}


def _named(schema: Schema) -> str:
    name: str = schema["$ref"].rpartition("/")[2]
    return name


def _is_object(schema: Schema, shapes: Schema) -> bool:
    for part in (schema, *schema.get("allOf", ())):
        whole = shapes[_named(part)] if "$ref" in part else part
        if whole.get("type") == "object":
            return True
    return False


def _is_list_of_objects(schema: Schema, shapes: Schema) -> bool:
    return "items" in schema and _is_object(schema["items"], shapes)


def _is_file(schema: Schema) -> bool:
    return bool(schema.get("items", schema).get("format") == "binary")


def _has_files(content: Schema, shapes: Schema) -> bool:
    if FORM not in content:
        return False
    return any(map(_is_file, shapes[_named(content[FORM]["schema"])]["properties"].values()))
