"""Writes a schema of the API description as a type of a language."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from facesvc.openapi.clients.reading import name_of
from recognition.api.rendering import Schema


@dataclass(frozen=True)
class Language:
    """How a language writes types. `words` has those of JSON, and `picture`, `object`, `null`."""

    words: Mapping[str, str]
    array: Callable[[str], str]
    literal: Callable[[list[Any]], str]
    name: Callable[[str], str]

    def type(self, schema: Schema) -> str:
        if "$ref" in schema:
            return self.name(name_of(schema))
        for several in ("allOf", "oneOf", "anyOf"):
            if several in schema:
                return " | ".join(dict.fromkeys(map(self.type, schema[several])))
        if "enum" in schema:
            return self.literal(schema["enum"])
        if "contentEncoding" in schema:
            return self.words["picture"]
        kinds = schema.get("type", "object")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return " | ".join(self._one(kind, schema) for kind in kinds)

    def _one(self, kind: str, schema: Schema) -> str:
        if kind == "array":
            return self.array(self.type(schema["items"]))
        return self.words[kind]
