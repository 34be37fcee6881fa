"""A body that is refused unread: the client gets the answer, and its connection goes on.

Behind nginx with a plain `proxy_pass`, and for the connections that requests and httpx keep.
"""

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from threading import BoundedSemaphore, Event, Thread
from typing import Any

import httpx
import psutil
import pytest
import requests
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader

from benchmarks.service import PREFIX, Service, running
from facesvc.http import unread_body
from tests.support.builders import service_token

pytestmark = pytest.mark.slow

PHOTO = b"\xff\xd8" + b"\0" * 3_000_000
UNKNOWN = "00000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running({"WEB_WORKERS": "1", "RATE_LIMIT_PER_HOUR": "1"}) as started:
        yield started


@pytest.fixture(scope="module")
def nginx(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an nginx before the service, set up by nothing but `proxy_pass`."""
    if not (program := shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")):
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    configuration = folder / "nginx.conf"
    paths = "".join(
        f"{name}_temp_path {folder / name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration.write_text(
        f"daemon off; pid {folder / 'pid'}; error_log {folder / 'error.log'}; user root;"
        "events {}"
        f"http {{ access_log off; client_max_body_size 100m; {paths}"
        f"server {{ listen 127.0.0.1:{port};"
        f"location / {{ proxy_pass http://127.0.0.1:{service.port}; }} }} }}"
    )
    process = subprocess.Popen([program, "-c", str(configuration)], cwd=folder)
    try:
        _wait_for(port)
        yield port
    finally:
        psutil.Process(process.pid).terminate()
        process.wait(30)


def _wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nginx does not listen")


def bearer(*scopes: str, name: str = "") -> dict[str, str]:
    """A token of its own, which may call once."""
    token = service_token(name or secrets.token_hex(8), scopes)
    return {"Authorization": f"Bearer {token}"}


@cache
def worn(service: Service) -> dict[str, str]:
    """A token that has called already."""
    headers = bearer("face:verify", "face:manage", name="worn")
    status, _ = service.request("GET", f"{PREFIX}/models", headers=headers)
    assert status == 200
    return headers


@dataclass(frozen=True)
class Refused:
    """A request that is refused before its body is read."""

    path: str
    status: int
    headers: Callable[[Service], Mapping[str, str]] = lambda service: {}
    body: bytes = PHOTO


REFUSED = {
    "no token": Refused(f"{PREFIX}/verify?user_id={UNKNOWN}", 401),
    "a broken token": Refused(f"{PREFIX}/verify", 401, lambda _: {"Authorization": "Bearer x"}),
    "no scope": Refused(f"{PREFIX}/verify", 403, lambda _: bearer("face:identify")),
    "no such path": Refused("/api/v1/nothing", 404),
    "too long": Refused(f"{PREFIX}/verify", 413, lambda _: bearer("face:verify"), PHOTO * 11),
    "too long for a form": Refused("/admin/login/", 413),
    "too often": Refused(f"{PREFIX}/verify", 429, worn),
}


Send = Callable[[str, Mapping[str, str], bytes], int]


def check(service: Service, send: Send, times: int) -> None:
    for name, refused in REFUSED.items():
        for _ in range(times):
            headers = {"Content-Type": "image/jpeg", **refused.headers(service)}
            status = send(refused.path, headers, refused.body)
            assert status == refused.status, name


def test_behind_nginx(service: Service, nginx: int) -> None:
    def send(path: str, headers: Mapping[str, str], body: bytes) -> int:
        connection = HTTPConnection("127.0.0.1", nginx, timeout=60)
        try:
            connection.request("POST", path, body, dict(headers))
            return connection.getresponse().status
        finally:
            connection.close()

    check(service, send, times=10)


def test_the_connections_of_requests(service: Service) -> None:
    url = f"http://127.0.0.1:{service.port}"
    with requests.Session() as session:

        def send(path: str, headers: Mapping[str, str], body: bytes) -> int:
            return session.post(url + path, body, headers=dict(headers), timeout=60).status_code

        check(service, send, times=3)


def test_the_connections_of_httpx(service: Service) -> None:
    url = f"http://127.0.0.1:{service.port}"
    with httpx.Client(base_url=url, timeout=60) as client:

        def send(path: str, headers: Mapping[str, str], body: bytes) -> int:
            return client.post(path, content=body, headers=dict(headers)).status_code

        check(service, send, times=3)


def test_the_same_connection_goes_on(service: Service) -> None:
    connection = HTTPConnection("127.0.0.1", service.port, timeout=60)
    for _ in range(3):
        connection.request("POST", f"{PREFIX}/verify", PHOTO, {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        assert (response.status, bool(response.read())) == (401, True)
        connection.request("GET", "/health/live")
        response = connection.getresponse()
        assert (response.status, bool(response.read())) == (200, True)
    connection.close()


# --- the bounds -----------------------------------------------------------------------------------


PATIENT = 10**6  # bytes, of which one comes ten times a second


def environ_of(body: Any, connection: socket.socket) -> dict[str, Any]:
    return {"wsgi.input": body, "gunicorn.socket": connection, "CONTENT_LENGTH": "1000000"}


class SlowBody:
    """Gives a byte at each read, for ever."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def read(self, size: int) -> bytes:
        self.read_bytes += 1
        return b"x"


class TimedOutBody:
    def read(self, size: int) -> bytes:
        raise TimeoutError


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    with socket.socket() as one:
        yield one


def test_no_more_than_the_limit(connection: socket.socket) -> None:
    body = SlowBody()
    unread_body.drop(environ_of(body, connection), limit=1000)
    assert body.read_bytes == 1000


def test_no_longer_than_the_deadline(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(unread_body.time, "monotonic", lambda: float(next(clock)))
    body = SlowBody()
    unread_body.drop(environ_of(body, connection), limit=10**9)
    assert body.read_bytes < unread_body.SECONDS + 1
    assert connection.gettimeout() is None  # as it was


def test_a_client_that_stalls(connection: socket.socket) -> None:
    unread_body.drop(environ_of(TimedOutBody(), connection), limit=1000)
    assert connection.gettimeout() is None


def test_few_threads_are_busy_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond them, nothing more of the body is read, neither here nor by gunicorn."""
    monkeypatch.setattr(unread_body, "_places", BoundedSemaphore(1))
    ours, theirs = socket.socketpair()
    body = SlowBody()
    with ours, theirs:
        theirs.send(b"x")
        with unread_body._places:
            unread_body.drop(environ_of(body, ours), limit=1000)
        assert body.read_bytes == 0
        assert ours.recv(10) == b"x" and ours.recv(10) == b""
        unread_body.drop(environ_of(body, ours), limit=1000)
        assert body.read_bytes == 1000


def test_who_was_answered_keeps_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that was read has nothing to drop, and needs no place."""
    monkeypatch.setattr(unread_body, "_places", BoundedSemaphore(1))
    ours, theirs = socket.socketpair()
    unreader = SocketUnreader(ours)
    unreader.unread(b"x" * 1_000_000)
    body = Body(LengthReader(unreader, 1_000_000))
    with ours, theirs, unread_body._places:
        body.read()
        unread_body.drop(environ_of(body, ours), limit=1000)
        theirs.send(b"the next request")
        assert ours.recv(100) == b"the next request"


def test_a_client_that_sends_a_byte_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """One read of gunicorn's waits for all of its bytes, and each of them wakes the socket up."""
    monkeypatch.setattr(unread_body, "SECONDS", 1.0)
    ours, theirs = socket.socketpair()
    is_over = Event()

    def send() -> None:
        with suppress(OSError):  # nobody reads any more
            while not is_over.wait(0.1):
                theirs.send(b"x")

    body = Body(LengthReader(SocketUnreader(ours), PATIENT))
    dropping = Thread(target=unread_body.drop, args=[environ_of(body, ours), PATIENT], daemon=True)
    sending = Thread(target=send, daemon=True)
    with ours, theirs:
        sending.start(), dropping.start()
        dropping.join(60)
        has_ended = not dropping.is_alive()
        is_over.set()
        sending.join()
    assert has_ended
