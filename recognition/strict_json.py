"""JSON without the corners that databases choke on, and without work that its size does not show.

A parsed value takes up to forty times the memory of its text. So a text that is parsed is short,
and the long texts of a body, which are pictures in base64, are set aside before the rest is parsed.
"""

import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

# Bytes of a text that is parsed.
MOST = 64 * 1024
# NUL, which PostgreSQL refuses in text, and halves of surrogate pairs, which no UTF-8 can hold.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Deeper structures meet recursion limits further on; nobody means them.
_MAX_DEPTH = 32
# Bytes of a text that is set aside, at least.
_LONG = 1024
# Bytes of a body that are looked through in one step, and what ends such a piece: no backslash is
# parted from what it escapes.
_PIECE = 1024 * 1024
_BACKSLASHES = re.compile(rb"\\*.", re.DOTALL)
# Stands for a text that is set aside. It is secret, so no body can have it by itself.
_MARK = secrets.token_hex(16)
# How libraries write what base64 and its line breaks consist of.
_ESCAPES = [(b"\\/", b"/"), (b"\\n", b"\n"), (b"\\r", b"\r")]
_ESCAPES += [
    (written, plain)
    for plain in (b"+", b"/", b"=")
    for written in (b"\\u%04x" % ord(plain), b"\\u%04X" % ord(plain))
]


class TooLongError(ValueError):
    """More is to be parsed than is taken."""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# json.loads would make another one for every text.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def loads(text: str, most: int = MOST) -> Any:
    """The value of a JSON text. Raises ValueError, also for NaN and Infinity."""
    if len(text) > most:
        raise TooLongError(f"more than {most} characters")
    return _value(text, ())


def loads_body(data: bytes, most: int = MOST) -> Any:
    """The value of a body, of which at most so many bytes are no long texts. Raises ValueError."""
    rest, texts = _set_aside(data.removeprefix(b"\xef\xbb\xbf"), most)
    return _value(rest.decode("utf-8"), texts)


def _value(text: str, texts: Sequence[str]) -> Any:
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _sound(value, texts)


def _set_aside(data: bytes, most: int) -> tuple[bytearray, list[str]]:
    """The body with a mark in place of each long text of plain characters, and these texts.

    Linear: each byte is looked at a few times, by functions of C. There are fewer steps here than
    half of `most`, since each adds two bytes at least. Raises TooLongError.
    """
    masked = _without_escaped_quotes(data)
    rest, at = bytearray(), 0
    texts: list[str] = []
    while (first := masked.find(b'"', at)) >= 0 and (last := masked.find(b'"', first + 1)) >= 0:
        text = _plain(data[first + 1 : last]) if last - first > _LONG else None
        if text is None:
            rest += memoryview(data)[at : last + 1]
        else:
            rest += memoryview(data)[at:first]
            rest += b'"%s%d"' % (_MARK.encode(), len(texts))
            texts.append(text)
        at = last + 1
        if len(rest) > most:
            break
    if len(rest) + len(data) - at > most:
        raise TooLongError(f"more than {most} bytes")
    return rest + data[at:], texts


def _without_escaped_quotes(data: bytes) -> bytes:
    """As long as the body. Escaped quotes, which end no text, are dots.

    In pieces: other threads cannot go on within a step, which would take a second for a long body.
    """
    if b"\\" not in data:
        return data
    pieces, at = [], 0
    while at < len(data):
        found = _BACKSLASHES.match(data, at + _PIECE)
        end = found.end() if found else len(data)
        pieces.append(data[at:end].replace(b"\\\\", b"..").replace(b'\\"', b".."))
        at = end
    return b"".join(pieces)


def _plain(text: bytes) -> str | None:
    """A text without its escapes; None where it may be anything but base64.

    Line breaks may stand in it as they are, which JSON forbids: shells put them there.
    """
    if b"\\" in text and b"\\\\" not in text:
        for written, plain in _ESCAPES:
            text = text.replace(written, plain)
    return None if b"\\" in text or not text.isascii() else text.decode("ascii")


def _sound(value: Any, texts: Sequence[str], depth: int = 0) -> Any:
    """The value with the texts that were set aside. Raises ValueError for what cannot be stored."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    match value:
        case str():
            if value.startswith(_MARK):
                return texts[int(value.removeprefix(_MARK))]
            if _UNSTORABLE.search(value):
                raise ValueError("a text has a character that cannot be stored")
        case list():
            for index, item in enumerate(value):
                value[index] = _sound(item, texts, depth + 1)
        case dict():
            for key, item in value.items():
                if _sound(key, texts, depth + 1) != key:
                    raise ValueError("a name is too long")
                value[key] = _sound(item, texts, depth + 1)
    return value
