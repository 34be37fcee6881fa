"""A replica dies, hangs, is promoted and comes back, while clients search."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings

from facesvc.postgres import database, replica
from recognition.api.callers import tokens
from tests.support.patience import wait_until
from tests.support.servers import schemas
from tests.support.servers.whole_service import Service, kill, photo, postmaster

pytestmark = pytest.mark.slow
CLIENTS = 8
USER = "00000000-0000-4000-8000-000000000001"
PREFIX = "/api/v1/face-recognition/"
METRICS_TOKEN = "of the metrics: 7d1c9a64e0b25f83"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The folders of a primary and of its standby."""
    primary, standby = tmp_path / "primary", tmp_path / "standby"
    replica.copy(database.embedded_url(primary), standby)
    database.join(standby)
    yield primary, standby
    for folder in {primary, standby} & database._handles.keys():
        database.release(folder)


@pytest.fixture
def service(servers: tuple[Path, Path], tmp_path: Path) -> Iterator[Service]:
    primary, standby = servers
    data = tmp_path / "service"
    shutil.copytree(settings.MODELS_DIR, data / "models")
    started = Service(
        data,
        DATABASE_URL=replica.address(primary),
        FACESVC_SEARCH_DATABASE_URL=replica.address(standby),
        FACESVC_METRICS_TOKEN=METRICS_TOKEN,
        FACESVC_REPLICA_MAX_LAG="1",
        LOG_LEVEL="WARNING",  # it says why a replica is not searched
    )
    yield started
    print(started.log.read_text())
    started.kill()


class App:
    """Clients that search, one search after the other, and count how they are answered."""

    def __init__(self, service: Service) -> None:
        self._service = service
        token = tokens.issue("app", ["face:register", "face:identify"], minutes=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.statuses: list[int] = []
        self.is_over = threading.Event()
        self.clients: list[Future[None]] = []

    def send(self, path: str, **body: Any) -> tuple[int, Any]:
        with closing(self._service.connect()) as web:
            web.request("POST", PREFIX + path, json.dumps(body), self._headers)
            response = web.getresponse()
            if response.status == 503:
                assert int(response.headers["Retry-After"]) > 0
            return response.status, json.loads(response.read())

    def search(self) -> None:
        while not self.is_over.is_set():
            status, body = self.send("identify", image=photo(1), on_behalf_of=USER)
            assert status in {200, 503}, body
            if status == 200:
                (face,) = body["data"]["faces"]
                assert face["candidates"], body
            self.statuses.append(status)

    def searches(self) -> dict[str, float]:
        """How many searches there were, by where."""
        with closing(self._service.connect()) as web:
            web.request("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
            lines = web.getresponse().read().decode().splitlines()
        counted = [line.split() for line in lines if line.startswith("facesvc_searches_total{")]
        return {name.split('"')[1]: float(count) for name, count in counted}

    def wait_for_searches(self, on: str, *, more: int = 20) -> None:
        print(f"{len(self.statuses)} searches; now some on the {on}")
        before = self.searches().get(on, 0)
        wait_until(lambda: self.are_searching() and self.searches().get(on, 0) >= before + more)

    def are_searching(self) -> bool:
        """True; raises what has ended a client."""
        for client in self.clients:
            if client.done():
                client.result()
        return True


def processes(folder: Path) -> list[psutil.Process]:
    (pid,) = postmaster(folder)
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]


def send_all(folder: Path, number: signal.Signals) -> None:
    for process in processes(folder):
        os.kill(process.pid, number)


def ask(folder: Path, statement: str) -> None:
    with schemas.connect(database.embedded_url(folder), autocommit=True) as connection:
        connection.execute(statement)


def test_it_works(servers: tuple[Path, Path], service: Service) -> None:
    primary, standby = servers
    service.wait_until_ready()
    app = App(service)
    assert app.send("register", user_id=USER, image=photo(1))[0] == 201

    def lost(lose: Callable[[], Any], back: Callable[[], Any]) -> None:
        app.wait_for_searches("replica")
        lose()
        app.wait_for_searches("primary")
        back()
        app.wait_for_searches("replica")

    with ThreadPoolExecutor(CLIENTS) as threads:
        app.clients = [threads.submit(app.search) for _ in range(CLIENTS)]
        try:
            lost(lambda: kill(*postmaster(standby)), lambda: database.join(standby))
            lost(
                lambda: send_all(standby, signal.SIGSTOP),
                lambda: send_all(standby, signal.SIGCONT),
            )
            lost(
                lambda: (
                    ask(standby, "SELECT pg_wal_replay_pause()"),
                    ask(primary, "SELECT pg_current_xact_id()"),  # which is not replayed
                ),
                lambda: ask(standby, "SELECT pg_wal_replay_resume()"),
            )
            app.wait_for_searches("replica")
            replica.promote(standby)
            app.wait_for_searches("primary")
        finally:
            app.is_over.set()
    assert app.are_searching()
    assert app.statuses.count(200) > 100
    print(f"{len(app.statuses)} searches, {app.statuses.count(503)} with 503")
