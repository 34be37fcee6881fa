"""A service whose faces a test decides, and the examples as programs that call it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from facesvc.home import BASE_DIR
from tests.support.builders import FakePipeline, encode
from tests.support.patience import PATIENCE

EXAMPLES = BASE_DIR / "docs" / "integration"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class App:
    """An example in a folder of its own, which knows the service by its environment."""

    folder: Path
    environment: dict[str, str]
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)
    url: str = ""

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def serve(self, *command: str) -> None:
        """Starts a server; `{port}` in the command is a free port. Waits until it answers."""
        port = free_port()
        words = [word.replace("{port}", str(port)) for word in command]
        self.url = self.environment["APP_URL"] = f"http://127.0.0.1:{port}"
        log = (self.folder / "log").open("wb")
        self.programs.append(
            subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            assert self.programs[-1].poll() is None and time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            return httpx.get(self.url).status_code > 0
        except httpx.TransportError:
            return False

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def visit(self) -> httpx.Client:
        """A browser without a screen, which keeps cookies."""
        return httpx.Client(base_url=self.url, follow_redirects=True, timeout=PATIENCE)


def photo(seed: int) -> bytes:
    """A picture that nobody sent before."""
    return encode(np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8))


@pytest.fixture
def start(
    live_server: LiveServer, fake: FakePipeline, settings: Settings, tmp_path: Path
) -> Iterator[Callable[[str], App]]:
    """A copy of an example, with what it has to know about the service."""
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.CORS_ALLOW_ALL_ORIGINS = False
    apps: list[App] = []

    def started(name: str) -> App:
        for each in {name, "browser"}:
            shutil.copytree(EXAMPLES / each, tmp_path / each)
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(BASE_DIR),  # facesvc.client, as if it were installed
            "FACES_URL": live_server.url,
            "FACES_JWT_SECRET": settings.JWT_SECRET,
            "APP_SECRET_KEY": "a-key-of-the-app-that-is-long-enough",
        }
        apps.append(App(tmp_path / name, environment))
        return apps[-1]

    yield started
    for app in apps:
        for program in app.programs:
            program.terminate()
            program.wait(timeout=PATIENCE)
