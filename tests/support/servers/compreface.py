"""A recognition service of CompreFace, as its REST API describes itself: examples and pictures."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

API_KEY = "00000000-0000-0000-0000-000000000002"
_FACES = "/api/v1/recognition/faces"


class CompreFaceServer:
    """`examples` has subjects and pictures by the id of the image."""

    def __init__(self) -> None:
        self.examples: dict[str, tuple[str, bytes]] = {}
        self.statuses: list[int] = []  # of the next answers
        self.location = ""  # redirects there
        self.overlap = 0  # so many examples of a page stand in the one before it, too
        self.page: Any = None  # in place of the true one
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, subject: str, picture: bytes = b"") -> str:
        image_id = str(uuid.uuid4())
        self.examples[image_id] = (subject, picture)
        return image_id

    def listed(self, page: int, size: int) -> Any:
        if self.page is not None:
            return self.page
        every = [
            {"image_id": image_id, "subject": subject}
            for image_id, (subject, _) in self.examples.items()
        ]
        start = max(0, page * size - self.overlap * page)
        return {
            "faces": every[start : start + size],
            "page_number": page,
            "page_size": size,
            "total_pages": -(-len(every) // size),
            "total_elements": len(every),
        }

    def _handler(outer) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                if outer.location:
                    return self._answer(302, b"", Location=outer.location)
                if outer.statuses:
                    return self._answer(outer.statuses.pop(0), b"")
                if self.headers["x-api-key"] != API_KEY:
                    said = {"message": "Access denied: API key has incorrect format", "code": 18}
                    return self._answer(401, json.dumps(said).encode())
                parts = urlsplit(self.path)
                if parts.path == _FACES:
                    query = {name: int(value[0]) for name, value in parse_qs(parts.query).items()}
                    page = outer.listed(query.get("page", 0), query.get("size", 20))
                    return self._answer(200, json.dumps(page).encode())
                image_id = parts.path.removeprefix(_FACES + "/").removesuffix("/img")
                _, picture = outer.examples.get(image_id, ("", b""))
                return self._answer(200, picture)  # empty where it has none

            def _answer(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def running() -> Iterator[CompreFaceServer]:
    server = CompreFaceServer()
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
