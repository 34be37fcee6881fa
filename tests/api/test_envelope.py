"""What all answers have in common."""

import logging
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client

from facesvc.monitoring.logs import RequestIdFilter
from management import operations
from recognition.collections.current import Entered, entered, here
from recognition.errors import ServiceError
from recognition.packs import engine
from tests.support.builders import OWNER, PREFIX, Person, make_user

pytestmark = pytest.mark.django_db
METADATA = {"request_id", "processing_time", "model_version", "timestamp"}


def check_failure(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert response.status_code == status
    assert set(body) == {"success", "error", "metadata"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert (body["success"], body["error"]["code"]) == (False, code)
    assert isinstance(body["error"]["message"], str)
    assert isinstance(body["error"]["details"], dict)
    assert set(body["metadata"]) == METADATA
    return body


def test_it_works(owner: Person) -> None:
    make_user(OWNER)
    before = datetime.now(UTC).replace(microsecond=0)
    response = owner.get(f"users/{OWNER}")
    body = response.json()
    assert set(body) == {"success", "data", "metadata"}
    assert body["success"] is True
    metadata = body["metadata"]
    assert set(metadata) == METADATA
    assert metadata["model_version"] == "dlib_v1.0.0"
    assert re.fullmatch(r"\d+ms", metadata["processing_time"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["timestamp"])
    assert before <= datetime.fromisoformat(metadata["timestamp"]) <= datetime.now(UTC)
    assert response["X-Request-ID"] == metadata["request_id"]
    assert response["Content-Type"] == "application/json"


def test_the_model_is_that_of_the_collection(service: Person) -> None:
    """Another one may serve another collection, and may have computed last."""
    with entered(Entered(2, "shop")):
        engine._model_versions[here().number] = "other_v9"
        assert engine.model_version() == "other_v9"
    assert service.get("models").json()["metadata"]["model_version"] == "dlib_v1.0.0"
    with entered(Entered(3, "new")):
        assert engine.model_version() == "dlib_v1.0.0"


@pytest.mark.parametrize("given", ["r-1", "a" * 128, "01HX:7.z_9", str(OWNER)])
def test_a_sane_request_id_is_kept(client: Client, given: str) -> None:
    response = client.get(f"{PREFIX}nothing", headers={"X-Request-ID": given})
    assert response.json()["metadata"]["request_id"] == response["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a" * 129, "two words", "a\nb", "<script>", "é", "a\x00"])
def test_an_insane_request_id_is_replaced(client: Client, given: str) -> None:
    response = client.get(f"{PREFIX}nothing", headers={"X-Request-ID": given})
    request_id = response.json()["metadata"]["request_id"]
    assert response["X-Request-ID"] == request_id
    assert str(UUID(request_id)) == request_id


@pytest.mark.parametrize(
    "path", ["", "nothing", "register/", "users/", "faces/", "register/x", "%00", "%F0%9F%99%82"]
)
def test_a_path_that_is_none(owner: Person, path: str) -> None:
    check_failure(owner.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("get", name) for name in ("register", "verify", "identify", "detect", "compare")),
        ("delete", "register"),
        ("post", f"users/{OWNER}"),
        ("post", f"users/{OWNER}/faces"),
        ("post", "faces/face_000000000000"),
    ],
)
def test_a_method_that_is_not_offered(owner: Person, method: str, path: str) -> None:
    response = owner.send(method, path, {})
    check_failure(response, 405, "method_not_allowed")
    assert response["Allow"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "video/mp4", "nonsense"])
def test_a_content_type_that_is_not_taken(owner: Person, content_type: str) -> None:
    response = owner.send("post", "detect", b"body", content_type=content_type)
    check_failure(response, 415, "unsupported_media_type")


def test_an_answer_in_another_format_is_not_offered(owner: Person) -> None:
    make_user(OWNER)
    response = owner.send("get", f"users/{OWNER}", {}, headers={"Accept": "application/xml"})
    check_failure(response, 406, "not_acceptable")


def test_a_bug_of_ours_tells_nothing(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("SELECT secret FROM /srv/facesvc")

    monkeypatch.setattr(operations, "user_of", broken)
    owner.client.raise_request_exception = False
    response = owner.get(f"users/{OWNER}")
    check_failure(response, 500, "internal_error")
    text = response.content.decode()
    assert not re.search(r"SELECT|secret|/srv|Traceback|RuntimeError|\.py", text)
    assert response["X-Request-ID"] == response.json()["metadata"]["request_id"]


def test_a_database_that_does_not_answer(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("connection to /srv/socket failed")

    monkeypatch.setattr(operations, "user_of", broken)
    response = owner.get(f"users/{OWNER}")
    check_failure(response, 503, "unavailable")
    assert int(response["Retry-After"]) > 0
    assert "socket" not in response.content.decode()


def test_the_request_id_is_in_every_log_line(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def talkative(*_: Any) -> None:
        logging.getLogger("recognition").warning("here")
        raise ServiceError("user_not_found", "There is no such user.")

    lines: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.addFilter(RequestIdFilter())
    monkeypatch.setattr(handler, "emit", lines.append)
    monkeypatch.setattr(operations, "user_of", talkative)
    monkeypatch.setattr(logging.getLogger("recognition"), "handlers", [handler])
    owner.send("get", f"users/{OWNER}", {}, headers={"X-Request-ID": "r-1"})
    assert [line.request_id for line in lines] == ["r-1"]  # type: ignore[attr-defined]


def test_a_host_that_is_not_ours(client: Client) -> None:
    response = client.get(f"{PREFIX}register", headers={"Host": "evil.example"})
    check_failure(response, 400, "invalid_request")
