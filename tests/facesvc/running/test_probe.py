"""What the health check of a container says, by a web server that answers as it is to."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from facesvc.running import probe


class Server(http.server.HTTPServer):
    status = 200


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/health/ready"
            self.send_response(found.status)
            self.end_headers()
            self.wfile.write(b'{"status": "some"}')

        def log_message(self, *args: object) -> None:
            pass

    found = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
def test_it_works(
    server: Server, capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    server.status = status
    assert probe.main(server.server_port) == code
    assert capsys.readouterr().out == f'{status} {{"status": "some"}}\n'


def test_nobody_listens(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.readiness("127.0.0.1", 1)[0] is False
    assert probe.main(1) == 1
    assert "refused" in capsys.readouterr().out
