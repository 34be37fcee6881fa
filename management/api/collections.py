"""Collections over HTTP, for services of `default`: parse, call one function, answer."""

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request
from rest_framework.response import Response

from management import collections
from management.api.collection_answers import (
    Collection,
    CollectionErased,
    CollectionList,
    rules_described,
)
from recognition.access import OVER_COLLECTIONS
from recognition.api.fields import FlagField, ObjectField, StrictSerializer, TextField
from recognition.api.pagination import NewestFirst
from recognition.api.service_view import ServiceViewSet, operation
from recognition.collections.models import NAME

_NAME_HAS = "1 to 255 letters, digits and . _ -"


@extend_schema_field(rules_described(is_nullable=True))
class RulesField(ObjectField):
    """Settings by name; recognition.collections.rules checks them."""


class CollectionRequest(StrictSerializer):
    name = TextField(
        trim_whitespace=False,
        validators=[
            RegexValidator(
                rf"\A(?!\.\.?\Z){NAME}\Z", f"A name has {_NAME_HAS}, and is not . or .."
            ),
        ],
        help_text=_NAME_HAS,
    )
    rules = RulesField(
        required=False, help_text="Settings that have another value in this collection."
    )


class CollectionChanges(StrictSerializer):
    suspended = FlagField(
        required=False, help_text="Whether every request for the collection is refused."
    )
    rules = RulesField(
        required=False,
        help_text="Settings that are to have another value in this collection. null takes a "
        "rule back, and rules that are not named stay.",
    )


class CollectionViewSet(ServiceViewSet):
    required_scope = OVER_COLLECTIONS
    tag = "collections"
    lookup_field = "collection"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises service_only, default_collection_only."""
        super().initial(request, *args, **kwargs)
        self.caller.require_service()
        self.caller.require_default()

    @operation("list_collections", "List the collections", CollectionList, pages=NewestFirst)
    def list(self, request: Request) -> Response:
        """All collections, newest first; the last one is `default`."""
        return self.page("collections", collections.listed(), _shown)

    @operation("make_collection", "Make a collection", {201: Collection}, body=CollectionRequest)
    def create(self, request: Request) -> Response:
        """The collection is empty, and begins with the model that `default` has now."""
        fields = self.fields(CollectionRequest)
        made = collections.make(
            fields["name"],
            actor=self.caller.name,
            made_by=self.caller.subject,
            given=fields.get("rules"),
        )
        return Response(Collection.of(collections.describe(made)), status=201)

    @operation("get_collection", "Show a collection", Collection)
    def retrieve(self, request: Request, collection: str) -> Response:
        return Response(Collection.of(collections.describe(collections.collection_of(collection))))

    @operation(
        "change_collection",
        "Suspend a collection, resume it, or change its rules",
        Collection,
        body=CollectionChanges,
    )
    def partial_update(self, request: Request, collection: str) -> Response:
        """What is not named stays. A suspended collection keeps all that is in it."""
        fields = self.fields(CollectionChanges)
        row = collections.change(collection, actor=self.caller.name, **fields)
        return Response(Collection.of(collections.describe(row)))

    @operation("erase_collection", "Erase a collection with all that is in it", CollectionErased)
    def destroy(self, request: Request, collection: str) -> Response:
        """Nothing of it is left: no user, no face, no event of its audit log. The audit log of
        `default` keeps the name and both numbers.
        """
        gone = collections.erase(collection, actor=self.caller.name)
        return Response(
            {"name": collection, "erased": True, "users": gone.users, "faces": gone.faces}
        )


def _shown(rows: list[Any]) -> list[dict[str, Any]]:
    return Collection.each(collections.described(rows))
