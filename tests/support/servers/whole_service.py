"""`make run` in another process, with a web server and workers of its own."""

import base64
import http.client
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import cv2
import numpy as np
import psutil

from tests.support.patience import PATIENCE, wait_until
from tests.support.photos import jpeg, tom_hanks

PROJECT = Path(__file__).parents[3]


class Service:
    """`python -m facesvc.running.run`, with a database of its own unless `changes` name one."""

    def __init__(self, data_dir: Path, **changes: str) -> None:
        self.data_dir, self.log = data_dir, data_dir / "run.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        environment |= {"FACESVC_DATA": str(data_dir), "WEB_WORKERS": "2", "LOG_LEVEL": "ERROR"}
        environment |= {"RATE_LIMIT_PER_MINUTE": "0", "RATE_LIMIT_PER_HOUR": "0"}
        environment |= {"FACESVC_FACES_PER_HOUR": "0"}
        environment |= {"FACESVC_INFERENCE_WAIT_SECONDS": "50"}  # no 503 on a busy machine
        environment |= changes
        self.process = subprocess.Popen(
            [sys.executable, "-m", "facesvc.running.run", "--port", str(self.port)],
            cwd=PROJECT,
            env=environment,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.readiness() == 200)

    def readiness(self) -> int:
        """The status of /health/ready; 0 before the web server listens."""
        assert self.process.poll() is None, self.log.read_text()
        with suppress(OSError), closing(self.connect()) as web:
            web.request("GET", "/health/ready")
            return web.getresponse().status
        return 0

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def kill(self) -> None:
        """Every process at once, the database's too."""
        kill(self.process.pid, *postmaster(self.data_dir))
        self.process.wait()


def postmaster(data_dir: Path) -> list[int]:
    """The id of the embedded PostgreSQL, if it runs."""
    with suppress(FileNotFoundError):
        return [int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])]
    return []


def kill(*pids: int) -> None:
    """Kill these processes and all below them at once, each by its id."""
    everything: list[psutil.Process] = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            everything += [process, *process.children(recursive=True)]
    for process in everything:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def photo(number: int) -> str:
    matrix = cv2.getRotationMatrix2D((56, 56), number / 20 - 5, 1)
    image = cv2.warpAffine(tom_hanks(), matrix, (112, 112), borderMode=cv2.BORDER_REPLICATE)
    return base64.b64encode(jpeg(image.astype(np.uint8))).decode()
