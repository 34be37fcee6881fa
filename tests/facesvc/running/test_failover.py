"""The primary is killed under load, and its standby promoted: the drill of docs/operations.md."""

import json
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings

from facesvc.postgres import database, replica
from recognition.api.callers import tokens
from tests.support.patience import PATIENCE, wait_until
from tests.support.servers import schemas
from tests.support.servers.whole_service import Service, kill, photo, postmaster

pytestmark = pytest.mark.slow
CLIENTS, REGISTRATIONS, KILLED_AFTER, OF_JOB = 8, 150, 40, 50
PREFIX = "/api/v1/face-recognition/"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The folders of a primary, and of the standby that each of its commits waits for."""
    primary, standby = tmp_path / "primary", tmp_path / "standby"
    with schemas.connect(database.embedded_url(primary), autocommit=True) as connection:
        replica.copy(connection.info.dsn, standby)
        database.join(standby)
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
        state = "SELECT sync_state FROM pg_stat_replication"
        wait_until(lambda: connection.execute(state).fetchall() == [("sync",)])
    yield primary, standby
    for folder in {primary, standby} & database._handles.keys():
        database.release(folder)


@pytest.fixture
def service(servers: tuple[Path, Path], tmp_path: Path) -> Iterator[Service]:
    data = tmp_path / "service"
    shutil.copytree(settings.MODELS_DIR, data / "models")
    keys = {"FACESVC_CROP_KEYS": Fernet.generate_key().decode()}
    started = Service(data, DATABASE_URL=replica.address(*servers), **keys)
    yield started
    started.kill()


class App:
    """Clients that send each registration again, with its key, until it is answered with 201."""

    def __init__(self, service: Service) -> None:
        self.faces: dict[str, str] = {}  # by user
        self.answered_at: list[float] = []
        self.enough = threading.Event()
        self._service = service
        token = tokens.issue("app", ["face:register", "face:batch"], minutes=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def send(self, method: str, path: str, body: Any = None, key: str = "") -> dict[str, Any]:
        """The data of the answer. No other status than 503 comes before it."""
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        deadline = time.monotonic() + PATIENCE
        while True:
            with closing(self._service.connect()) as web:
                web.request(method, PREFIX + path, json.dumps(body) if body else None, headers)
                response = web.getresponse()
                answer = json.loads(response.read())
            if response.status < 300:
                data: dict[str, Any] = answer["data"]
                return data
            assert response.status == 503, answer
            assert int(response.headers["Retry-After"]) > 0
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def register(self, number: int) -> None:
        user_id = str(uuid.UUID(int=number))
        body = {"user_id": user_id, "image": photo(number)}
        self.faces[user_id] = self.send("POST", "register", body, key=f"register-{number}")[
            "face_id"
        ]
        self.answered_at.append(time.monotonic())
        if len(self.faces) >= KILLED_AFTER:
            self.enough.set()

    def begin_job(self) -> str:
        images = [
            {"image_id": str(n), "user_id": str(uuid.UUID(int=1000 + n)), "image": photo(n)}
            for n in range(OF_JOB)
        ]
        job_id: str = self.send("POST", "batch-register", {"images": images}, key="job")["job_id"]
        return job_id


def test_the_standby_takes_over_under_load(servers: tuple[Path, Path], service: Service) -> None:
    primary, standby = servers
    service.wait_until_ready()
    app = App(service)
    job_id = app.begin_job()
    with ThreadPoolExecutor(CLIENTS) as threads:
        sent = [threads.submit(app.register, number) for number in range(REGISTRATIONS)]
        assert app.enough.wait(PATIENCE)
        answered, killed_at = dict(app.faces), time.monotonic()
        kill(*postmaster(primary))
        wait_until(lambda: service.readiness() == 503)
        replica.promote(standby)
        promoted_at = time.monotonic()
        for one in sent:
            one.result()
    again_at = min(at for at in app.answered_at if at > promoted_at)
    print(f"{promoted_at - killed_at:.1f} s to the promotion, {again_at - promoted_at:.1f} s more")
    service.wait_until_ready()
    wait_until(lambda: app.send("GET", f"batch-jobs/{job_id}")["status"] == "completed")

    with schemas.connect(database.embedded_url(standby)) as connection:
        rows = connection.execute("SELECT user_id::text, face_id FROM recognition_face").fetchall()
        templates = connection.execute("SELECT count(*) FROM recognition_template").fetchone()
    of_job = {str(uuid.UUID(int=1000 + n)) for n in range(OF_JOB)}
    assert answered.items() <= app.faces.items() <= dict(rows).items()
    assert sorted(user for user, _ in rows) == sorted({*app.faces, *of_job})
    assert templates == (REGISTRATIONS + OF_JOB,)
