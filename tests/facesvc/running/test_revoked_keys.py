"""A key that is revoked, by each process of a real web server."""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from recognition.api.callers import making
from recognition.collections.models import ApiKey
from tests.support.builders import OWNER, PREFIX, make_user
from tests.support.patience import PATIENCE, wait_until
from tests.support.processes import PROJECT, environment

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PROCESSES = 2


class Server:
    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log

    def ask(self, key: str) -> int:
        """The status of a request over a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as web:
            headers = {"Authorization": f"Bearer {key}"}
            web.request("GET", f"{PREFIX}users/{OWNER}", headers=headers)
            return web.getresponse().status

    def each_answers(self, key: str, status: int) -> None:
        """Ask until each process has answered."""
        before = len(self.log.read_text().splitlines())
        who: set[int] = set()

        def everybody_has() -> bool:
            assert self.ask(key) == status
            lines = self.log.read_text().splitlines()[before:]
            told = [json.loads(line) for line in lines if '"facesvc.requests"' in line]
            who.update(line["process"] for line in told if line["status"] == status)
            return len(who) == PROCESSES

        wait_until(everybody_has)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    log = tmp_path / "web.log"
    limits = {"RATE_LIMIT_PER_MINUTE": "0", "RATE_LIMIT_PER_HOUR": "0"}
    web = subprocess.Popen(
        [sys.executable, "-m", "facesvc.running.web", "--bind", f"127.0.0.1:{port}"],
        cwd=PROJECT,
        env=environment(WEB_WORKERS=str(PROCESSES), LOG_LEVEL="INFO", LOG_FORMAT="json", **limits),
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
    )
    served = Server(port, log)

    def is_up() -> bool:
        assert web.poll() is None, log.read_text()
        with suppress(OSError):
            return served.ask("fk_") == 401
        return False

    try:
        wait_until(is_up)
        yield served
    finally:
        web.terminate()
        web.wait(PATIENCE)


def _revoke(key: ApiKey) -> None:
    making.revoke(key, by="command:test")


def _let_expire(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def _delete(key: ApiKey) -> None:
    key.delete()


def test_it_works(server: Server) -> None:
    """Both processes have read the key before it is gone; none of them remembers it."""
    make_user(OWNER)
    for end in (_revoke, _let_expire, _delete):
        key, text = making.make(
            ApiKey, "app", ["face:manage"], collection="default", by="command:test"
        )
        assert isinstance(key, ApiKey)
        server.each_answers(text, 200)
        end(key)
        server.each_answers(text, 401)
