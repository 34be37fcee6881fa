"""Pictures as the text of a JSON body, as clients of all kinds write it."""

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from recognition.errors import ServiceError

# The alphabet of URLs is read as the plain one.
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n\f"
_URI = b"data:"
# Bytes in front of the comma of a data URI.
_LONGEST_HEAD = 1000
# What a data URI may have in the place of characters that mean something in URLs.
_PERCENT = [(b"%2B", b"+"), (b"%2F", b"/"), (b"%3D", b"="), (b"%0D", b""), (b"%0A", b"")]
_PERCENT += [(written.lower(), plain) for written, plain in [*_PERCENT, (b"%20", b"")]]


def decoded(text: str) -> bytes:
    """The bytes of base64 in either alphabet, with or without padding and blanks, or a data URI.

    Raises invalid_base64.
    """
    decoder = Base64Decoder()
    decoder.add(text.encode())
    return decoder.end().read()


@dataclass(frozen=True, repr=False)
class DecodedPicture:
    """What a long text gave. An error that shows where it does not belong shows no picture."""

    data: bytes
    wrong: str  # with the text, or empty

    def __repr__(self) -> str:
        return "<picture>"

    def read(self) -> bytes:
        """Raises invalid_base64."""
        if self.wrong:
            raise ServiceError("invalid_base64", self.wrong)
        return self.data


class Base64Decoder:
    """Decodes a text that comes in parts."""

    def __init__(self) -> None:
        self._start: bytes | None = b""  # until it is known whether this is a data URI
        self._is_uri = False
        self._percent = self._digits = b""  # what the next part goes on with
        self._padding = 0
        self._data = BytesIO()  # grows in its place, and gives its bytes without a copy
        self._wrong = ""

    def add(self, part: bytes) -> None:
        if not self._wrong:
            self._try(self._go_on if self._start is None else self._begin, part)

    def end(self) -> DecodedPicture:
        if not self._wrong:
            self._try(self._finish)
        return DecodedPicture(self._data.getvalue(), self._wrong)

    def _try(self, work: Callable[..., None], *args: bytes) -> None:
        try:
            work(*args)
        except ValueError as error:
            # The exception itself would keep the picture, through the frames where it passed.
            self._wrong, self._data = str(error), BytesIO()

    def _begin(self, part: bytes) -> None:
        assert self._start is not None
        text = self._start = (self._start + part).lstrip()
        if len(text) < len(_URI):
            return
        self._is_uri = text[: len(_URI)].lower() == _URI
        if self._is_uri:
            head, comma, text = text.partition(b",")
            if not comma and len(head) < _LONGEST_HEAD:
                return
            if not head.lower().replace(b" ", b"").endswith(b";base64"):
                raise ValueError("The data URI is not base64.")
        self._start = None
        self._go_on(text)

    def _finish(self) -> None:
        if self._start is not None:
            _refuse_if(self._is_uri)  # it has no comma
            self._go_on(self._start)
        _refuse_if(self._percent or self._padding > 2)
        self._decode(self._digits + b"=" * (-len(self._digits) % 4))

    def _go_on(self, part: bytes) -> None:
        if self._is_uri:
            part = self._without_percent(part)
        part = part.translate(_FROM_URL, _BLANKS)
        digits = part.rstrip(b"=")
        _refuse_if(digits and (self._padding or b"=" in digits))
        self._padding += len(part) - len(digits)
        digits = self._digits + digits
        end = len(digits) // 4 * 4
        self._digits = digits[end:]
        self._decode(digits[:end])

    def _without_percent(self, part: bytes) -> bytes:
        part = self._percent + part
        parted = part.rfind(b"%", -2)
        end = len(part) if parted < 0 else parted
        self._percent, part = part[end:], part[:end]
        if b"%" in part:
            for written, plain in _PERCENT:
                part = part.replace(written, plain)
        return part

    def _decode(self, digits: bytes) -> None:
        try:
            self._data.write(binascii.a2b_base64(digits, strict_mode=True))
        except binascii.Error:
            _refuse_if(True)


def _refuse_if(is_wrong: object) -> None:
    if is_wrong:
        raise ValueError("The picture is not valid base64.")
