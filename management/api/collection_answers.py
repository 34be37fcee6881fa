"""The answers about collections. Each is declared once, for its value and the API description."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers as s

from management.collections import STATES
from recognition.api.rendering import Serializer, page_of
from recognition.collections import rules

_SCHEMAS = {"number": "number", "whole number": "integer"}


def rules_described(*, is_nullable: bool) -> dict[str, Any]:
    """The rules in the API description."""
    more = ["null"] if is_nullable else []
    properties = {
        name: {"type": [kind, *more] if more else kind}
        for name, setting in rules.declared().items()
        for kind in [_SCHEMAS.get(setting.kind, "boolean")]
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


@extend_schema_field(rules_described(is_nullable=False))
class ShownRules(s.JSONField):
    pass


class Collection(Serializer):
    name = s.CharField()
    state = s.ChoiceField(STATES)
    made_by = s.CharField(help_text="The service that made it, or empty.")
    created_at = s.DateTimeField()
    rules = ShownRules(help_text="Settings that have another value in this collection.")
    users = s.IntegerField()
    faces = s.IntegerField()


CollectionList = page_of("CollectionList", collections=Collection(many=True))
CollectionErased = inline_serializer(
    "CollectionErased",
    {
        "name": s.CharField(),
        "erased": s.BooleanField(),
        "users": s.IntegerField(help_text="How many users it had."),
        "faces": s.IntegerField(help_text="How many faces it had."),
    },
)
