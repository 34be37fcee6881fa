"""JSON without the corners that databases choke on."""

import json
import re
from typing import Any

# NUL, which PostgreSQL refuses in text, and halves of surrogate pairs, which no UTF-8 can hold.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Deeper structures meet recursion limits further on; nobody means them.
_MAX_DEPTH = 32


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# json.loads would make one anew for every text.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def loads(text: str) -> Any:
    """The value of a JSON text. Raises ValueError, also for NaN and Infinity."""
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check(value)
    return value


def check(value: Any, depth: int = 0) -> None:
    """Raises ValueError for what cannot be stored."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    match value:
        case str():
            if _UNSTORABLE.search(value):
                raise ValueError("a text has a character that cannot be stored")
        case list():
            for item in value:
                check(item, depth + 1)
        case dict():
            for key, item in value.items():
                check(key, depth + 1)
                check(item, depth + 1)
