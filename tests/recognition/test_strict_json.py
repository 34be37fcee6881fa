"""JSON: what is set aside, what is parsed, and how much of it."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition import strict_json
from recognition.strict_json import TooLongError, loads, loads_body

PICTURE = base64.b64encode(bytes(range(256)) * 40).decode()  # with + and /


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_it_works() -> None:
    assert loads_body(body(image=PICTURE, user_id="a")) == {"image": PICTURE, "user_id": "a"}


def test_pictures_are_not_parsed() -> None:
    many = body(images=[{"image_id": str(n), "image": PICTURE} for n in range(20)])
    assert len(many) > 100_000
    assert loads_body(many, most=2000) == json.loads(many)


@pytest.mark.parametrize("written", ["\\/", "\\u002F", "\\u002f"])
def test_the_escapes_of_other_libraries(written: str) -> None:
    text = b'{"image": "' + PICTURE.replace("/", written).encode() + b'"}'
    assert loads_body(text, most=100) == {"image": PICTURE}


@pytest.mark.parametrize("written", ["\\n", "\\r\\n", "\n"])
def test_base64_in_lines(written: str) -> None:
    """The last is what a shell puts there, and no JSON."""
    lines = written.join(PICTURE[at : at + 76] for at in range(0, len(PICTURE), 76))
    parsed = loads_body(f'{{"image": "{lines}"}}'.encode(), most=100)
    assert "".join(parsed["image"].split()) == PICTURE


@pytest.mark.parametrize("text", ['a"b', "a\\b", "\\", '\\"', "ä", "\\\\/", "\t"])
@pytest.mark.parametrize("more", [0, 5000])
def test_other_texts_are_parsed_as_ever(text: str, more: int) -> None:
    fields = {"note": text + "x" * more + text, "other": [text], "image": PICTURE}
    assert loads_body(body(**fields)) == fields
    assert loads_body(json.dumps(fields, ensure_ascii=False).encode()) == fields


def test_a_byte_order_mark() -> None:
    assert loads_body(b"\xef\xbb\xbf" + body(a=1)) == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        b'{"image": [' + b"{}," * 40_000 + b"{}]}",
        b'{"a": "' + b'\\"' * 40_000 + b'"}',
        b'{"a": "' + b"\\\\" * 40_000 + b'"}',
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
    assert loads_body(text, most=least + 40)["image"] == PICTURE  # a mark takes its place
    with pytest.raises(TooLongError):
        loads_body(text, most=least - 1)


@pytest.mark.parametrize(
    "text",
    [
        b'{"' + b"a" * 5000 + b'": 1}',
        b'{"a": "' + b"a" * 5000,
        b"a" * 5000 + b'"',
        b'{"a": ' + b'"a' * 3000 + b"}",
        b'{"a" "' + b"a" * 5000 + b'"}',
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


def test_a_mark_cannot_be_guessed_nor_used_as_a_name() -> None:
    with pytest.raises(ValueError):
        loads_body(b'{"' + b"a" * 5000 + b'": "' + b"a" * 5000 + b'"}')
    assert len(strict_json._MARK) == 32


@given(st.lists(st.sampled_from([b"\\", b'"', b"a", b"\\\\", b'\\"']), max_size=60).map(b"".join))
@settings(max_examples=500)
def test_pieces_are_the_whole(data: bytes) -> None:
    whole = data.replace(b"\\\\", b"..").replace(b'\\"', b"..")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "_PIECE", 3)
        assert strict_json._without_escaped_quotes(data) == whole
