"""Whatever comes in: a 4xx with its own code, never a 500, and nothing is left behind."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.utils import timezone
from pytest_django import Settings

from recognition.models import Attempt, Session
from tests.support.builders import (
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    PREFIX,
    FakePipeline,
    Person,
    make_face,
    make_user,
    refusal,
    row_counts,
    vector,
)
from tests.support.photos import black_png, encode, jpeg

pytestmark = pytest.mark.django_db

MB = 1024**2
NOISE = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)


BOMB = black_png(10_000, 10_000)
PICTURES = {
    "empty": (b"", 400, "empty_image"),
    "text as an image": (b"Not a picture. " * 20, 415, "unsupported_format"),
    "a GIF": (b"GIF89a" + bytes(100), 415, "unsupported_format"),
    "truncated JPEG": (jpeg(NOISE)[:-200], 400, "truncated_image"),
    "truncated PNG": (encode(NOISE)[:-200], 400, "truncated_image"),
    "1 x 1 pixel": (encode(NOISE[:1, :1]), 422, "image_too_small"),
    "100 megapixels": (BOMB, 413, "too_many_pixels"),
    "10 MB and a byte": ((PICTURE + bytes(10 * MB))[: 10 * MB + 1], 413, "image_too_large"),
    "11 MB": (PICTURE + bytes(11 * MB), 413, None),  # the body or the picture, which is met first
    "a PNG of noise": (PICTURE[:33] + bytes(range(256)) + PICTURE[-12:], 400, None),
}
PATHS = ["register", "verify", "identify", "detect", "compare"]

FRIENDS = "users/0000000b-0000-4000-8000-000000000002/friends"

Send = Callable[[Person, str, bytes], HttpResponse]


def fields_of(path: str) -> dict[str, Any]:
    return {"user_id": str(OWNER)} if path in {"register", "verify"} else {}


def with_pictures(path: str, picture: Any) -> dict[str, Any]:
    if path == "compare":
        return {"image_a": PICTURE_BASE64, "image_b": picture}
    return {**fields_of(path), "image": picture}


def as_base64(person: Person, path: str, image: bytes) -> HttpResponse:
    return person.post(path, **with_pictures(path, base64.b64encode(image).decode()))


def as_data_uri(person: Person, path: str, image: bytes) -> HttpResponse:
    uri = "data:image/jpeg;base64," + base64.b64encode(image).decode()
    return person.post(path, **with_pictures(path, uri))


def as_form(person: Person, path: str, image: bytes) -> HttpResponse:
    fields = with_pictures(path, SimpleUploadedFile("photo.jpg", image, "image/jpeg"))
    return send_form(person, path, fields)


def as_body(person: Person, path: str, image: bytes) -> HttpResponse:
    query = f"?user_id={OWNER}" if fields_of(path) else ""
    headers = {"Authorization": f"Bearer {person.token}"}
    # The test client leaves out the type of an empty body, which real clients send.
    return person.client.generic(
        "POST", PREFIX + path + query, image, headers=headers, CONTENT_TYPE="image/jpeg"
    )


def send_form(person: Person, path: str, fields: dict[str, Any]) -> HttpResponse:
    headers = {"Authorization": f"Bearer {person.token}"}
    return person.client.post(PREFIX + path, fields, headers=headers)


# Two pictures do not fit into one body.
WAYS = [
    (path, send)
    for path in PATHS
    for send in (as_base64, as_data_uri, as_form, as_body)
    if (path, send) != ("compare", as_body)
]


@pytest.fixture(autouse=True)
def nothing_is_left(db: None, fake: FakePipeline) -> Iterator[None]:
    fake.show(vector(1))
    before = row_counts()
    yield
    assert row_counts() == before


def check(answer: HttpResponse, status: int, code: str | None) -> None:
    found = refusal(answer)
    assert found == (status, code or found[1]), answer.content


@pytest.mark.parametrize("case", PICTURES)
@pytest.mark.parametrize(("path", "send"), WAYS)
def test_a_bad_picture(service: Person, path: str, send: Send, case: str) -> None:
    image, status, code = PICTURES[case]
    check(send(service, path, image), status, code)


def test_the_bomb_is_small() -> None:
    assert len(BOMB) < 20_000


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "text",
    [
        "not base64!",
        "AAAA=AAA",
        "A",
        "ÄÖÜ=",
        "AAAA===",
        "\U0001f600",
        "data:image/png;base64,???",
        "data:image/png,AAAA",
        "data:;base64",
        "data:",
    ],
)
def test_a_text_that_is_no_base64(service: Person, path: str, text: str) -> None:
    answer = service.post(path, **with_pictures(path, text))
    assert refusal(answer) in {(400, "invalid_base64"), (400, "empty_image")}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", [None, 7, 1.5, True, [], {}, ["AAAA"], {"data": "AAAA"}])
def test_a_picture_of_the_wrong_type(service: Person, path: str, value: object) -> None:
    check(service.post(path, **with_pictures(path, value)), 400, "invalid_request")


@pytest.mark.parametrize("path", PATHS)
def test_no_picture(service: Person, path: str) -> None:
    check(service.post(path, **fields_of(path)), 400, "invalid_request")


@pytest.mark.parametrize("path", PATHS)
def test_a_field_that_is_unknown(service: Person, path: str) -> None:
    fields = {**with_pictures(path, PICTURE_BASE64), "img": "x"}
    check(service.post(path, **fields), 400, "unknown_field")
    check(send_form(service, path, fields), 400, "unknown_field")


# --- bodies ---------------------------------------------------------------------------------------

BODIES = {
    "nothing": (b"", "invalid_request"),
    "blanks": (b"  \n", "malformed_json"),
    "half a JSON": (b'{"image": "AA', "malformed_json"),
    "a list": (b"[]", "malformed_json"),
    "a text": (b'"x"', "malformed_json"),
    "null": (b"null", "malformed_json"),
    "NaN": (b'{"image": NaN}', "malformed_json"),
    "Infinity": (b'{"face_index": -Infinity}', "malformed_json"),
    "a number too large for a float": (b'{"image": 1e999}', None),
    "a number of 5,000 digits": (b'{"image": ' + b"9" * 5000 + b"}", None),
    "100,000 brackets": (b"[" * 100_000, "malformed_json"),
    "60,000 brackets": (b"[" * 60_000, "malformed_json"),
    "30,000 nested lists": (b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "malformed_json"),
    "100,000 nested lists": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json"),
    "100,000 nested objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "malformed_json"),
    "not UTF-8": (b'{"image": "\xff\xfe"}', "malformed_json"),
    "UTF-16": ('{"image": "x"}'.encode("utf-16"), "malformed_json"),
    "a byte order mark": (b'\xef\xbb\xbf{"image": "x"}', None),
    "NUL in a name": (b'{"a\\u0000": 1}', "malformed_json"),
    "half a surrogate pair in a name": (b'{"a\\ud800": 1}', "malformed_json"),
}


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_no_request(service: Person, path: str, case: str) -> None:
    body, code = BODIES[case]
    answer = service.send("post", path, body, content_type="application/json")
    if len(body) > 65_536:
        check(answer, 413, "payload_too_large")
    else:
        check(answer, 400, code)


@pytest.mark.parametrize("case", [case for case in BODIES if case != "nothing"])
@pytest.mark.parametrize("path", ["groups/a", f"groups/a/members/{OWNER}", f"{FRIENDS}/{OWNER}"])
def test_a_body_where_the_path_says_it_all(service: Person, path: str, case: str) -> None:
    body, code = BODIES[case]
    answer = service.send("put", path, body)
    codes = {(400, code or "malformed_json"), (400, "unknown_field")}
    assert refusal(answer) in codes | (
        {(413, "payload_too_large")} if len(body) > 65_536 else set()
    )


@pytest.mark.parametrize("case", [case for case in BODIES if case != "blanks"])
def test_a_body_that_is_no_graph(service: Person, case: str) -> None:
    body, _ = BODIES[case]
    answer = service.send("post", "graph", body, content_type="application/x-ndjson")
    check(answer, 400 if not body else 422, "invalid_request" if not body else "invalid_graph")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", PATHS)
def test_the_wrong_content_type(service: Person, path: str, content_type: str) -> None:
    answer = service.send("post", path, b"image=AAAA", content_type=content_type)
    check(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=", b"--x\r\n"),
        ("multipart/form-data; boundary=é", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="image"'),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n'
            b"Content-Transfer-Encoding: base64\r\n\r\n!!!!\r\n--x--\r\n",
        ),
        ("multipart/form-data; boundary=x; charset=nonsense", b"--x--\r\n"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_broken_form(service: Person, path: str, content_type: str, body: bytes) -> None:
    answer = service.send("post", path, body, content_type=content_type)
    assert 400 <= answer.status_code < 500
    assert answer.json()["success"] is False


@pytest.mark.parametrize(("path", "send"), WAYS)
def test_a_body_longer_than_the_limit(
    service: Person, settings: Settings, path: str, send: Send
) -> None:
    settings.BODY_ROOM_BYTES = settings.MAX_ENCODED_IMAGE_BYTES = 1000
    check(send(service, path, PICTURE + bytes(8000)), 413, "payload_too_large")


@pytest.mark.parametrize("path", PATHS)
def test_a_body_longer_than_django_takes(service: Person, settings: Settings, path: str) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    check(as_base64(service, path, PICTURE + bytes(2000)), 413, "payload_too_large")


def test_a_body_without_pictures_is_short(service: Person) -> None:
    answer = service.put(f"users/{OWNER}", display_name="x" * 100_000)
    check(answer, 413, "payload_too_large")


@pytest.mark.parametrize("content_type", ["application/json", "image/png"])
@pytest.mark.parametrize("path", ["register", "detect"])
def test_a_body_of_unknown_length(service: Person, path: str, content_type: str) -> None:
    answer = service.send(
        "post",
        path,
        b"{}",
        content_type=content_type,
        headers={"Transfer-Encoding": "chunked"},
        CONTENT_LENGTH="",
    )
    check(answer, 411, "length_required")


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "99999999999999999999"])
def test_a_length_that_is_a_lie(service: Person, length: str) -> None:
    answer = service.send("post", "detect", b"{}", CONTENT_LENGTH=length)
    assert 400 <= answer.status_code < 500


def test_a_form_of_5000_fields(service: Person) -> None:
    answer = send_form(service, "detect", {f"field{number}": "x" for number in range(5000)})
    assert 400 <= answer.status_code < 500


def test_a_form_of_500_files(service: Person) -> None:
    files = {f"f{number}": SimpleUploadedFile("a.png", PICTURE) for number in range(500)}
    check(send_form(service, "detect", files), 413, "too_many_images")


def test_the_same_field_twice_in_a_form(service: Person, fake: FakePipeline) -> None:
    fields = {"user_id": [str(OWNER), " x"], "image": SimpleUploadedFile("a.png", PICTURE)}
    check(send_form(service, "register", fields), 400, "invalid_request")


# --- texts ----------------------------------------------------------------------------------------

STRANGE = {
    "NUL": "a\x00b",
    "half a surrogate pair": "a\ud800b",
    "the other half": "\udfff",
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize(
    "field", ["face_group", "metadata", "metadata key", "user_id", "image", "face_id"]
)
def test_a_text_that_cannot_be_stored(service: Person, field: str, text: str) -> None:
    fields = {"user_id": str(OWNER), "image": PICTURE_BASE64}
    if field == "metadata key":
        fields |= {"metadata": {text: 1}}  # type: ignore[dict-item]
    else:
        fields |= {field: {"note": [text]} if field == "metadata" else text}  # type: ignore[dict-item]
    path = "verify" if field == "face_id" else "register"
    answer = service.send("post", path, json.dumps(fields).encode())
    check(answer, 400, "malformed_json")


METADATA_TEXTS = {
    "NUL": '{"note": "a\\u0000b"}',
    "NUL in a key": '{"a\\u0000b": 1}',
    "half a surrogate pair": '{"note": "\\ud800"}',
    "NaN": '{"note": NaN}',
    "Infinity": '{"note": [-Infinity]}',
    "a float too large": '{"note": 1e999}',
    "100,000 brackets": "[" * 100_000,
    "a list": "[]",
    "half a JSON": '{"note": ',
    "1 MB": json.dumps({"note": "x" * 10**6}),
    "5,000 digits": '{"note": ' + "9" * 5000 + "}",
    "empty": "",
}


@pytest.mark.parametrize("text", METADATA_TEXTS.values(), ids=METADATA_TEXTS)
@pytest.mark.parametrize("form", ["form", "query", "JSON"])
def test_metadata_as_a_text(service: Person, form: str, text: str) -> None:
    """Forms and query strings carry it so; the parser of JSON bodies has not seen the inside."""
    fields = {"user_id": str(OWNER), "metadata": text}
    if form == "form":
        upload = SimpleUploadedFile("a.png", PICTURE)
        answer = send_form(service, "register", {**fields, "image": upload})
    elif form == "JSON":
        answer = service.post("register", **fields, image=PICTURE_BASE64)
    else:
        answer = service.client.post(
            f"{PREFIX}register",
            PICTURE,
            content_type="image/png",
            query_params=fields,
            headers={"Authorization": f"Bearer {service.token}"},
        )
    assert answer.status_code in {400, 413}, answer.content
    codes = {"invalid_request", "malformed_json"}
    assert answer.json()["error"]["code"] in codes | (
        {"payload_too_large"} if len(text) > 65_536 else set()
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {"note": "x" * 10**6},
        {str(number): number for number in range(5000)},
        {"quality_check": "false"},
        {"quality_check": None},
    ],
    ids=["1 MB", "5,000 keys", "a text for a flag", "null for a flag"],
)
def test_metadata_that_is_refused(service: Person, metadata: dict[str, Any]) -> None:
    fields = {"user_id": OWNER, "image": PICTURE_BASE64, "metadata": metadata}
    found = refusal(service.post("register", **fields))
    is_long = len(str(metadata)) > 65_536
    assert found == ((413, "payload_too_large") if is_long else (400, "invalid_request"))


@pytest.mark.parametrize("value", ["NaN", "nan", "Infinity", "-inf", "1e999", "0x10", "½"])
@pytest.mark.parametrize("option", ["min_confidence", "max_false_positive_rate"])
def test_a_number_that_is_none_in_a_form(service: Person, option: str, value: str) -> None:
    upload = SimpleUploadedFile("a.png", PICTURE)
    scope = json.dumps({option: value})
    answer = send_form(service, "identify", {"image": upload, "search_scope": scope})
    check(answer, 400, "invalid_request")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "9" * 5000, "1.5", "-1", "²"])
def test_a_face_index_that_is_none_in_a_form(service: Person, value: str) -> None:
    fields = {"user_id": str(OWNER), "image": SimpleUploadedFile("a.png", PICTURE)}
    answer = send_form(service, "register", {**fields, "face_index": value})
    check(answer, 400, "invalid_request")


@pytest.mark.parametrize("scope", ['{"min_confidence": NaN}', "[" * 100_000, "{", "null", "7"])
def test_a_search_scope_as_a_text(service: Person, scope: str) -> None:
    upload = SimpleUploadedFile("a.png", PICTURE)
    answer = send_form(service, "identify", {"image": upload, "search_scope": scope})
    check(answer, 413 if len(scope) > 65_536 else 400, None)


@pytest.mark.parametrize("groups", [["\x00"], ["public", "a\x00"]])
def test_nul_in_a_group_of_a_form(service: Person, groups: list[str]) -> None:
    upload = SimpleUploadedFile("a.png", PICTURE)
    scope = json.dumps({"user_groups": groups})
    answer = send_form(service, "identify", {"image": upload, "search_scope": scope})
    check(answer, 400, "invalid_request")


@pytest.mark.parametrize("name", ["a\x00.png", "../../etc/passwd", "\u202ea.png", "", "a" * 5000])
def test_the_name_of_an_upload_does_not_matter(service: Person, name: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
    body = head.encode() + PICTURE + b"\r\n--x--\r\n"
    answer = service.send("post", "detect", body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code in {200, 400}


# --- rows that exist ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("field", ["metadata", "face_group"])
def test_a_change_that_cannot_be_stored(service: Person, field: str, text: str) -> None:
    face = make_face(make_user(OWNER), vector(1))
    value = {"note": text} if field == "metadata" else text
    answer = service.send("put", f"faces/{face.face_id}", json.dumps({field: value}).encode())
    face.user.delete()
    check(answer, 400, "malformed_json")


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": '{"note": "a\\u0000"}'},
        {"metadata": '{"note": "\\ud800"}'},
        {"metadata": '{"note": NaN}'},
        {"face_group": "a\x00"},
        {"privacy_settings": '{"searchable": "perhaps"}'},
    ],
)
def test_a_change_by_form_that_cannot_be_stored(service: Person, fields: dict[str, str]) -> None:
    face = make_face(make_user(OWNER), vector(1))
    body = encode_multipart(BOUNDARY, fields)
    answer = service.send("put", f"faces/{face.face_id}", body, content_type=MULTIPART_CONTENT)
    face.user.delete()
    check(answer, 400, "invalid_request")


@pytest.mark.parametrize("path", ["/administrator", "/health", "/api/docs", "/nowhere"])
def test_strangers_send_no_large_bodies(client: Client, path: str) -> None:
    """A form would be read into memory several times over. For the admin see test_operators.py."""
    body = b"username=" + b"x" * 64 * 1024
    form = "application/x-www-form-urlencoded"
    check(client.generic("POST", path, body, content_type=form), 413, "payload_too_large")


# --- sessions and frames --------------------------------------------------------------------------


@pytest.fixture
def live() -> Iterator[Session]:
    user = make_user(OWNER)
    session = Session.objects.create(
        user=user,
        purpose="video_call",
        level="standard",
        expires_at=timezone.now() + timedelta(hours=1),
    )
    yield session
    session.refresh_from_db()
    assert (session.frames, session.window, session.state) == (0, [], "verifying")
    assert not Attempt.objects.exists()
    user.delete()


@pytest.mark.parametrize("case", PICTURES)
@pytest.mark.parametrize("send", [as_base64, as_data_uri, as_form, as_body])
def test_a_bad_frame(service: Person, live: Session, send: Send, case: str) -> None:
    image, status, code = PICTURES[case]
    check(send(service, f"sessions/{live.pk}/frames", image), status, code)


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("path", ["sessions", f"sessions/{OWNER}/frames"])
def test_a_body_that_is_no_session_and_no_frame(service: Person, path: str, case: str) -> None:
    body, code = BODIES[case]
    answer = service.send("post", path, body, content_type="application/json")
    codes = {(400, code or "malformed_json"), (400, "invalid_request"), (400, "unknown_field")}
    codes |= {(400, "invalid_base64")} if b"image" in body else set()
    assert refusal(answer) in codes | (
        {(413, "payload_too_large")} if len(body) > 65_536 else set()
    )


@pytest.mark.parametrize("value", [None, 7, 1.5, True, [], {}, ["AAAA"], {"data": "AAAA"}])
def test_a_frame_of_the_wrong_type(service: Person, live: Session, value: object) -> None:
    check(service.post(f"sessions/{live.pk}/frames", image=value), 400, "invalid_request")


@pytest.mark.parametrize("name", ["session_id", "device_id"])
@pytest.mark.parametrize("value", [None, 7, True, [], {}, "x" * 201])
def test_what_verify_is_told_of_a_session(service: Person, name: str, value: object) -> None:
    fields = {"user_id": OWNER, "image": PICTURE_BASE64, "metadata": {name: value}}
    check(service.post("verify", **fields), 400, "invalid_request")


@pytest.mark.parametrize(
    "number", ["x", "%00", "..", "a%2Fb", "%F0%9F%98%80", "9" * 5000, "{}", "'; --"]
)
def test_a_session_that_has_no_name(service: Person, number: str) -> None:
    for path in (f"sessions/{number}", f"sessions/{number}/frames"):
        method = "post" if path.endswith("frames") else "get"
        body = PICTURE if method == "post" else ""
        answer = service.send(method, path, body, content_type="image/png")
        assert answer.status_code == 404, answer.content


def test_a_body_that_does_not_come_to_its_end_is_refused(
    service: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client fell silent, or its connection broke."""

    def broken(*_: object) -> bytes:
        raise BlockingIOError

    monkeypatch.setattr("django.test.client.FakePayload.read", broken)
    before = row_counts()
    assert refusal(service.post("identify", image=PICTURE_BASE64)) == (400, "invalid_request")
    assert row_counts() == before
