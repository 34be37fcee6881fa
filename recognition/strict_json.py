"""JSON without the corners that databases choke on, and without work that its size does not show.

A parsed value takes up to forty times the memory of its text. So a text that is parsed is short,
and the pictures of a body, long texts in base64, are decoded before the rest is parsed.

A body is read in short pieces. Other threads of the process cannot go on within a step, and they
would wait for seconds while a long body were read as a whole.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

# Bytes of a text that is parsed.
MOST = 64 * 1024
# NUL, which PostgreSQL refuses in text, and halves of surrogate pairs, which no UTF-8 can hold.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Deeper structures meet recursion limits further on; nobody means them.
_MAX_DEPTH = 32
# Bytes of a picture's text that is decoded here, at least.
_LONG = 16 * 1024
# The names of pictures. One that is written with escapes is parsed like all others.
_PICTURE = re.compile(rb'(?<!\\)"(image(_a|_b)?|Bytes)"\s*:\s*\Z')
_LONGEST_NAME = 40
# Bytes that are read in one step.
_PIECE = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Stands for a picture. It is secret, so no body can have it by itself.
_MARK = secrets.token_hex(16)
# How libraries write what base64 and its line breaks consist of.
_ESCAPES = [(b"\\/", b"/"), (b"\\n", b"\n"), (b"\\r", b"\r"), (b"\\t", b"\t")]
_ESCAPES += [
    (written, plain)
    for plain in (b"+", b"/", b"=", b"-", b"_", b"\n", b"\r")
    for written in (b"\\u%04x" % ord(plain), b"\\u%04X" % ord(plain))
]
_LONGEST_ESCAPE = len(b"\\u002B")


class TextDecoder(Protocol):
    """Decodes the text of a picture, which comes in parts."""

    def add(self, part: bytes) -> None: ...

    def end(self) -> object:
        """The picture, or what is wrong with it."""


class PacedBody:
    """A body of which only the beginning is read as fast as it comes.

    What is made of a step takes the interpreter from all other requests of the process. So a long
    body is at most half of what the process works on.
    """

    _AT_FULL_SPEED = 256 * 1024  # bytes: most frames, and what has no picture
    _LONGEST_PAUSE = 0.02  # seconds

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._bytes = 0
        self._returned = 0.0

    def read(self, size: int, /) -> bytes:
        if self._bytes > self._AT_FULL_SPEED:
            time.sleep(min(time.perf_counter() - self._returned, self._LONGEST_PAUSE))
        data: bytes = self._stream.read(size)
        self._bytes += len(data)
        self._returned = time.perf_counter()
        return data


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


def load_body(read: Callable[[int], bytes], most: int, decoder: Callable[[], TextDecoder]) -> Any:
    """The value of a body, of which at most so many bytes are no pictures. Raises ValueError.

    `read` gives the next bytes, at most so many, and none at the end.
    """
    body = _Body(most, decoder)
    for piece in _pieces(read):
        body.add(piece)
    return _value(body.end().decode("utf-8"), body.pictures)


def _value(text: str, pictures: Sequence[object]) -> Any:
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _sound(value, pictures)


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The bytes in pieces that part no escape."""
    rest = b""
    while data := read(_PIECE):
        piece = rest + data
        end = _end_of_escapes(piece)
        rest = piece[end:]
        yield piece[:end]
    yield rest


def _end_of_escapes(piece: bytes) -> int:
    """Where the last escape begins, if it may go on behind the piece, or else the end."""
    last = piece.rfind(b"\\", -_LONGEST_ESCAPE)
    if last < 0:
        return len(piece)
    before = piece[: last + 1]
    is_escaped = (len(before) - len(before.rstrip(b"\\"))) % 2 == 0
    return len(piece) if is_escaped else last


class _Body:
    """What is parsed, with a mark in place of each picture, and the pictures.

    Linear: each byte is looked at a few times, by functions of C.
    """

    def __init__(self, most: int, decoder: Callable[[], TextDecoder]) -> None:
        self.pictures: list[object] = []
        self._most, self._decoder = most, decoder
        self._parsed = bytearray()
        self._escaped_quotes = 0  # no picture has one, so there are few
        self._is_in_text = False
        self._picture: _Picture | None = None  # that the last piece ended in

    def add(self, piece: bytes) -> None:
        """Raises TooLongError."""
        at = 0
        while (quote := piece.find(b'"', at)) >= 0:
            part = piece[at:quote]
            at = quote + 1
            if (len(part) - len(part.rstrip(b"\\"))) % 2:  # the quote is escaped
                self._escaped_quotes += 1
                self._go_on(part + b'"')
            else:
                self._go_on(part)
                self._turn()
        self._go_on(piece[at:])

    def end(self) -> bytearray:
        """What is parsed. Raises ValueError."""
        if self._picture:
            raise ValueError("a text without an end")
        return self._parsed.removeprefix(_BYTE_ORDER_MARK)

    def _go_on(self, part: bytes) -> None:
        self._refuse_if_over(self._escaped_quotes)
        if self._picture:
            self._picture.add(part)
        else:
            self._parse(part)

    def _turn(self) -> None:
        """A quote: a text begins or ends."""
        self._is_in_text = not self._is_in_text
        if self._picture:
            if decoder := self._picture.decoder:
                self._parse(b"%s%d" % (_MARK.encode(), len(self.pictures)))
                self.pictures.append(decoder.end())
            self._parse(self._picture.short + b'"')
            self._picture = None
            return
        is_picture = self._is_in_text and _PICTURE.search(self._parsed[-_LONGEST_NAME:])
        self._parse(b'"')
        if is_picture:
            self._picture = _Picture(self._decoder)

    def _parse(self, part: bytes) -> None:
        self._parsed += part
        self._refuse_if_over(len(self._parsed))

    def _refuse_if_over(self, size: int) -> None:
        if size > self._most:
            raise TooLongError(f"more than {self._most} bytes")


class _Picture:
    """A picture's text. A short one is parsed: it may be written in any way that JSON knows."""

    def __init__(self, new_decoder: Callable[[], TextDecoder]) -> None:
        self._new_decoder = new_decoder
        self.short = b""
        self.decoder: TextDecoder | None = None  # of a long one

    def add(self, part: bytes) -> None:
        if self.decoder is None:
            self.short += part
            if len(self.short) <= _LONG:
                return
            part, self.short, self.decoder = self.short, b"", self._new_decoder()
        self.decoder.add(_unescaped(part))


def _unescaped(text: bytes) -> bytes:
    """With the escapes of base64 as they are read; the decoder refuses all others."""
    for written, plain in _ESCAPES:
        if b"\\" not in text:
            break
        text = text.replace(written, plain)
    return text


def _sound(value: Any, pictures: Sequence[object], depth: int = 0) -> Any:
    """The value with the pictures. Raises ValueError for what cannot be stored."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    match value:
        case str():
            if value.startswith(_MARK):
                return pictures[int(value.removeprefix(_MARK))]
            if _UNSTORABLE.search(value):
                raise ValueError("a text has a character that cannot be stored")
        case list():
            for index, item in enumerate(value):
                value[index] = _sound(item, pictures, depth + 1)
        case dict():
            for key, item in value.items():
                _sound(key, pictures, depth + 1)
                value[key] = _sound(item, pictures, depth + 1)
    return value
