"""An HTTP server that stands in for the app that gets callbacks."""

import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Receiver:
    """Answers with one of `statuses` after the other, the last for ever."""

    port: int = 0
    statuses: list[int | str] = field(default_factory=lambda: [200])
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?of=batch"


@contextmanager
def receiving(*statuses: int | str, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """`statuses`: a number, "close" before an answer, "drip" a header for ever."""
    receiver = Receiver(statuses=list(statuses or [200]))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append((headers | {":path": self.path}, body))
            many = len(receiver.statuses) > 1
            status = receiver.statuses.pop(0) if many else receiver.statuses[0]
            if status == "close":
                self.close_connection = True
            elif status == "drip":
                self._drip()
            else:
                self.send_response(int(status))
                if 300 <= int(status) < 400:
                    self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.end_headers()

        do_GET = do_POST

        def _drip(self) -> None:
            self.close_connection = True
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                for number in range(1000):
                    self.wfile.write(b"X-%d: x\r\n" % number)
                    time.sleep(0.05)
            except OSError:
                pass  # they hung up, as they should

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *args: None  # type: ignore[method-assign]
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
