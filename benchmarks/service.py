"""A service to measure: gunicorn as it is deployed, on a database of its own that is gone after.

Only this machine can reach it. Limits of tokens are off, since one token is used for everything.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from facesvc.running.run import MALLOC
from recognition.processes.orphans import die_with_parent

PROJECT = Path(__file__).parents[1]
PREFIX = "/api/v1/face-recognition"
READY_SECONDS = 90


@dataclass(frozen=True)
class Service:
    """A running service. `master` is gunicorn's parent process; its database is in `data`."""

    port: int
    token: str
    master: psutil.Process
    data: Path

    def workers(self) -> list[psutil.Process]:
        return self.master.children()

    def memory(self) -> int:
        """Bytes that the processes hold (RSS); what they share is counted in each."""
        total = 0
        for process in [self.master, *self.workers()]:
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def request(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Authorization": self.authorization, **headers})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    @property
    def authorization(self) -> str:
        return f"Bearer {self.token}"


@contextmanager
def running(
    environment: Mapping[str, str] | None = None, *, with_worker: bool = False
) -> Iterator[Service]:
    """The service on a free port; `environment` adds settings. Its output goes to our own."""
    with prepared(environment) as settings:
        token = _manage(settings, "issue_token", "--service", "load", "--scope", "all")
        with (
            worker(settings) if with_worker else nullcontext(),
            _gunicorn(settings) as (process, port),
        ):
            wait_until_ready(process, port)
            data = Path(settings["FACESVC_DATA"])
            yield Service(port, token.strip(), psutil.Process(process.pid), data)


@contextmanager
def prepared(environment: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """The environment of processes of a service: its database is there and its models are."""
    from facesvc.postgres import database

    with tempfile.TemporaryDirectory(prefix="facesvc-bench-") as folder:
        data = Path(folder)
        data.chmod(0o755)  # PostgreSQL may run as another user and has to pass
        settings = {
            **MALLOC,
            **os.environ,
            "FACESVC_DATA": folder,
            "DATABASE_URL": "",
            "DJANGO_SETTINGS_MODULE": "facesvc.settings",
            "FACESVC_PACK": "dlib",  # whose figures the pages have
            "RATE_LIMIT_PER_MINUTE": "0",
            "RATE_LIMIT_PER_HOUR": "0",
            **(environment or {}),
        }
        try:
            with _as_environment(settings):  # the server asks Django's settings, and reads them so
                settings["DATABASE_URL"] = database.embedded_url(data)
            _manage(settings, "migrate", "--noinput", "--verbosity=0")
            _manage(settings, "models", "pull")
            yield settings
        finally:
            database.release(data)


@contextmanager
def _as_environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _manage(environment: Mapping[str, str], *arguments: str) -> str:
    minutes = ("--minutes", "600") if arguments[0] == "issue_token" else ()
    command = [sys.executable, "manage.py", *arguments, *minutes]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


@contextmanager
def worker(environment: Mapping[str, str]) -> Iterator[None]:
    """What works on jobs."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "qcluster"],
        cwd=PROJECT,
        env=environment,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()


@contextmanager
def _gunicorn(environment: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = ["-m", "gunicorn", "--config=python:facesvc.running.gunicorn_conf", "--bind"]
    process = subprocess.Popen(
        [sys.executable, *command, f"127.0.0.1:{port}"],
        cwd=PROJECT,
        env=environment,
        preexec_fn=die_with_parent(signal.SIGTERM),  # also when this one is killed
    )
    try:
        yield process, port
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(
    process: subprocess.Popen[bytes], port: int, path: str = "/health/ready"
) -> None:
    """Until a server answers at `path`. Raises RuntimeError."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit code {process.returncode}")
        with suppress(OSError, HTTPException):
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"not ready after {READY_SECONDS} s")
