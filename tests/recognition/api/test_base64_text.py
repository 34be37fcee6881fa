"""Base64 as clients write it, in pieces."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.api import base64_text
from recognition.errors import ServiceError

PLAIN, URL_SAFE = base64.b64encode, base64.urlsafe_b64encode


@pytest.mark.parametrize("piece", [1, 2, 3, 4, 7])
@given(st.binary(max_size=40), st.sampled_from([PLAIN, URL_SAFE]), st.booleans(), st.booleans())
@settings(max_examples=150)
def test_it_works(piece: int, data: bytes, encode: object, padded: bool, as_uri: bool) -> None:
    assert callable(encode)
    text = encode(data).decode()
    text = text if padded else text.rstrip("=")
    lines = " \r\n".join(text[at : at + 5] for at in range(0, len(text), 5))
    text = "data:image/png;base64," + quote(lines, safe="") if as_uri else lines
    assert base64_text.decoded(text) == data
    assert in_parts(text, piece) == (data, "")


@pytest.mark.parametrize("piece", [1, 3, 64 * 1024])
@pytest.mark.parametrize(
    "text", ["A", "AA=A", "AA==AA==", "=AAA", "AAA===", "AA=====", "AAAA\u00e4", "AA*A", "AAAA%3D"]
)
def test_what_is_refused(piece: int, text: str) -> None:
    with pytest.raises(ServiceError) as refused:
        base64_text.decoded(text)
    assert refused.value.code == "invalid_base64"
    assert in_parts(text, piece) == (b"", "The picture is not valid base64.")


@pytest.mark.parametrize("text", ["data:", "data:image/png;base64", "data:image/png,AAAA"])
@pytest.mark.parametrize("piece", [1, 100])
def test_a_data_uri_without_base64(text: str, piece: int) -> None:
    assert in_parts(text, piece)[1]
    assert in_parts(text + "x" * 5000, piece)[1]


def in_parts(text: str, size: int) -> tuple[bytes, str]:
    decoder = base64_text.Base64Decoder()
    data = text.encode()
    for at in range(0, len(data), size):
        decoder.add(data[at : at + size])
    picture = decoder.end()
    return picture.data, picture.wrong
