"""What clients and phones send that is meant well: taken, or refused with what to do."""

import base64
import gzip
import json
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse

from recognition.models import Face
from tests.recognition.inference.test_images import LOSSY
from tests.support.builders import (
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    refusal,
    vector,
)

pytestmark = pytest.mark.django_db
# Of every kind: with + and /, and with padding.
PHOTO = next(
    data
    for data in (LOSSY["jpeg"] + bytes([251, 255] * n) + bytes(n) for n in range(9))
    if base64.b64encode(data).endswith(b"==")
)
TEXT = base64.b64encode(PHOTO).decode()


@pytest.fixture(autouse=True)
def one_face(fake: FakePipeline) -> None:
    fake.show(vector(1))


def test_it_works(service: Person) -> None:
    assert {"+", "/", "="} <= set(TEXT)
    assert data_of(service.post("detect", image=TEXT))["total_faces"] == 1


TEXTS: dict[str, Callable[[str], str]] = {
    "the alphabet of URLs": lambda text: text.replace("+", "-").replace("/", "_"),
    "without padding": lambda text: text.rstrip("="),
    "in lines": lambda text: "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
    "with blanks around": lambda text: f" \n{text}\n ",
    "a data URI": lambda text: f"data:image/jpeg;base64,{text}",
    "a data URI in capitals": lambda text: f"DATA:Image/JPEG;BASE64,{text}",
    "a data URI with blanks": lambda text: f"  data: image/jpeg; base64, {text}",
    "a data URI with a parameter": lambda text: f"data:image/jpeg;name=a.jpg;base64,{text}",
    "a data URI, percent-encoded": lambda text: (
        "data:image/jpeg;base64," + text.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D")
    ),
}


@pytest.mark.parametrize("way", TEXTS)
def test_base64_as_it_comes(service: Person, way: str) -> None:
    assert data_of(service.post("detect", image=TEXTS[way](TEXT)))["total_faces"] == 1


@pytest.mark.parametrize("text", [f"data:image/jpeg,{TEXT}", TEXT + "=", TEXT[:-5] + "%3D", "A"])
def test_base64_that_is_none(service: Person, text: str) -> None:
    assert refusal(service.post("detect", image=text)) == (400, "invalid_base64")


def test_a_byte_order_mark(service: Person) -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"image": TEXT}).encode()
    assert data_of(service.send("post", "detect", body))["total_faces"] == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "Deflate"])
@pytest.mark.parametrize("content_type", ["application/json", "image/jpeg"])
def test_a_packed_body(service: Person, encoding: str, content_type: str) -> None:
    body = gzip.compress(json.dumps({"image": TEXT}).encode())
    headers = {"Content-Encoding": encoding}
    answer = service.send("post", "detect", body, content_type=content_type, headers=headers)
    assert refusal(answer) == (415, "unsupported_media_type")
    assert encoding.lower() in answer.json()["error"]["message"]


def test_a_body_that_says_it_is_not_packed(service: Person) -> None:
    body = json.dumps({"image": TEXT}).encode()
    answer = service.send("post", "detect", body, headers={"Content-Encoding": "identity"})
    assert data_of(answer)["total_faces"] == 1


# --- forms ----------------------------------------------------------------------------------------


def part(name: str, content: bytes, more: str = "", *headers: str) -> bytes:
    head = "\r\n".join([f'Content-Disposition: form-data; name="{name}"{more}', *headers])
    return b"--x\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def send_parts(person: Person, path: str, *parts: bytes) -> HttpResponse:
    body = b"".join(parts) + b"--x--\r\n"
    return person.send("post", path, body, content_type="multipart/form-data; boundary=x")


@pytest.mark.parametrize("picture", [PHOTO, PICTURE, LOSSY["webp"]])
def test_a_picture_without_a_file_name(service: Person, picture: bytes) -> None:
    answer = send_parts(service, "detect", part("image", picture, "", "Content-Type: image/jpeg"))
    assert data_of(answer)["total_faces"] == 1


def test_a_picture_as_text_in_a_form(service: Person) -> None:
    answer = send_parts(service, "detect", part("image", PICTURE_BASE64.encode()))
    assert data_of(answer)["total_faces"] == 1


def test_pictures_of_a_batch_without_file_names(service: Person) -> None:
    items = json.dumps([{"image_id": "a"}, {"image_id": "b"}]).encode()
    parts = [part("images", PICTURE), part("images", PHOTO), part("items", items)]
    results = data_of(send_parts(service, "batch-identify", *parts))["results"]
    assert [each["image_id"] for each in results] == ["a", "b"]
    assert {each["status"] for each in results} == {"success"}


def test_json_as_a_file(service: Person) -> None:
    """What JavaScript's FormData makes of a Blob."""
    blob = ('; filename="blob"', "Content-Type: application/json")
    items = part("items", b'[{"image_id": "first"}]', *blob)
    picture = part("images", PICTURE, '; filename="a.png"')
    results = data_of(send_parts(service, "batch-identify", picture, items))["results"]
    assert [each["image_id"] for each in results] == ["first"]
    parts = [
        part("user_id", str(OWNER).encode()),
        part("metadata", '{"note": "Grüße"}'.encode(), *blob),
        part("image", PICTURE, '; filename="a.png"'),
    ]
    data_of(send_parts(service, "register", *parts), 201)
    assert Face.objects.get().metadata == {"note": "Grüße"}


def test_names_and_texts_keep_their_letters(service: Person) -> None:
    picture = part("images", PICTURE, '; filename="Zoë Müller 日本.png"')
    results = data_of(send_parts(service, "batch-identify", picture))["results"]
    assert results[0]["image_id"] == "Zoë Müller 日本.png"


@pytest.mark.parametrize("name", ["metadata", "unheard-of"])
@pytest.mark.parametrize("more", ["", '; filename="blob"'])
def test_what_is_no_picture_is_short_in_a_form(service: Person, name: str, more: str) -> None:
    parts = [part("image", PICTURE, '; filename="a.png"'), part(name, b"[" * 70_000, more)]
    answer = send_parts(service, "identify", *parts)
    assert refusal(answer) == (413, "payload_too_large")


# --- other formats --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name"), [(b"GIF89a" + bytes(100), "GIF"), (b"\0\0\0\x1cftypheic" + bytes(50), "HEIC")]
)
def test_a_format_that_is_not_taken_is_named(service: Person, data: bytes, name: str) -> None:
    upload = SimpleUploadedFile("photo", data, "image/whatever")
    headers = {"Authorization": f"Bearer {service.token}"}
    path = "/api/v1/face-recognition/detect"
    for answer in (
        service.client.post(path, {"image": upload}, headers=headers),
        service.send("post", "detect", data, content_type="image/heic"),
        send_parts(service, "detect", part("image", data)),
    ):
        assert refusal(answer) == (415, "unsupported_format")
        assert name in answer.json()["error"]["message"]
