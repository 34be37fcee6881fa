"""Ids of all kinds in paths, by the real web server and behind nginx: Django's test client is not
the one that decodes a path.
"""

import http.client
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from benchmarks.service import PREFIX, Service, running
from tests.support.patience import PATIENCE, wait_until

pytestmark = pytest.mark.slow
IDS = [
    "42",
    "auth0|7",
    "a/faces",
    "a/friends/b",
    "/a//b/",
    "https://login.example/7?x=1#top",
    "50%2F off; a+b&c=d \\",
    "%",
    "...",
    "สมชาย ใจดี",
    "😀" * 128,
]
NGINX = """\
daemon off; pid nginx.pid; error_log nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }}
}}
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running({"WEB_WORKERS": "1"}) as started:
        yield started


@pytest.fixture(scope="module")
def nginx(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("nginx is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("nginx")
    Path(folder, "nginx.conf").write_text(NGINX.format(port=port, behind=service.port))
    process = subprocess.Popen([program, "-p", str(folder), "-c", "nginx.conf"])
    try:
        wait_until(lambda: is_open(port))
        yield port
    finally:
        process.terminate()
        process.wait()


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
        return True
    return False


@pytest.fixture(params=["gunicorn", "nginx"])
def port(request: pytest.FixtureRequest, service: Service) -> int:
    behind: int = request.getfixturevalue("nginx") if request.param == "nginx" else service.port
    return behind


def ask(service: Service, port: int, method: str, path: str, **headers: str) -> tuple[int, Any]:
    """The path as it is written, with `data` or the error of the answer."""
    sent = {"Authorization": service.authorization, "Content-Type": "application/json", **headers}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as web:
        web.request(method, f"{PREFIX}/{path}", b"{}" if method == "PUT" else b"", sent)
        answer = web.getresponse()
        body = json.loads(answer.read())
        return answer.status, body.get("data") or body["error"]["code"]


@pytest.mark.parametrize("user_id", IDS)
def test_it_works(service: Service, port: int, user_id: str) -> None:
    path = f"users/{quote(user_id, safe='')}"
    assert ask(service, port, "PUT", path)[1]["user_id"] == user_id
    assert ask(service, port, "GET", path)[1]["user_id"] == user_id
    assert ask(service, port, "GET", f"{path}/faces") == (200, {"faces": [], "next_cursor": None})
    ask(service, port, "PUT", "users/friend%2Fs")
    status, friend = ask(service, port, "PUT", f"{path}/friends/friend%2fs")
    assert status in (200, 201) and friend["user_id"] == "friend/s"
    listed = ask(service, port, "GET", f"{path}/friends")[1]["friends"]
    assert [each["user_id"] for each in listed] == ["friend/s"]
    events = ask(service, port, "GET", f"audit?user_id={quote(user_id, safe='')}")[1]["events"]
    assert {each["user_id"] for each in events} == {user_id}
    asked = {"X-On-Behalf-Of": quote(user_id, safe="")}
    ask(service, port, "POST", f"{path}/suspend", **asked)
    assert ask(service, port, "DELETE", path)[1]["user_id"] == user_id


def test_a_slash_of_the_path_is_no_part_of_an_id(service: Service, port: int) -> None:
    assert ask(service, port, "PUT", "users/a")[0] in (200, 201)
    assert ask(service, port, "GET", "users/a/faces")[1]["faces"] == []
    assert ask(service, port, "GET", "users/a%2Ffaces") == (404, "user_not_found")
    assert ask(service, port, "GET", "users/a%2Ffaces/faces") == (404, "user_not_found")
    assert ask(service, port, "GET", "users/a/b/faces") == (404, "not_found")
    assert ask(service, port, "DELETE", "users%2Fa") == (404, "not_found")


@pytest.mark.parametrize("path", ["%2E%2E%2Fa", "a%2F..%2Fb", "a%00b", "a%0Ab", "%20a", "a%FFb"])
def test_what_is_no_id(service: Service, path: str) -> None:
    for method in ("GET", "PUT"):
        answer = ask(service, service.port, method, f"users/{path}")
        assert answer == (400, "invalid_request")
