"""`make demo`."""

import os
import subprocess
from pathlib import Path

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from facesvc.postgres import locks
from facesvc.running import run
from recognition.api.callers import tokens
from recognition.collections import current
from recognition.models import Face, User
from tests import demo

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def test_it_works(
    live_server: LiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # nobody is enrolled twice
        demo.show(live_server.url, tmp_path)
        said = capsys.readouterr().out
        assert f"Open {live_server.url}/#token=ey" in said and str(tmp_path) in said
        assert {user.display_name for user in User.objects.all()} == {
            *("Eileen Collins", "Tom Hanks", "Guest 1", "Guest 2", "Guest 3")
        }
        assert Face.objects.count() == 5
    assert len(list(tmp_path.glob("*.jpg"))) == 3


def test_a_browser_opens_where_there_is_a_display(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(demo.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: opened.extend(command))
    demo.show(live_server.url, tmp_path)
    program, page = opened
    assert program == "/usr/bin/xdg-open" and page.startswith(f"{live_server.url}/#token=")


def test_its_token_may_call_as_often_as_that_of_make_run() -> None:
    with current.nowhere():  # as a process begins
        token = demo.issued()
    assert tokens.read(token).calls_per_minute == run.TOKEN_CALLS


def test_the_running_service_is_found(tmp_path: Path) -> None:
    assert demo.running(tmp_path) == ""
    with locks.held(tmp_path / "locks" / "run", locks.EXCLUSIVE) as descriptor:
        os.write(descriptor, b"pid 12, http://127.0.0.1:8123")
        assert demo.running(tmp_path) == "http://127.0.0.1:8123"
    assert demo.running(tmp_path) == ""


def test_a_refusal_is_told(live_server: LiveServer, settings: Settings, tmp_path: Path) -> None:
    settings.FACESVC_REQUIRE_CONSENT = True
    with pytest.raises(demo.DemoError, match="consent_required"):
        demo.show(live_server.url, tmp_path)


def test_a_service_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(demo.DemoError, match="does not answer"):
        demo.show("http://127.0.0.1:9", tmp_path)
    assert not demo.is_ready("http://127.0.0.1:9")
