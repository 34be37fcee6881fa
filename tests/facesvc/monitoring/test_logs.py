"""One JSON object a line, one line a request, and nothing in it that a caller sent."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User as Operator
from django.db import DataError
from django.test import Client

from facesvc.monitoring import logs
from management import operations
from recognition.collections.current import Entered, entered
from recognition.collections.models import OperatorOf
from recognition.processes import current_request
from recognition.processes.slots import OverloadedError
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    PREFIX,
    FakePipeline,
    Person,
    make_face,
    make_user,
    vector,
)
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What is written to the log, as the settings say by default."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    formatter = {**logs.configuration("INFO", "json")["formatters"]["json"]}
    formatter.pop("()")
    handler.setFormatter(logs.LineFormatter(**formatter))
    handler.addFilter(logs.RequestIdFilter())
    handler.addFilter(logs.FailureFilter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def requests(output: io.StringIO) -> list[dict[str, Any]]:
    return [line for line in lines(output) if line["message"] == "request"]


def test_it_works(service: Person, fake: FakePipeline, output: io.StringIO) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(vector(1))
    headers = {"X-Request-ID": "r-1"}
    service.send("post", "identify", {"image": PICTURE_BASE64}, headers=headers)
    (line,) = requests(output)
    stages = {f"{name}_ms" for name in ("wait", "decode", "detect", "embed", "search")}
    assert {key: line.pop(key) for key in ("route", "method", "status", "caller")} == {
        "route": f"{PREFIX}identify",
        "method": "POST",
        "status": 200,
        "caller": "service",
    }
    assert (line.pop("level"), line.pop("logger")) == ("INFO", "facesvc.requests")
    assert line.pop("request_id") == "r-1"
    assert set(line) == {"timestamp", "message", "process", "total_ms"} | stages
    assert 0 < sum(line[stage] for stage in stages) <= line["total_ms"]


def test_the_route_stands_for_the_path(owner: Person, output: io.StringIO) -> None:
    owner.get(f"users/{OWNER}")
    owner.get("nothing/of/this")
    owner.client.generic("BREW", f"{PREFIX}detect")
    Person("no token", owner.client).get("users")
    seen = [(r["route"], r["method"], r.get("error"), r["caller"]) for r in requests(output)]
    assert seen == [
        (f"{PREFIX}users/<user_id:user_id>", "GET", "user_not_found", "user"),
        ("none", "GET", None, "nobody"),
        (f"{PREFIX}detect", "other", "not_authenticated", "nobody"),
        (f"{PREFIX}users", "GET", "invalid_token", "nobody"),
    ]


def test_operators_are_callers(client: Client, output: io.StringIO) -> None:
    client.force_login(Operator.objects.create_superuser("ann"))
    client.get("/admin/")
    assert [line["caller"] for line in requests(output)] == ["operator"]


def test_nothing_that_is_sent_or_answered_is_written(
    owner: Person, fake: FakePipeline, output: io.StringIO
) -> None:
    make_face(make_user(OWNER, display_name="Ann"), vector(1))
    fake.show(vector(1))
    metadata = {"device_id": "device-seven"}
    owner.post("verify", user_id=OWNER, image=PICTURE_BASE64, metadata=metadata)
    owner.post("verify", user_id=OWNER, image="bm90IGEgcGljdHVyZQ==", wrong="field-seven")
    owner.get(f"users/{OWNER}", secret="query-seven")
    assert len(requests(output)) == 3
    text = output.getvalue()
    for sent in (owner.token, PICTURE_BASE64[:40], str(OWNER), "-seven", "bm90", "Ann", "face_"):
        assert sent not in text


def test_a_bug_is_one_line_without_the_path(
    owner: Person, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        error = DataError("a row is wrong\nDETAIL:  Failing row contains ([0.1,0.2]).\nmore")
        raise error

    monkeypatch.setattr(operations, "user_of", broken)
    owner.client.raise_request_exception = False
    owner.get(f"users/{OWNER}")
    error, request = lines(output)
    assert error["message"] == f"Internal Server Error: {PREFIX}users/<user_id:user_id>"
    assert "in broken" in error["exc_info"] and "a row is wrong\nmore" in error["exc_info"]
    assert error["request_id"] == request["request_id"] and request["status"] == 500
    assert str(OWNER) not in output.getvalue() and "Failing row" not in output.getvalue()


def test_that_we_are_busy_is_no_error(
    owner: Person, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: Any) -> None:
        raise OverloadedError("full")

    monkeypatch.setattr(operations, "user_of", busy)
    owner.get(f"users/{OWNER}")
    (line,) = lines(output)
    assert (line["status"], line["error"], line["level"]) == (503, "unavailable", "INFO")


def test_a_strange_host_is_no_error_of_ours(client: Client, output: io.StringIO) -> None:
    client.get("/health/live", headers={"Host": "evil.example"})
    client.get(f"{PREFIX}users", headers={"Host": "evil.example"})
    assert {line["level"] for line in lines(output)} == {"INFO"}


@pytest.mark.django_db
def test_what_is_logged_after_a_request_is_not_of_it(client: Client) -> None:
    """The same thread may next log that another connection sent something broken."""
    assert client.get("/health/live", headers={"X-Request-ID": "r-1"})["X-Request-ID"] == "r-1"
    assert current_request.current.get().id == current_request.NO_ID


def test_lines_name_a_collection_that_is_not_default(output: io.StringIO) -> None:
    logging.getLogger("somewhere").info("in default")
    with entered(Entered(2, "shop")):
        logging.getLogger("somewhere").info("in shop")
    assert [line.get("collection") for line in lines(output)] == [None, "shop"]


def test_a_page_of_the_admin_names_its_collection(client: Client, output: io.StringIO) -> None:
    shop = make_collection("shop")
    account = Operator.objects.create_user("vera", is_staff=True)
    OperatorOf.objects.create(operator=account, collection_id=shop.number)
    client.force_login(account)
    client.get("/admin/", secure=True)
    (line,) = requests(output)
    assert (line["status"], line["collection"]) == (200, "shop")


def test_people_read_the_collection_behind_the_route() -> None:
    record = logging.makeLogRecord(
        {
            "msg": "request",
            "route": "/api/v1/face-recognition/identify",
            "method": "POST",
            "status": 200,
            "total_ms": 1.0,
            "caller": "service",
            "collection": "shop",
        }
    )
    assert logs.TextFormatter(colour=False).format(record).endswith("POST /identify in shop")
