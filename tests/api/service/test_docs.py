"""GET /api/schema and /api/docs."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils.timezone import now
from drf_spectacular.validation import validate_schema

from batch.models import new_job_id
from batch.webhooks import callbacks
from facesvc import __version__
from facesvc.http.error_codes import STATUS
from facesvc.openapi import description
from facesvc.openapi.description import DescriptionView

VERBS = ["register", "verify", "identify", "detect", "compare"]


@pytest.fixture
def schema(client: Client) -> dict[str, Any]:
    response = client.get("/api/schema", {"format": "json"})
    assert response.status_code == 200
    result: dict[str, Any] = json.loads(response.content)
    return result


def test_it_is_made_without_a_warning(tmp_path: Path) -> None:
    """A warning would stand in the terminal of `make run`."""
    call_command("spectacular", fail_on_warn=True, file=str(tmp_path / "schema.yaml"))


def test_it_works(schema: dict[str, Any]) -> None:
    validate_schema(schema)
    assert schema["openapi"].startswith("3.1")
    assert schema["info"]["version"] == __version__
    paths = {path.removeprefix("/api/v1/face-recognition/") for path in schema["paths"]}
    assert paths == {
        *(*VERBS, "register-faces", "models"),
        *("users", "users/{user_id}", "users/{user_id}/faces"),
        *("faces", "faces/{face_id}", "faces/{face_id}/crop", "faces/{face_id}/identify"),
        *(
            "users/{user_id}/friends",
            "users/{user_id}/friends/{other_id}",
            "users/{user_id}/groups",
        ),
        *("groups", "groups/{name}", "groups/{name}/members", "groups/{name}/members/{user_id}"),
        "graph",
        *(f"users/{{user_id}}/{verb}" for verb in ("suspend", "unsuspend", "unlock", "merge")),
        *(f"faces/{{face_id}}/{verb}" for verb in ("suspend", "unsuspend", "move")),
        *("duplicates", "duplicates/{duplicate_id}", "audit"),
        *("collections", "collections/{collection}"),
        *("sessions", "sessions/{session_id}", "sessions/{session_id}/frames"),
        *("batch-identify", "batch-register", "batch-jobs", "batch-jobs/{job_id}"),
        *("batch-jobs/{job_id}/results", "batch-jobs/{job_id}/cancel"),
        "batch-jobs/{job_id}/unknown-people",
    }


def test_strangers_cannot_have_it_made_again_and_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = DescriptionView.generator_class.get_schema

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        made.append("")
        return make(self, *args, **kwargs)

    monkeypatch.setattr(DescriptionView.generator_class, "get_schema", counted)
    description._description.cache_clear()
    for number in range(5):
        for accept in ("application/json", f"application/json;indent={number}", "*/*"):
            query = {"x": number, "version": number, "lang": "de"}
            answer = client.get("/api/schema", query, headers={"Accept": accept})
            assert answer.status_code == 200
    assert len(made) == 2  # JSON and YAML


def test_two_first_requests_at_once_do_not_make_it_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library looks up what it knows at the first description, and no lock protects that."""
    at_once, most = Barrier(2), [0]

    def made(self: Any, *args: Any, **kwargs: Any) -> Any:
        with suppress(BrokenBarrierError):
            at_once.wait(timeout=0.5)
            most[0] = 2
        return {}

    monkeypatch.setattr(DescriptionView.generator_class, "get_schema", made)
    description._description.cache_clear()
    with ThreadPoolExecutor(2) as pool:
        answers = [*pool.map(lambda _: Client().get("/api/schema").status_code, range(2))]
    description._description.cache_clear()
    assert answers == [200, 200]
    assert most == [0]


def test_each_process_has_the_same_description(schema: dict[str, Any]) -> None:
    for methods in schema["paths"].values():
        assert list(methods) == sorted(methods)


def test_every_code_is_named(schema: dict[str, Any]) -> None:
    error = schema["components"]["schemas"]["Failure"]["properties"]["error"]
    assert set(error["properties"]["code"]["enum"]) == set(STATUS)


def test_every_operation_needs_a_token_and_can_fail(schema: dict[str, Any]) -> None:
    operations = [each for path in schema["paths"].values() for each in path.values()]
    assert len(operations) == 59
    for operation in operations:
        assert operation["security"] == [{"token": []}]
        assert {"503", "default"} <= set(operation["responses"])


def test_creating_takes_an_idempotency_key(schema: dict[str, Any]) -> None:
    creating = {
        path.rpartition("/")[2]
        for path, operations in schema["paths"].items()
        for parameter in operations.get("post", {}).get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    }
    assert creating == {
        "register",
        "register-faces",
        "batch-identify",
        "batch-register",
        "sessions",
    }


@pytest.mark.parametrize("verb", [*VERBS, "sessions/{session_id}/frames"])
def test_pictures_come_in_all_forms(schema: dict[str, Any], verb: str) -> None:
    content = schema["paths"][f"/api/v1/face-recognition/{verb}"]["post"]["requestBody"]["content"]
    raw = set() if verb == "compare" else {"image/*"}
    assert set(content) == {"application/json", "multipart/form-data"} | raw


@pytest.mark.parametrize("path", ["batch-identify", "batch-register"])
def test_a_batch_is_described_as_json_and_as_a_form(schema: dict[str, Any], path: str) -> None:
    post = schema["paths"][f"/api/v1/face-recognition/{path}"]["post"]
    content = post["requestBody"]["content"]
    shapes = {}
    for kind, media in content.items():
        name = media["schema"]["$ref"].rpartition("/")[2]
        shapes[kind] = schema["components"]["schemas"][name]["properties"]
    assert set(shapes) == {"application/json", "multipart/form-data"}
    form = shapes["multipart/form-data"]
    assert form["images"]["items"]["format"] == "binary" and "items" in form
    assert "items" not in shapes["application/json"]
    assert "Idempotent-Replayed" in post["responses"]["202"]["headers"]


@pytest.mark.parametrize("path", ["identify", "batch-identify"])
def test_the_viewer_may_be_a_header(schema: dict[str, Any], path: str) -> None:
    parameters = schema["paths"][f"/api/v1/face-recognition/{path}"]["post"]["parameters"]
    assert "X-On-Behalf-Of" in {each["name"] for each in parameters}


def test_the_shapes_are_described_for_readers_of_the_api(schema: dict[str, Any]) -> None:
    shapes = schema["components"]["schemas"].values()
    texts = [shape.get("description", "") for shape in shapes]
    assert not any("misspelt" in text or "inside a body" in text for text in texts)


def test_a_graph_comes_in_lines(schema: dict[str, Any]) -> None:
    content = schema["paths"]["/api/v1/face-recognition/graph"]["post"]["requestBody"]["content"]
    (media_type,) = content
    assert media_type == "application/x-ndjson"
    assert "friendship" in str(content[media_type]["examples"])


def test_the_page_needs_no_network(client: Client) -> None:
    response = client.get("/api/docs")
    assert response.status_code == 200
    page = response.content.decode()
    assert not re.search(r"https?://|[\"']//", page)
    links = re.findall(r"(?:src|href)=\"([^\"]+)\"", page)
    assert len(links) >= 3
    for link in links:
        answer = client.get(link)
        assert answer.status_code == 200, link
        assert b"".join(answer), link


def test_the_callback_is_described_as_it_comes(schema: dict[str, Any]) -> None:
    operation = schema["webhooks"]["batchJobEnded"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    job = SimpleNamespace(
        job_id=new_job_id(),
        status="completed",
        total=1,
        succeeded=1,
        failed=0,
        skipped=0,
        unknown_people=None,
        finished_at=now(),
    )
    sent = json.loads(callbacks._body(job))
    assert set(sent) == set(body["properties"]) == set(body["required"])
    assert set(sent["data"]) == set(body["properties"]["data"]["properties"])
    assert sent["type"] in body["properties"]["type"]["enum"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names == {"webhook-id", "webhook-timestamp", "webhook-signature"}
