"""The whole service killed with -9 in the middle of registrations, and what is there afterwards."""

import http.client
import json
import shutil
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings

from facesvc.postgres import database
from recognition.api.callers import tokens
from tests.support.patience import PATIENCE
from tests.support.servers import schemas
from tests.support.servers.whole_service import Service, photo

pytestmark = pytest.mark.slow
REGISTRATIONS, KILLED_AFTER = 200, 70


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    shutil.copytree(settings.MODELS_DIR, tmp_path / "models")
    started = Service(tmp_path)
    yield started
    if started.process.poll() is None:
        started.kill()
    if tmp_path in database._handles:
        database.release(tmp_path)


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
    with schemas.connect(database.embedded_url(service.data_dir)) as connection:

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
