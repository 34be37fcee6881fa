"""The lines of a graph to import: JSON objects, one a line (NDJSON).

    {"user": {"user_id": "...", "display_name": "...", "privacy_level": "public"}}
    {"group": "hiking"}
    {"friendship": ["<user id>", "<user id>"]}
    {"membership": {"group": "hiking", "user_id": "..."}}
    {"remove": {"friendship": ["<user id>", "<user id>"]}}
    {"remove": {"membership": {"group": "hiking", "user_id": "..."}}}

Users and groups are removed by their own endpoints only, since that removes much more.
"""

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, BinaryIO, NamedTuple

from rest_framework.exceptions import ValidationError

from management.relations import invalid_name
from management.serializers import UserRequest
from recognition import strict_json
from recognition.errors import ServiceError, first_reason
from recognition.models import user_ids
from recognition.models.graph import is_group_name
from recognition.models.user_ids import InvalidUserIdError

MAX_LINE_BYTES = 64 * 1024

_USER = UserRequest()  # keeps nothing of what it validates
_LINK_KINDS = ("friendship", "membership")


class Line(NamedTuple):
    """A valid line, as the columns of the table of lines."""

    number: int  # from 1
    kind: str
    removed: bool = False
    user_id: str | None = None  # the key
    user_given_id: str | None = None  # the app's id, where the key does not say it
    friend_id: str | None = None  # greater than user_id
    friend_given_id: str | None = None
    group_name: str | None = None
    display_name: str | None = None
    profile_image: str | None = None
    privacy_level: str | None = None


def read(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the lines of a stream; an overlong line is cut off."""
    return iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b"")


def parse(number: int, text: bytes) -> Line:
    """Parses a line. Raises invalid_graph with its number and what is wrong with it."""
    try:
        return _parse(number, text)
    except ServiceError as error:
        details: dict[str, Any] = {"details": error.details} if error.details else {}
        raise invalid(number, error.code, str(error), **details) from None
    except ValidationError as error:
        details = {"details": {"fields": error.detail}}
        raise invalid(number, "invalid_request", first_reason(error.detail), **details) from None


def invalid(number: int, code: str, message: str, **more: Any) -> ServiceError:
    return invalid_lines([{"line": number, "code": code, "message": message, **more}])


def invalid_lines(errors: list[dict[str, Any]]) -> ServiceError:
    first = errors[0]
    return ServiceError(
        "invalid_graph",
        f"Nothing is imported: line {first['line']}: {first['message']}",
        {"errors": errors},
    )


def _parse(number: int, text: bytes) -> Line:
    if len(text) > MAX_LINE_BYTES:
        raise ServiceError("payload_too_large", f"A line has at most {MAX_LINE_BYTES} bytes.")
    try:
        value = strict_json.loads(text.decode("utf-8"))
    except ValueError:
        raise ServiceError("malformed_json", "The line is not valid JSON.") from None
    kind, value = _only_item(value, _KINDS)
    return _KINDS[kind](number, value)


def _user(number: int, value: Any) -> Line:
    if not isinstance(value, dict):
        raise _wrong("A user is an object.")
    user = _user_id(value.pop("user_id", None))
    return Line(number, "user", False, *user, **_USER.run_validation(value))


def _group(number: int, value: Any) -> Line:
    return Line(number, "group", group_name=_group_name(value))


def _friendship(number: int, value: Any, removed: bool = False) -> Line:
    if not isinstance(value, list) or len(value) != 2:
        raise _wrong("A friendship is a list of two user ids.")
    a, b = sorted(map(_user_id, value), key=itemgetter(0))
    if a == b:
        raise ServiceError("invalid_friendship", "A user cannot be their own friend.")
    return Line(number, "friendship", removed, *a, *b)


def _membership(number: int, value: Any, removed: bool = False) -> Line:
    if not isinstance(value, dict) or value.keys() != {"group", "user_id"}:
        raise _wrong("A membership is an object with `group` and `user_id`.")
    name, user = _group_name(value["group"]), _user_id(value["user_id"])
    return Line(number, "membership", removed, *user, group_name=name)


def _remove(number: int, value: Any) -> Line:
    kind, value = _only_item(value, _LINK_KINDS)
    link = _friendship if kind == "friendship" else _membership
    return link(number, value, removed=True)


_KINDS: dict[str, Callable[[int, Any], Line]] = {
    "user": _user,
    "group": _group,
    "friendship": _friendship,
    "membership": _membership,
    "remove": _remove,
}


def _only_item(value: Any, known: Any) -> tuple[str, Any]:
    if not isinstance(value, dict) or len(value) != 1:
        raise _wrong(f"An object with one of {', '.join(known)} is needed.")
    ((kind, inside),) = value.items()
    if kind not in known:
        raise ServiceError("unknown_field", f"Unknown: {kind[:200]}.", {"known": [*known]})
    return kind, inside


def _user_id(value: Any) -> tuple[str, str | None]:
    if not isinstance(value, str):
        raise _wrong('A user id is a text: write the number 42 as "42".')
    try:
        return user_ids.stored(value)
    except InvalidUserIdError as error:
        raise _wrong(str(error)) from None


def _group_name(value: Any) -> str:
    if not isinstance(value, str) or not is_group_name(value):
        raise invalid_name()
    return value


def _wrong(message: str) -> ServiceError:
    return ServiceError("invalid_request", message)
