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


BROKEN = BASE64[:-1] + "*"


def json_of(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def batch(*pictures: str, **fields: object) -> bytes:
    items = [{"image_id": f"{number}", "image": each} for number, each in enumerate(pictures)]
    return json_of(images=items, **fields)


CASES = {
    "detect, bare": ("detect", "image/jpeg", PICTURE),
    "detect, JSON": ("detect", JSON, json_of(image=BASE64)),
    "detect, broken": ("detect", JSON, json_of(image=BROKEN)),
    "detect, form": ("detect", "multipart/form-data; boundary=x", form("image")),
    "compare, one broken": ("compare", JSON, json_of(image_a=BASE64, image_b=BROKEN)),
    "compare, one short": ("compare", JSON, json_of(image_a=BASE64, image_b="*")),
    "verify, in the metadata": ("verify", JSON, json_of(image="AAAA", metadata={"image": BASE64})),
    "batch, form": ("batch-identify", "multipart/form-data; boundary=x", form("images")),
    "batch, JSON": ("batch-identify", JSON, batch(BASE64)),
    "batch, one broken": ("batch-identify", JSON, batch(BASE64, BROKEN)),
    "batch, refused": ("batch-identify", JSON, batch(BASE64, x=1)),
    "batch, a wrong place": ("batch-identify", JSON, batch("AAAA", faces={"image": BASE64})),
}


@pytest.mark.usefixtures("without_garbage_collection", "fake")
@pytest.mark.parametrize("key", ["", "a-key"])
@pytest.mark.parametrize(("path", "kind", "body"), CASES.values(), ids=CASES)
def test_nothing_is_left(service: Person, path: str, kind: str, body: bytes, key: str) -> None:
    application = get_wsgi_application()

    def ask() -> None:
        stream = BytesIO(bytes(bytearray(body)))  # of its own
        headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
        answer: Any = application({**environ(service, path, kind, stream), **headers}, started)
        text = b"".join(answer)
        assert b"request_id" in text
        assert len(text) < 5000  # no answer repeats what was sent
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
