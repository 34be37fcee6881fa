"""Which collection the work of this thread belongs to.

The tables of a collection are in a schema of PostgreSQL of its own. Before a statement runs,
facesvc.postgres.placing has the connection look into the schema of the current collection. Where
none is entered, the tables of no collection can be seen. So a way in that forgets to enter one
fails, and shows nobody the faces of others.

A new thread is in no collection: a `ContextVar` does not cross threads.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

# What all collections share, such as the operators, is in this schema, and so is pgvector.
SHARED = "public"


class NoCollectionError(RuntimeError):
    """The tables of a collection are asked for, and none is entered."""


class CollectionGoneError(RuntimeError):
    """The collection that is entered was erased since."""


@dataclass(frozen=True)
class Entered:
    """A collection that a thread can work in. The salt of `default` is empty."""

    number: int
    name: str
    salt: bytes = b""
    rules: Mapping[str, Any] = field(default_factory=dict, compare=False)
    search_path: str = ""

    def __post_init__(self) -> None:
        path = self.search_path or f"{schema_of(self.number)}, {SHARED}"
        object.__setattr__(self, "search_path", path)

    @property
    def is_default(self) -> bool:
        return self.number == 1


def schema_of(number: int) -> str:
    return f"collection_{number}"


DEFAULT = Entered(1, "default")

_current: ContextVar[Entered | None] = ContextVar("collection", default=None)


def here() -> Entered:
    """The current collection. Raises NoCollectionError where none is entered."""
    if (collection := _current.get()) is None:
        raise NoCollectionError("no collection is entered here")
    return collection


def here_or_default() -> Entered:
    """The current collection, and `default` where none is entered, as before a token is read."""
    return _current.get() or DEFAULT


def search_path() -> str:
    collection = _current.get()
    return collection.search_path if collection else SHARED


def explain(error: Exception) -> None:
    """Say why a table is missing. Raises NoCollectionError, CollectionGoneError."""
    collection = _current.get()
    if collection is None:
        raise NoCollectionError("no collection is entered here") from error
    if not collection.is_default:
        raise CollectionGoneError(f"the collection {collection.name} is gone") from error


def marked(statement: str) -> str:
    """The statement, in words that no other collection has for it.

    So PostgreSQL keeps a plan for each collection. One that all shared would be made again whenever
    a connection goes on in another collection.
    """
    collection = _current.get()
    if collection is None or collection.is_default:
        return statement
    return f"/* {collection.number} */ {statement}"


@contextmanager
def entered(collection: Entered) -> Iterator[None]:
    """A block of work in a collection."""
    token = _current.set(collection)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def nowhere() -> Iterator[None]:
    """A block that begins in no collection, such as a request. It may `enter` one."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def enter(collection: Entered) -> None:
    """Work in this collection until the end of the block around this."""
    _current.set(collection)


def rule(name: str) -> Any:
    """The value of a setting in the current collection."""
    rules = here().rules
    return rules[name] if name in rules else getattr(settings, name)
