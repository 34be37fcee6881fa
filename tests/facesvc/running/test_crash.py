"""The whole service killed with -9 in the middle of registrations, and what is there afterwards."""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import cv2
import numpy as np
import psutil
import psycopg
import pytest
from django.conf import settings

from facesvc.postgres import database
from recognition.api import tokens
from tests.support.patience import PATIENCE, wait_until
from tests.support.photos import jpeg, tom_hanks

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[3]
REGISTRATIONS, KILLED_AFTER = 200, 70


class Service:
    """`python -m facesvc.running.run` with a database of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir, self.log = data_dir, data_dir / "run.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        environment |= {"FACESVC_DATA": str(data_dir), "WEB_WORKERS": "2", "LOG_LEVEL": "ERROR"}
        environment |= {"RATE_LIMIT_PER_MINUTE": "0", "RATE_LIMIT_PER_HOUR": "0"}
        environment |= {"FACESVC_INFERENCE_WAIT_SECONDS": "50"}  # no 503 on a busy machine
        self.process = subprocess.Popen(
            [sys.executable, "-m", "facesvc.running.run", "--port", str(self.port)],
            cwd=PROJECT,
            env=environment,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )

    def wait_until_ready(self) -> None:
        wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with suppress(OSError), closing(self.connect()) as web:
            web.request("GET", "/health/ready")
            return web.getresponse().status == 200
        return False

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def kill(self) -> None:
        """Every process at once, the database's too, each by its id."""
        processes = [psutil.Process(self.process.pid)]
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            pid_file = self.data_dir / "postgres" / "postmaster.pid"
            processes.append(psutil.Process(int(pid_file.read_text().split()[0])))
        everything = [*processes]
        for process in processes:
            everything += process.children(recursive=True)
        for process in everything:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    shutil.copytree(settings.MODELS_DIR, tmp_path / "models")
    started = Service(tmp_path)
    yield started
    if started.process.poll() is None:
        started.kill()
    if tmp_path in database._handles:
        database.release(tmp_path)


def photo(number: int) -> str:
    matrix = cv2.getRotationMatrix2D((56, 56), number / 20 - 5, 1)
    image = cv2.warpAffine(tom_hanks(), matrix, (112, 112), borderMode=cv2.BORDER_REPLICATE)
    return base64.b64encode(jpeg(image.astype(np.uint8))).decode()


class Registrations:
    """Sent from several threads at once; `answered` are the faces that a 201 named."""

    def __init__(self, service: Service) -> None:
        self.answered: dict[str, str] = {}
        self._service = service
        self._enough = threading.Event()
        token = tokens.issue("app", ["face:register"], minutes=5)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def run(self) -> None:
        with ThreadPoolExecutor(8) as threads:
            sent = [threads.submit(self._register, number) for number in range(REGISTRATIONS)]
            assert self._enough.wait(PATIENCE)
            self._service.kill()
            for one in sent:
                one.result()

    def _register(self, number: int) -> None:
        user_id = str(uuid.UUID(int=number))
        body = json.dumps({"user_id": user_id, "image": photo(number)})
        try:
            with closing(self._service.connect()) as web:
                web.request("POST", "/api/v1/face-recognition/register", body, self._headers)
                response = web.getresponse()
                answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return  # killed
        assert response.status == 201, answer
        self.answered[answer["data"]["face_id"]] = user_id
        if len(self.answered) >= KILLED_AFTER:
            self._enough.set()


def test_what_was_answered_is_there_and_whole(service: Service) -> None:
    service.wait_until_ready()
    registrations = Registrations(service)
    registrations.run()
    answered = registrations.answered
    assert KILLED_AFTER <= len(answered) < REGISTRATIONS
    with psycopg.connect(database.embedded_url(service.data_dir)) as connection:

        def rows(statement: str) -> list[tuple[str, str]]:
            found = connection.execute(statement).fetchall()
            return [(str(face_id), str(user_id)) for face_id, user_id in found]

        faces = rows("SELECT face_id, user_id FROM recognition_face")
        templates = rows(
            "SELECT f.face_id, t.user_id FROM recognition_template t "
            "JOIN recognition_face f ON f.id = t.face_id"
        )
        events = rows(
            "SELECT face_id, user_id FROM recognition_auditevent WHERE action = 'face.register'"
        )
        users = [row[0] for row in rows("SELECT id, id FROM recognition_user")]
    assert set(answered.items()) <= set(faces)
    assert sorted(faces) == sorted(templates) == sorted(events)
    assert sorted(users) == sorted(user_id for _, user_id in faces)
