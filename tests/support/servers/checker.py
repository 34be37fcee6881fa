"""An HTTP server that stands in for an anti-spoofing or deepfake service, in all its moods."""

import http.server
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.patience import PATIENCE

MOODS = {
    # Bodies of a 200 that are no answer.
    "not JSON": b"<html>fine</html>",
    "nothing": b"",
    "a list": b"[0.9]",
    "no score": b'{"verdict": "real"}',
    "a text as score": b'{"score": "0.9"}',
    "true as score": b'{"score": true}',
    "null as score": b'{"score": null}',
    "NaN": b'{"score": NaN}',
    "above 1": b'{"score": 7}',
    "below 0": b'{"score": -0.1}',
    "not UTF-8": b'{"score": "\xff"}',
    "endless": b'{"score": 0.9' + b" " * 70_000 + b"}",
}
# What it does instead of giving one: "hang", "drip" (heads), "drip body", "close", "short"
# (a length that is a lie), "redirect", or a status.


@dataclass
class Checker:
    """Answers in one mood after the other, the last for ever; a number is a score.

    A mood may be a function, which gives the score.
    """

    port: int = 0
    moods: list[Any] = field(default_factory=lambda: [0.9])
    asked: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0  # how many hung up while it dripped
    waited_for: bool = False  # somebody did not hang up, however long it hung or dripped
    credentials: list[str | None] = field(default_factory=list)  # that came with each
    address: str = "http://127.0.0.1"

    @property
    def url(self) -> str:
        return f"{self.address}:{self.port}/check"


@contextmanager
def checking(*moods: Any, tls: ssl.SSLContext | None = None) -> Iterator[Checker]:
    checker = Checker(moods=list(moods or [0.9]))
    stopped = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            checker.asked.append(json.loads(body))
            checker.credentials.append(self.headers["Authorization"])
            mood = checker.moods.pop(0) if len(checker.moods) > 1 else checker.moods[0]
            self.close_connection = True
            if callable(mood):
                mood = mood()
            if isinstance(mood, float):
                self._answer(200, json.dumps({"score": mood}).encode())
            elif mood in MOODS:
                self._answer(200, MOODS[mood])
            elif mood == "hang":
                checker.waited_for |= not stopped.wait(PATIENCE)
            elif mood == "drip":
                self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n", b"X: x\r\n")
            elif mood == "drip body":
                self._drip(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" ")
            elif mood == "short":
                self._answer(200, b'{"score": 0.9}', length=100)
            elif mood == "redirect":
                self._answer(307, b"", location=f"{checker.url}/elsewhere")
            elif isinstance(mood, int):
                self._answer(mood, b'{"score": 0.9}')
            # "close": nothing at all

        def do_GET(self) -> None:
            raise AssertionError("a redirect was followed")

        def _answer(self, status: int, body: bytes, *, length: int = 0, location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length or len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def _drip(self, start: bytes, drop: bytes) -> None:
            try:
                self.wfile.write(start)
                drips = 0
                while not stopped.wait(0.05) and not checker.waited_for:
                    self.wfile.write(drop)
                    drips += 1
                    checker.waited_for = drips * 0.05 > PATIENCE
            except OSError:
                checker.left += 1  # they hung up, as they should

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        checker.address = "https://localhost"
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    checker.port = server.server_address[1]
    with _serving(server):
        try:
            yield checker
        finally:
            stopped.set()


@contextmanager
def dripping_tls() -> Iterator[Checker]:
    """A handshake that never ends, byte by byte."""
    checker, stopped = Checker(address="https://127.0.0.1"), threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                self.request.sendall(b"\x16\x03\x03\x3f\xff")  # a record of 16 KB begins
                while not stopped.wait(0.05):
                    self.request.sendall(b"\0")
            except OSError:
                checker.left += 1

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    checker.port = server.server_address[1]
    with _serving(server):
        try:
            yield checker
        finally:
            stopped.set()


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
