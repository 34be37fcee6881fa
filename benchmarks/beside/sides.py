"""The two sides: a running service, and the FastAPI server. Both take the same requests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from benchmarks import service
from benchmarks.beside import pictures
from benchmarks.beside.models import BARE, models_folder, settings_with
from benchmarks.beside.processes import cpu_seconds
from recognition.processes.orphans import die_with_parent

PROCESSES = 2
CALLERS = 6  # each has no more than three open calls by one client
_CALLS_OF_EACH = 3
_BOUNDARY = "picture-of-a-benchmark"


@dataclass(frozen=True)
class Message:
    """A request to either side."""

    path: str
    kind: str  # of its content
    body: bytes
    method: str = "POST"


@dataclass
class Side:
    """Something that answers requests on this machine."""

    name: str
    port: int
    prefix: str
    token: str
    roots: list[psutil.Process]
    calls: list[str] = field(default_factory=list)  # paths of frames, one for each client
    newcomers: list[str] = field(default_factory=list)  # who was enrolled by what was measured

    def cpu(self) -> float:
        return cpu_seconds(self.roots)

    def send(self, message: Message, *, or_absent: bool = False) -> Any:
        """The JSON of an answer that has to be good, or 404. Raises RuntimeError."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": message.kind}
            path = f"{self.prefix}/{message.path}"
            connection.request(message.method, path, message.body, headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status >= 300 and not (or_absent and response.status == 404):
                raise RuntimeError(f"{self.name}, {message.path}: {answer.decode()}")
            return json.loads(answer)
        finally:
            connection.close()

    def bytes_of(self, message: Message) -> bytes:
        """The same for a connection that is kept alive."""
        head = (
            f"{message.method} {self.prefix}/{message.path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Type: {message.kind}\r\n"
            f"Content-Length: {len(message.body)}\r\n\r\n"
        )
        return head.encode() + message.body

    def frame(self, client: int, sequence: int, image: bytes) -> Message:
        """A frame of the call of a client."""
        return Message(f"{self.calls[client]}&sequence={sequence}", "image/jpeg", image)


def form(path: str, images: Sequence[bytes], **fields: str) -> Message:
    """A request as `curl -F` sends it."""
    name = "images" if path == "batch-identify" else "image"
    parts = [_part(f'name="{key}"', value.encode(), "text/plain") for key, value in fields.items()]
    parts += [
        _part(f'name="{name}"; filename="{at}.jpg"', image, "image/jpeg")
        for at, image in enumerate(images)
    ]
    body = b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
    return Message(path, f"multipart/form-data; boundary={_BOUNDARY}", body)


def _part(disposition: str, value: bytes, content_type: str) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n"
    return f"{head}Content-Type: {content_type}\r\n\r\n".encode() + value + b"\r\n"


@contextmanager
def peer() -> Iterator[Side]:
    """The FastAPI server, with the same people."""
    with tempfile.TemporaryDirectory(prefix="facesvc-peer-") as folder:
        for user_id, image in pictures.enrolled(CALLERS).items():
            (Path(folder) / f"{user_id}.jpg").write_bytes(image)
        port = service.free_port()
        command = ["-m", "uvicorn", "benchmarks.beside.peer:app", f"--workers={PROCESSES}"]
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *command, f"--port={port}", "--log-level=warning"],
            cwd=service.PROJECT,
            env={
                **os.environ,
                "FACESVC_BENCH_MODELS": str(models_folder()),
                "FACESVC_PEER_PEOPLE": folder,
            },
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        try:
            service.wait_until_ready(process, port, "/openapi.json")
            calls = [
                f"frames?{urlencode({'user_id': pictures.caller(at)})}"
                for at in range(CALLERS)
                for _ in range(_CALLS_OF_EACH)
            ]
            yield Side("peer", port, "", "none", [psutil.Process(process.pid)], calls)
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def product(pack: str = BARE) -> Iterator[Side]:
    """The service with a pack, its people enrolled, and its calls open."""
    with settings_with(pack) as settings:
        settings |= {"FACESVC_LIVE_FRAMES_PER_SECOND": "1000", "WEB_WORKERS": str(PROCESSES)}
        with service.running(settings) as running:
            postmaster = running.data / "postgres" / "postmaster.pid"
            database = psutil.Process(int(postmaster.read_text().split()[0]))
            roots = [running.master, database]
            side = Side("facesvc", running.port, service.PREFIX, running.token, roots)
            for user_id, image in pictures.enrolled(CALLERS).items():
                _enrol(side, user_id, image)
            side.calls = [
                _open_call(side, pictures.caller(at))
                for at in range(CALLERS)
                for _ in range(_CALLS_OF_EACH)
            ]
            yield side


def _enrol(side: Side, user_id: str, image: bytes) -> None:
    """Users of calls are private, so that a search finds each person once."""
    callers = {pictures.caller(number) for number in range(CALLERS)}
    level = "private" if user_id in callers else "public"
    side.send(_json(f"users/{user_id}", {"privacy_level": level}, "PUT"))
    side.send(form("register", [image], user_id=user_id))


def _open_call(side: Side, user_id: str) -> str:
    opened = side.send(_json("sessions", {"user_id": user_id, "purpose": "video_call"}))
    return f"sessions/{opened['data']['session_id']}/frames?"


def _json(path: str, body: Mapping[str, str], method: str = "POST") -> Message:
    return Message(path, "application/json", json.dumps(body).encode(), method)
