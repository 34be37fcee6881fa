"""GET /metrics of a cluster of workers: what its processes counted together.

The main process of the cluster answers, which otherwise only waits. It asks no database: what is
stored is in the metrics of the web server.
"""

import logging
import multiprocessing
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from tempfile import mkdtemp
from typing import Any

from django.core.management import CommandError
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from facesvc.http import metrics

logger = logging.getLogger(__name__)

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_LOOK_SECONDS = 1.0
# Seconds without a byte after which a client is left; connections that are answered at once.
_SILENCE_SECONDS, _MOST_AT_ONCE = 10, 16


@contextmanager
def counted_together() -> Iterator[None]:
    """The processes that are forked inside count in one folder. At first, start this process again.

    prometheus_client decides whether processes count together when it is first imported, and
    django-q2 imports it before a command runs.
    """
    prefix = f"facesvc-metrics-{os.getpid()}-"
    # The number of the process stays, so a folder that another process made does not count.
    if f"/{prefix}" not in os.environ.get(_FOLDER, ""):
        os.environ[_FOLDER] = mkdtemp(prefix=prefix)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    try:
        yield
    finally:
        shutil.rmtree(os.environ[_FOLDER], ignore_errors=True)


class Server(ThreadingTCPServer):
    """Takes connections from now on, and answers them in `serve`."""

    allow_reuse_address = True
    daemon_threads = True
    timeout = _LOOK_SECONDS

    def __init__(self, host: str, port: int) -> None:
        """Raises CommandError where it cannot listen."""
        self._open: list[socket.socket] = []  # in the order in which they came
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            message = f"cannot listen on {host} port {port}: {error.strerror}"
            raise CommandError(f"{message} (FACESVC_WORKER_METRICS_PORT)") from None

    def serve(self) -> None:
        """Answer until the forked processes have ended. This process must fork no more: it has
        threads."""
        while multiprocessing.active_children():
            self.handle_request()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A client that means it waits for moments, so what waits longest makes room for new ones.
        Strangers who send a byte now and then keep nobody out."""
        self._open = [each for each in self._open if each.fileno() >= 0]
        if len(self._open) >= _MOST_AT_ONCE:
            with suppress(OSError):  # it has gone by itself
                self._open.pop(0).shutdown(socket.SHUT_RDWR)
        self._open.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """No line for a client that has gone: strangers would fill the log."""
        if not isinstance(sys.exception(), OSError):
            logger.warning("a request for the metrics of the worker failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENCE_SECONDS
    server_version, sys_version = "facesvc", ""

    def do_GET(self) -> None:
        if self.path != "/metrics" or not metrics.is_shown():
            self._answer(404, "There is nothing here.\n")
        elif not metrics.may_see(self.headers.get("Authorization", "")):
            self._answer(401, "The token is not valid.\n")
        else:
            self._answer(200, metrics.counted().decode(), CONTENT_TYPE_LATEST)

    def _answer(self, status: int, text: str, content_type: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", metrics.CHALLENGE)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """No line for each scrape, as there is none for those of the web server."""
