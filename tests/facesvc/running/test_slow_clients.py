"""Clients that send slowly, on purpose or not: none of them holds a thread of the web server."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import pytest
from gunicorn.http.unreader import SocketUnreader

from benchmarks.service import PREFIX, Service, running
from facesvc.running import web_worker
from tests.support.builders import OWNER, USER_SCOPES, user_token
from tests.support.patience import PATIENCE

THREADS = 8  # more than drop refused bodies at once
HEAD = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
LAST = b"Connection: close\r\n\r\n"
ALIVE = b'{"status": "alive"}'

# Whoever has a cookie, of which any will do, has the form read before it is known who sends it.
FORM = b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nCookie: csrftoken=" + b"x" * 32
FORM += b"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000000\r\n\r\na"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running({"WEB_WORKERS": "1", "WEB_THREADS": str(THREADS)}) as started:
        yield started


def connected(service: Service, stack: ExitStack, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)
    stack.enter_context(client)
    client.sendall(data)
    return client


def until(client: socket.socket, end: bytes) -> bytes:
    """What comes, up to these bytes or the end."""
    seen = b""
    while end not in seen and (data := client.recv(65536)):
        seen += data
    return seen


def put(length: int, *fields: str, token: str = "") -> bytes:
    """The head of a change of a user."""
    lines = [f"PUT {PREFIX}/users/{OWNER} HTTP/1.1", "Host: localhost", *fields]
    lines += [f"Authorization: Bearer {token or user_token(OWNER, [*USER_SCOPES])}"]
    lines += ["Content-Type: application/json", f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD, id="half a head"),
        pytest.param(HEAD + b"\r\n" + HEAD, id="half a head behind a request"),
        pytest.param(put(60_000) + b"{", id="half a body"),
        pytest.param(FORM, id="half a form"),
        pytest.param(put(3_000_000, token="none") + b"{", id="half a body that is refused"),
    ],
)
def test_it_works(service: Service, begun: bytes) -> None:
    """Far more clients than threads; before, a request behind them was answered by nobody."""
    with ExitStack() as stack:
        for _ in range(3 * THREADS):
            connected(service, stack, begun)
        assert service.request("GET", "/health/live") == (200, ALIVE)
        assert service.request("GET", f"{PREFIX}/models")[0] == 200


def test_what_comes_in_pieces_is_answered(service: Service) -> None:
    body = b'{"privacy_level": "public"}'
    with ExitStack() as stack:
        client = connected(service, stack, b"")
        for piece in (HEAD[:7], HEAD[7:], b"\r", b"\n" + HEAD[:20], HEAD[20:] + b"\r\n"):
            client.sendall(piece)
            assert service.request("GET", "/health/live")[0] == 200
        answers = until(client, ALIVE)
        while answers.count(ALIVE) < 2:
            answers += until(client, ALIVE)
        head = put(len(body))
        for piece in (head[:50], head[50:], body[:9], body[9:]):
            client.sendall(piece)
            assert service.request("GET", "/health/live")[0] == 200
        assert until(client, b"\r\n").startswith(b"HTTP/1.1 201")


def test_who_waits_to_be_asked_for_the_body_is_asked(service: Service) -> None:
    body = b'{"privacy_level": "private"}'
    with ExitStack() as stack:
        client = connected(service, stack, put(len(body), "Expect: 100-continue"))
        assert until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert b"HTTP/1.1 20" in until(client, b"privacy_level")


def test_a_head_without_end_is_refused(service: Service) -> None:
    with ExitStack() as stack:
        client = connected(service, stack, HEAD + b"X-Long: " + b"x" * 70_000)
        assert until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")


def test_many_connections_make_room_for_others(service: Service) -> None:
    """More than the 1,000 that gunicorn keeps open: the oldest that has not begun goes."""
    with ExitStack() as stack:
        first = connected(service, stack, HEAD)
        for _ in range(1010):
            connected(service, stack, HEAD)
        assert service.request("GET", "/health/live")[0] == 200
        assert first.recv(1) == b""


def test_who_makes_room_may_just_be_sending(service: Service) -> None:
    """In the round of events in which a new connection comes; the process ended."""
    (worker,) = service.workers()
    with ExitStack() as stack:
        clients = [connected(service, stack, HEAD) for _ in range(1000)]
        assert service.request("GET", "/health/live")[0] == 200
        worker.suspend()
        stack.callback(worker.resume)
        connected(service, stack, HEAD)
        for client in clients:
            with suppress(OSError):  # it made room before
                client.sendall(b"X")
        worker.resume()
        assert service.request("GET", "/health/live")[0] == 200
    assert service.workers() == [worker]


def test_many_kept_connections_make_room_for_others(service: Service) -> None:
    with ExitStack() as stack:
        for _ in range(1000):
            client = connected(service, stack, HEAD + b"\r\n")
            until(client, ALIVE)
        late = connected(service, stack, b"")
        assert service.request("GET", "/health/live")[0] == 200
        late.sendall(HEAD + b"\r\n")
        assert ALIVE in until(late, ALIVE)


def test_nobody_waits_for_clients_that_do_not_close(service: Service) -> None:
    """Two seconds for each of them, one after the other: longer than a request has patience."""
    with ExitStack() as stack:
        for _ in range(100):
            connected(service, stack, HEAD + LAST)
        for _ in range(3):
            assert service.request("GET", "/health/live")[0] == 200


def test_the_last_answer_comes_though_the_client_sends_on(service: Service) -> None:
    with ExitStack() as stack:
        client = connected(service, stack, HEAD + LAST + bytes(1_000_000))
        assert ALIVE in until(client, ALIVE)
        assert client.recv(1) == b""


def test_requests_behind_another_wait_in_the_socket() -> None:
    """A client may send them without end, and far faster than they are answered."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(HEAD + b"\r\n")
        parser = SimpleNamespace(unreader=SocketUnreader(ours))
        conn = SimpleNamespace(sock=ours, parser=parser)
        assert web_worker._receive(conn)
        theirs.sendall(HEAD + b"\r\n")
        assert web_worker._receive(conn)
        assert parser.unreader.buf.getvalue() == HEAD + b"\r\n"


def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_worker, "_SILENCE_SECONDS", 1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        web_worker._be_patient_with(ours)
        ours.setblocking(True)
        with pytest.raises(BlockingIOError):
            ours.recv(1)
        with pytest.raises(BlockingIOError):
            ours.sendall(bytes(100_000_000))
