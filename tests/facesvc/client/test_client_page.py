"""The examples of docs/client.md, one after the other, as a reader would run them."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from batch.jobs import work
from batch.webhooks import signing
from facesvc.home import BASE_DIR
from recognition.models import Face
from tests.facesvc.client.conftest import Here, done
from tests.support.builders import FakePipeline, encode, service_token, vector

PAGE = (BASE_DIR / "docs" / "client.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
BODY = b'{"type": "batch.completed", "data": {"job_id": "job_1", "status": "completed"}}'
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that nobody took twice."""
    random = np.random.default_rng(7)
    names = ["ann.jpg", "party.jpg", "landscape.jpg", "webcam.jpg"]
    names += ["frames/1.jpg", "frames/2.jpg", "album/1.jpg", "album/2.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pixels = random.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        (tmp_path / name).write_bytes(encode(pixels))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch, settings: Settings, fake: FakePipeline) -> None:
    fake.show(vector(1), vector(1), [], vector(1))
    fake.varies = True  # or a login would be a replay of the enrolled picture
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    monkeypatch.setenv("TOKEN", service_token("my-app"))
    monkeypatch.setenv("JWT_SECRET", settings.JWT_SECRET)
    monkeypatch.setenv("WEBHOOK_SECRET", signing.current("app"))
    monkeypatch.setattr(asyncio, "run", done)
    monkeypatch.setattr("facesvc.client.binding.time.sleep", lambda seconds: work.work())
    for kind in ("Client", "AsyncClient"):
        made = getattr(httpx, kind)
        monkeypatch.setattr(httpx, kind, lambda timeout, made=made: made(transport=Here()))


def test_it_works(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/client.md", "exec"), names)
    face = Face.objects.get()
    said = capsys.readouterr().out.splitlines()
    assert said[0].split()[0] == face.face_id and said[1] == "['Ann']"
    assert said[2].startswith("no_face ")
    assert names["is_logged_in"]
    assert said[3:5] == ["verifying", "verifying"]
    assert "1.jpg success" in said and "2.jpg success" in said
    assert names["receive"](signing.headers("app", "msg_1", BODY), BODY) == 204
    assert names["receive"](signing.headers("app", "msg_1", BODY), b"{}") == 400
