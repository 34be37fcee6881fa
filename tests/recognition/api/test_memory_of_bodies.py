"""What is left of a body when its request has been answered, before the garbage collector runs."""

import base64
import gc
import json
import sys
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application

from tests.support.builders import PREFIX, Person

pytestmark = pytest.mark.django_db(transaction=True)

SIZE = 4_000_000  # of a picture
PICTURE = b"\xff\xd8\xff\xe0" + bytes(SIZE)
BASE64 = base64.b64encode(PICTURE).decode()
JSON = "application/json"


def form(name: str) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename=a.jpg\r\n\r\n'
    return head.encode() + PICTURE + b"\r\n--x--\r\n"


@pytest.fixture
def without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_garbage_collection", "fake")
@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("detect", "image/jpeg", PICTURE),
        ("detect", JSON, json.dumps({"image": BASE64}).encode()),
        ("detect", "multipart/form-data; boundary=x", form("image")),
        ("batch-identify", "multipart/form-data; boundary=x", form("images")),
        (
            "batch-identify",
            JSON,
            json.dumps({"images": [{"image_id": "a", "image": BASE64}]}).encode(),
        ),
    ],
    ids=["detect bare", "detect JSON", "detect form", "batch form", "batch JSON"],
)
def test_nothing_is_left(service: Person, path: str, kind: str, body: bytes) -> None:
    application = get_wsgi_application()

    def ask() -> None:
        stream = BytesIO(bytes(bytearray(body)))  # of its own
        answer: Any = application(environ(service, path, kind, stream), started)
        assert b"request_id" in b"".join(answer)
        answer.close()
        stream.close()

    ask()  # imports and caches stay
    gc.collect()
    tracemalloc.start()
    ask()
    left, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most > SIZE
    assert left < SIZE / 4


def started(status: str, headers: object, exc_info: object = None) -> Any:
    pass


def environ(caller: Person, path: str, kind: str, body: BytesIO) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"{PREFIX}{path}",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_AUTHORIZATION": f"Bearer {caller.token}",
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body.getvalue())),
        "wsgi.url_scheme": "http",
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
    }
