"""Reads the API description as operations with arguments, whatever the language of a client."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from recognition.api.rendering import Schema

JSON, FORM, LINES = "application/json", "multipart/form-data", "application/x-ndjson"
_PREFIX = "/api/v1/face-recognition/"
# These change nothing that a second one would change again, and store nothing.
_REPEATABLE = {"identify", "identify_face", "detect", "compare", "import_graph"}
_IDS = re.compile(r"\w+_id|on_behalf_of|into|name")


@dataclass(frozen=True)
class Argument:
    """An argument of an operation. `place` is path, query, header or body, and `sent` its name
    there."""

    name: str
    place: str
    sent: str
    schema: Schema
    is_required: bool

    @property
    def is_id(self) -> bool:
        return self.schema.get("type") == "string" and bool(_IDS.fullmatch(self.name))

    @property
    def is_picture(self) -> bool:
        return "contentEncoding" in self.schema

    @property
    def names_users(self) -> bool:
        """Whether it is a list of what is sent about users, each with a `user_id`."""
        item = self.schema.get("items", {})
        return "$ref" in item and "user_id" in shape(item)["properties"]

    @property
    def is_pictures(self) -> bool:
        """Several pictures, of a batch with fields of each."""
        return self.name == "images"


@dataclass(frozen=True)
class Operation:
    name: str
    tag: str
    summary: str
    method: str
    path: str  # with {placeholders}
    arguments: tuple[Argument, ...]  # the required ones first
    answer: str  # empty if it is a picture
    other_answer: str  # of another status, such as the job of a batch that is not done at once
    page: str  # what its pages hold; empty if it has none
    takes_lines: bool

    @property
    def has_key(self) -> bool:
        return any(each.name == "idempotency_key" for each in self.arguments)

    @property
    def is_repeatable(self) -> bool:
        return self.has_key or self.method != "POST" or self.name in _REPEATABLE

    def at(self, place: str) -> list[Argument]:
        return [each for each in self.arguments if each.place == place]


@cache
def description() -> Schema:
    made: Schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return made


def operations() -> list[Operation]:
    """Every operation, in the order of the description."""
    shapes = description()["components"]["schemas"]
    return [
        _operation(path, method, methods[method], shapes)
        for path, methods in description()["paths"].items()
        for method in methods
    ]


def tags() -> list[str]:
    return list(dict.fromkeys(each.tag for each in operations()))


def named_shapes() -> dict[str, Schema]:
    """All shapes that answers, arguments and callbacks have, by name, in the order of the names."""
    shapes = description()["components"]["schemas"]
    (callback,) = description()["webhooks"].values()
    ended = callback["post"]["requestBody"]["content"][JSON]["schema"]
    found: dict[str, Schema] = {"BatchJobEnded": ended}
    waiting: list[Any] = [ended, *({"$ref": f"/{name}"} for name in _answers())]
    waiting += [argument.schema for each in operations() for argument in each.arguments]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in found:
                found[name] = shapes[name]
                waiting.append(shapes[name])
    return dict(sorted(found.items()))


def shapes_of_users() -> set[str]:
    """The names of the shapes that say something about a user, and are only sent."""
    arguments = (argument for each in operations() for argument in each.arguments)
    return {name_of(each.schema["items"]) for each in arguments if each.names_users}


def _answers() -> Iterator[str]:
    for each in operations():
        yield from filter(None, (each.answer, each.other_answer))


def name_of(schema: Mapping[str, Any]) -> str:
    name: str = schema["$ref"].rpartition("/")[2]
    return name


def shape(schema: Mapping[str, Any]) -> Schema:
    """The shape that a schema refers to."""
    found: Schema = description()["components"]["schemas"][name_of(schema)]
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield name_of(schema)
        for each in schema.values():
            yield from _references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)


def _operation(path: str, method: str, operation: Schema, shapes: Schema) -> Operation:
    content = operation.get("requestBody", {}).get("content", {})
    good = [each for status, each in operation["responses"].items() if status[0] == "2"]
    contents = [each["content"] for each in good]
    answers = [
        name_of(each[JSON]["schema"]["properties"]["data"]) if JSON in each else ""
        for each in contents
    ]
    distinct = list(dict.fromkeys(answers))
    arguments = [*_parameters(operation), *_fields(content, shapes)]
    body = {each.sent for each in arguments if each.place == "body"}
    # Beside a body they repeat what a bare picture cannot carry.
    own = [each for each in arguments if each.place in ("path", "body") or each.name not in body]
    return Operation(
        name=operation["operationId"],
        tag=operation["tags"][0],
        summary=operation["summary"],
        method=method.upper(),
        path=path.removeprefix(_PREFIX),
        arguments=tuple(sorted(own, key=lambda each: (not each.is_required, _order(each)))),
        answer=distinct[0],
        other_answer=distinct[1] if len(distinct) > 1 else "",
        page=_page(shapes[distinct[0]]) if distinct[0] else "",
        takes_lines=LINES in content,
    )


def _order(argument: Argument) -> tuple[bool, bool, bool]:
    """Ids first, as in the path, then pictures."""
    return argument.place != "path", not argument.is_id, not argument.is_picture


def _parameters(operation: Schema) -> Iterator[Argument]:
    placeholders = operation.get("parameters", [])
    for each in placeholders:
        name = each["name"].removeprefix("X-").replace("-", "_").lower()
        required = each.get("required", False)
        yield Argument(name, each["in"], each["name"], each["schema"], required)


def _fields(content: Schema, shapes: Schema) -> Iterator[Argument]:
    if LINES in content:
        yield Argument("lines", "body", "lines", {"lines": True}, True)
    if JSON in content:
        shape = shapes[name_of(content[JSON]["schema"])]
        for name, schema in shape["properties"].items():
            yield Argument(name, "body", name, schema, name in shape.get("required", ()))


def _page(answer: Schema) -> str:
    """The name of the list in a page."""
    if "next_cursor" not in answer["properties"]:
        return ""
    (name,) = (key for key, each in answer["properties"].items() if each.get("type") == "array")
    return str(name)
