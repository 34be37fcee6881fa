"""Pictures as the text of a JSON body, as clients of all kinds write it."""

import base64
import binascii

from recognition.errors import ServiceError

# The alphabet of URLs is read as the plain one.
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n\f"
# What a data URI may have in the place of characters that mean something in URLs.
_PERCENT = [(b"%2B", b"+"), (b"%2F", b"/"), (b"%3D", b"="), (b"%0D", b""), (b"%0A", b"")]
_PERCENT += [(written.lower(), plain) for written, plain in [*_PERCENT, (b"%20", b"")]]


def decoded(text: str) -> bytes:
    """The bytes of base64 in either alphabet, with or without padding and blanks, or a data URI.

    Raises invalid_base64.
    """
    text = text.lstrip()
    is_uri = text[:5].lower() == "data:"
    if is_uri:
        head, _, text = text.partition(",")
        if not head[-100:].lower().replace(" ", "").endswith(";base64"):
            raise ServiceError("invalid_base64", "The data URI is not base64.")
    try:
        data = text.encode("ascii")
        if is_uri and b"%" in data:
            for written, plain in _PERCENT:
                data = data.replace(written, plain)
        data = data.translate(_FROM_URL, _BLANKS)
        digits = data.rstrip(b"=")
        if len(data) - len(digits) > 2:
            raise binascii.Error("too much padding")
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ServiceError("invalid_base64", "The picture is not valid base64.") from None
