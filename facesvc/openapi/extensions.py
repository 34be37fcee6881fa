"""Extends drf-spectacular for our views: answers in their envelope, the token, strict bodies."""

from typing import Any

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema
from rest_framework.serializers import ListSerializer

from recognition.api.rendering import Schema, object_of


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "facesvc.http.auth.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> Schema:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT or API key",
            "description": "A token, without `Bearer` before it: `make run` prints one, and "
            "`manage.py issue_token` makes one. An API key of `manage.py api_keys make` stands in "
            "the same place.",
        }


class TextScheme(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "recognition.api.fields.TextField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Schema:
        schema = _as_usual(auto_schema._map_serializer_field, self.target, direction)
        is_trimmed = self.target.trim_whitespace and not self.target.allow_blank
        return schema | {"pattern": r"\S"} if is_trimmed else schema


class ObjectScheme(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "recognition.api.fields.ObjectField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Schema:
        text = {"type": "string", "maxLength": 200}
        known = dict.fromkeys(getattr(self.target, "texts", ()), text)
        if known:
            known["quality_check"] = {"type": "boolean"}
        return {"type": "object", "properties": known, "additionalProperties": True}


class BodyScheme(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "recognition.api.fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Schema:
        schema = _as_usual(auto_schema._map_serializer, self.target, direction)
        for name, field in self.target.fields.items():
            if getattr(field, "allow_empty", True) is False:
                schema["properties"][name]["minItems"] = 1
        if self.target.one_of:
            schema["oneOf"] = [{"required": [name]} for name in self.target.one_of]
        return schema | {"additionalProperties": False}


def _as_usual(mapping: Any, target: Any, direction: Any) -> Schema:
    schema: Schema = mapping(target, direction, bypass_extensions=True)
    return schema


class EnvelopeSchema(AutoSchema):
    """Wraps the answers, and offers the bare picture as a body where there is only one picture."""

    def _get_request_body(self, direction: Any = "request") -> Any:
        body = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        if body and "image/*" in body["content"]:
            fields = getattr(self.get_request_serializer(), "_declared_fields", {})
            # A list of objects is nothing for a query.
            has_list = any(isinstance(field, ListSerializer) for field in fields.values())
            if "image" in fields and not has_list:
                body["content"]["image/*"] = {"schema": {"type": "string", "format": "binary"}}
            else:
                del body["content"]["image/*"]
        return body

    def get_description(self) -> str:  # type: ignore[override]
        """The description with the scopes that the view needs."""
        view: Any = self.view
        scopes = " and ".join(f"`{scope}`" for scope in view.required_scope.split())
        about: Any = super().get_description()
        return f"{about or ''}\n\nNeeds the scope {scopes}.".strip()

    def get_tags(self) -> list[str]:
        view: Any = self.view
        return [view.tag]

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Lists are pages, which are objects."""
        return False

    def _get_response_for_code(self, *args: Any, **kwargs: Any) -> Any:
        response = super()._get_response_for_code(*args, **kwargs)  # type: ignore[no-untyped-call]
        media = response.get("content", {}).get("application/json")
        if media:
            media["schema"] = object_of(
                success={"const": True},
                data=media["schema"],
                metadata={"$ref": "#/components/schemas/Metadata"},
            )
        return response
