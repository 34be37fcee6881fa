"""`facesvc move` against the service in the same process; other services have real sockets."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pytest_django import Settings

from facesvc.moving import command
from tests.facesvc.client.conftest import URL, Here
from tests.support.builders import FakePipeline, service_token, vector
from tests.support.photos import encode
from tests.support.servers import compreface

HOST = "all://localhost"


def picture(number: int) -> bytes:
    """A PNG of 64 x 48 that no other number has."""
    pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return encode(pixels)


class Interrupted(Here):
    """Ends the program behind its n-th enrolment: the service has done it, and nobody hears."""

    def __init__(self, after: int) -> None:
        self.left = after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        self.left -= request.url.path.endswith("/register")
        if self.left == 0:
            raise KeyboardInterrupt
        return answer


@pytest.fixture
def here(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, fake: FakePipeline
) -> Callable[[Here], None]:
    """Has the command reach the service by another transport."""
    settings.ALLOWED_HOSTS = ["localhost"]
    monkeypatch.setenv("TOKEN", service_token("mover"))
    monkeypatch.setenv("COMPREFACE_API_KEY", compreface.API_KEY)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("facesvc.moving.compreface._PAUSES", (0, 0))
    made = httpx.Client

    def use(transport: Here) -> None:
        def client(**options: Any) -> httpx.Client:
            return made(mounts={HOST: transport}, **options)

        monkeypatch.setattr("facesvc.moving.command.httpx.Client", client)

    use(Here())
    fake.show(*(vector(number) for number in range(1, 40)))
    return use


@pytest.fixture
def server() -> Iterator[compreface.CompreFaceServer]:
    with compreface.running() as running:
        yield running


def run(*words: object) -> int:
    return command.main([*map(str, words), "--to", URL])


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
