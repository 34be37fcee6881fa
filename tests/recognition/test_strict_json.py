"""JSON: which pictures are decoded, what is parsed, and how much of it."""

import base64
import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition import strict_json
from recognition.api.base64_text import Base64Decoder
from recognition.strict_json import MOST, TooLongError, load_body, loads

DECODED = bytes(range(256)) * 80
PICTURE = base64.b64encode(DECODED).decode()  # with + and /


class Decoder(Base64Decoder):
    def end(self) -> Any:
        picture = super().end()
        return picture.wrong or picture.data


def loads_body(data: bytes, most: int = MOST) -> Any:
    return load_body(BytesIO(data).read, most, Decoder)


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_it_works() -> None:
    assert loads_body(body(image=PICTURE, user_id="a")) == {"image": DECODED, "user_id": "a"}


@pytest.mark.parametrize("name", ["image", "image_a", "image_b"])
@pytest.mark.parametrize("between", ["", " ", ": ", "\n\t"])
def test_the_names_of_pictures(name: str, between: str) -> None:
    colon = between if ":" in between else f"{between}:{between}"
    assert loads_body(f'{{"{name}"{colon}"{PICTURE}"}}'.encode(), 200) == {name: DECODED}


@pytest.mark.parametrize("name", ["note", "images", "xmage", "an image", '\\"image', "im\\u0061ge"])
def test_other_long_texts_are_parsed(name: str) -> None:
    text = f'{{"{name}": "{PICTURE}"}}'.encode()
    assert list(loads_body(text).values()) == [PICTURE]
    with pytest.raises(TooLongError):
        loads_body(text, most=len(PICTURE))


@pytest.mark.parametrize("wrong", ["*", "ä", '\\"', "\\\\", "\\\\/", "\\u0041", "="])
@pytest.mark.parametrize("at", [0, 100, 20_000, len(PICTURE) - 4])
def test_a_picture_that_is_no_base64(wrong: str, at: int) -> None:
    """It is an error of its own: in a batch the other pictures are taken."""
    text = PICTURE[:at] + wrong + PICTURE[at:]
    found = loads_body(f'{{"a": [{{"image": "{text}"}}, {{"image": "{PICTURE}"}}]}}'.encode())
    assert found["a"][0]["image"] == "The picture is not valid base64."
    assert found["a"][1]["image"] == DECODED


def test_pictures_are_not_parsed() -> None:
    many = body(images=[{"image_id": str(n), "image": PICTURE} for n in range(20)])
    assert len(many) > 100_000
    assert [each["image"] for each in loads_body(many, most=2000)["images"]] == [DECODED] * 20


@pytest.mark.parametrize("written", ["\\/", "\\u002F", "\\u002f"])
def test_the_escapes_of_other_libraries(written: str) -> None:
    text = b'{"image": "' + PICTURE.replace("/", written).encode() + b'"}'
    assert loads_body(text, most=100) == {"image": DECODED}


@pytest.mark.parametrize("written", ["\\n", "\\r\\n", "\\t", "\\u000a", "\\u000D\\u000A", "\n"])
def test_base64_in_lines(written: str) -> None:
    """The last is what a shell puts there, and no JSON."""
    lines = written.join(PICTURE[at : at + 76] for at in range(0, len(PICTURE), 76))
    assert loads_body(f'{{"image": "{lines}"}}'.encode(), most=100) == {"image": DECODED}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "\\", '\\"', "ä", "\\\\/", "\t"])
@pytest.mark.parametrize("more", [0, 5000])
def test_other_texts_are_parsed_as_ever(text: str, more: int) -> None:
    fields = {"note": text + "x" * more + text, "other": [text], "image": text}
    assert loads_body(body(**fields)) == fields
    assert loads_body(json.dumps(fields, ensure_ascii=False).encode()) == fields


def test_a_long_body_is_read_in_short_steps() -> None:
    """Other threads of the process wait within a step."""
    text = body(images=[{"image": PICTURE}] * 100)
    asked: list[int] = []

    def read(size: int) -> bytes:
        asked.append(size)
        return stream.read(size)

    stream = BytesIO(text)
    parsed = load_body(read, MOST, Decoder)
    assert [each["image"] for each in parsed["images"]] == [DECODED] * 100
    assert len(text) > 20 * max(asked)


def test_a_byte_order_mark() -> None:
    assert loads_body(b"\xef\xbb\xbf" + body(a=1)) == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        b'{"image": [' + b"{}," * 40_000 + b"{}]}",
        b'{"a": "' + b'\\"' * 40_000 + b'"}',
        b'{"a": "' + b"\\\\" * 40_000 + b'"}',
        b'{"image": "' + b'\\"' * 70_000 + b'"}',
        b'"' * 70_000,
        b'{"a": "' + "ä".encode() * 70_000 + b'"}',
        b'{"a": 1' + b" " * 70_000 + b"}",
        b'{"a": ' + b"9" * 70_000 + b"}",
    ],
)
def test_what_is_no_picture_is_bounded(text: bytes) -> None:
    with pytest.raises(TooLongError):
        loads_body(text)
    with pytest.raises(TooLongError):
        loads(text.decode())


def test_the_bound_is_inclusive() -> None:
    text = body(note="ä" * 2000, image=PICTURE)
    least = len(text) - len(PICTURE)
    assert loads_body(text, most=least + 40)["image"] == DECODED  # a mark takes its place
    with pytest.raises(TooLongError):
        loads_body(text, most=least - 1)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": "' + b"a" * 5000,
        b"a" * 5000 + b'"',
        b'{"a": ' + b'"a' * 3000 + b"}",
        b'{"a" "' + b"a" * 5000 + b'"}',
        b'{"image": "' + b"a" * 50_000,
        b'{"image": "' + b"a" * 50_000 + b'" "a"}',
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b"\xff\xfe{\0}\0",
        b"[" * 60_000,
        b"",
    ],
)
def test_what_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        loads_body(text)


def test_a_mark_cannot_be_guessed() -> None:
    assert len(strict_json._MARK) == 32


_PARTS = ["\\", '"', "a", "\\\\", '\\"', "ä", "/", "\n", "\ufeff", "image"]
_texts = st.lists(st.sampled_from(_PARTS), max_size=40).map("".join)


@given(st.dictionaries(_texts.filter(lambda text: len(text) < 1000), _texts), st.booleans())
@settings(max_examples=150)
@pytest.mark.parametrize("piece", [2, 7, 64])
def test_a_body_in_pieces_is_the_whole(piece: int, fields: dict[str, str], escaped: bool) -> None:
    data = json.dumps({**fields, "image": PICTURE}, ensure_ascii=escaped).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "_PIECE", piece)
        assert loads_body(data) == {**fields, "image": DECODED}


@given(st.lists(st.sampled_from([b"\\", b'"', b"a", b"{", b":", b"\\u002"]), max_size=60))
@settings(max_examples=150)
@pytest.mark.parametrize("piece", [1, 3, 7])
def test_what_is_broken_in_pieces_is_broken_as_a_whole(piece: int, parts: list[bytes]) -> None:
    data = b"".join(parts)
    whole = _value_or_error(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "_PIECE", piece)
        assert _value_or_error(data) == whole


def _value_or_error(data: bytes) -> Any:
    try:
        return loads_body(data)
    except ValueError as error:
        return type(error)
