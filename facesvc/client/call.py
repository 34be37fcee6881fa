"""What a call of the API is made of, before anything is sent."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

from facesvc.client.pictures import Picture

Id: TypeAlias = str | UUID | int
Time: TypeAlias = str | datetime
Json: TypeAlias = Mapping[str, Any]

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  an item of a page


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """A call that answers with T. Values that are None are not sent.

    `is_repeatable` says that it may be sent again if it may have been done already.
    """

    method: str
    path: str
    is_repeatable: bool
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Picture | None] = field(default_factory=dict)
    images: Sequence[Any] | None = None  # pictures, or what a batch has of each
    body: Mapping[str, Any] | None = None
    lines: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class PagedCall(Call[T], Generic[T, I]):
    """A call for one page, which holds its items I under the name `items`."""

    items: str


def id_text(value: Id) -> str:
    """An id as the service takes it. Raises TypeError for None and all else that is no id."""
    if isinstance(value, bool) or not isinstance(value, str | UUID | int):
        raise TypeError(f"an id is text, a whole number or a UUID, and not {value!r}")
    return str(value)


def id_or_none(value: Id | None) -> str | None:
    """An id that a call need not have. Raises TypeError as id_text does."""
    return None if value is None else id_text(value)


def part(value: Id) -> str:
    """One segment of a path, whatever characters it has. Raises ValueError if it cannot be one."""
    text = id_text(value)
    if not text:
        raise ValueError("an id must not be empty")
    if text in {".", ".."}:  # httpx resolves them: the call would go to another address
        raise ValueError(f"an id must not be {text!r}")
    return quote(text, safe="")


def key_or_new(key: str | None) -> str:
    """The Idempotency-Key: all tries of a call have the same one."""
    return key or str(uuid4())


def with_ids(entries: Iterable[Json]) -> list[dict[str, Any]]:
    """What is said about each of several users, with `user_id` as text. Raises as id_text does."""
    return [_with_id(entry) for entry in entries]


def _with_id(entry: Json) -> dict[str, Any]:
    return {**entry, "user_id": id_text(entry["user_id"])} if "user_id" in entry else {**entry}


def ndjson(lines: bytes | Iterable[Json]) -> bytes:
    """A JSON object on each line, with ids as text, or the file as it is."""
    if isinstance(lines, bytes):
        return lines
    return "".join(f"{json_text(_line(line))}\n" for line in lines).encode()


def _line(line: Json) -> dict[str, Any]:
    """A line of a graph: users, pairs of friends, members, and what `remove` ends."""
    sent: dict[str, Any] = {}
    for kind, value in line.items():
        if kind == "friendship":
            value = [id_text(each) for each in value]
        elif isinstance(value, Mapping):
            value = _line(value) if kind == "remove" else _with_id(value)
        sent[kind] = value
    return sent


def json_text(value: Any) -> str:
    """JSON, with ids and times as text."""
    return json.dumps(value, default=plain, ensure_ascii=False)


def plain(value: Any) -> str:
    """Ids and times inside of JSON. Raises TypeError for anything else."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be sent as JSON")


def text(value: Any) -> str:
    """A value as a field of a form, a parameter of a query or a header."""
    if isinstance(value, str):
        return value
    if isinstance(value, UUID | datetime):
        return plain(value)
    return json_text(value)
