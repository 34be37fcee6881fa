"""An HTTP server that misbehaves as it is told, on a port of its own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Served:
    """What is at an address, and how it is given away."""

    data: bytes = b""
    statuses: list[int] = field(default_factory=list)  # of the first requests, instead of the file
    cuts: list[int] = field(default_factory=list)  # the first connections end after so many bytes
    claims: int | None = None  # Content-Length of a whole file, when it is a lie
    resumes: bool = True
    location: str = ""  # redirects there
    delay: float = 0  # seconds before the first byte
    content_range: str = ""  # instead of the true one
    chunk_delay: float = 0  # seconds after each KiB


class FileServer:
    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, str]] = []  # path and Range
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, path: str, data: bytes = b"", **behaviour: Any) -> str:
        """The address of a new file."""
        self.files[path] = Served(data, **behaviour)
        return self.url + path

    @property
    def ranges(self) -> list[str]:
        return [asked for _, asked in self.requests]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(outer) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range", "")
                outer.requests.append((self.path, asked))
                file = outer.files.get(self.path)
                try:
                    if file is None:
                        self.send_error(404)
                    elif file.statuses:
                        self.send_error(file.statuses.pop(0))
                    elif file.location:
                        self.send_response(302)
                        self.send_header("Location", file.location)
                        self.end_headers()
                    else:
                        self._give(file, asked)
                except ConnectionError:
                    pass  # the client has heard enough

            def _give(self, file: Served, asked: str) -> None:
                time.sleep(file.delay)
                start = int(asked[len("bytes=") : -1]) if asked and file.resumes else 0
                if start and start >= len(file.data):
                    self.send_error(416)
                    return
                end = file.cuts.pop(0) if file.cuts else len(file.data)
                is_lie = file.claims is not None and not start
                length = file.claims if is_lie else len(file.data) - start
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(length))
                if start:
                    place = f"bytes {start}-{len(file.data) - 1}/{len(file.data)}"
                    self.send_header("Content-Range", file.content_range or place)
                self.end_headers()
                for at in range(start, max(start, end), 1024):
                    self.wfile.write(file.data[at : min(end, at + 1024)])
                    time.sleep(file.chunk_delay)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FileServer()
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
