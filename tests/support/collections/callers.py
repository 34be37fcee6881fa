"""Callers of other collections than `default`, and what there is of one."""

from collections.abc import Sequence

from django.db import connection
from django.test import Client

from recognition.access import SCOPES
from recognition.api.callers import tokens
from recognition.collections.current import Entered, entered, schema_of
from recognition.collections.models import Collection
from tests.support.builders import Person


def service_of(
    collection: Collection | Entered, client: Client, scopes: Sequence[str] = SCOPES
) -> Person:
    """A service with a token of this collection."""
    of = collection.entered if isinstance(collection, Collection) else collection
    with entered(of):
        return Person(tokens.issue("app", list(scopes), minutes=5), client)


def has_schema(number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema_of(number)])
        return bool(cursor.fetchone()[0])
