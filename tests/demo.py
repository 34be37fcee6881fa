"""`make demo`: the people of the packaged photos in the service, and the page with them.

Works with the service that runs on this data folder, or starts one and stays until Ctrl-C. Whoever
is enrolled already is not enrolled again. Three of the six people of the group photo stay unknown.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

import django
from django.conf import settings

PROJECT = Path(__file__).parents[1]
PREFIX = "/api/v1/face-recognition/"
PATIENCE = 600  # seconds: the first start builds the database and the models


@dataclass(frozen=True)
class Somebody:
    name: str
    photo: str
    face_index: int | None = None

    @property
    def user_id(self) -> UUID:
        """The same each time, so that nobody is enrolled twice."""
        return uuid5(NAMESPACE_URL, f"https://facesvc.invalid/demo/{self.name}")


CAST = (
    Somebody("Eileen Collins", "astronaut.jpg"),
    Somebody("Tom Hanks", "tom_hanks.jpg"),
    *(Somebody(f"Guest {number + 1}", "six_people.jpg", number) for number in range(3)),
)


class DemoError(Exception):
    """It cannot go on; the message says why."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    django.setup()
    try:
        if url := running(settings.DATA_DIR):
            show(url, settings.DATA_DIR / "demo")
            return 0
        return run(options.host, options.port)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1


def running(data_dir: Path) -> str:
    """The address of the service on that data folder, empty if there is none."""
    from facesvc.postgres import locks

    path = data_dir / "locks" / "run"
    if not path.exists() or locks.is_free(path):
        return ""
    return str(path.read_text().partition(", ")[2])


def run(host: str, port: int) -> int:
    """The service, with the people in it once it is ready. Ctrl-C ends both."""
    from facesvc.running.run import address
    from recognition.processes.orphans import die_with_parent

    command = [sys.executable, "-m", "facesvc.running.run", "--host", host, "--port", str(port)]
    end = die_with_parent(signal.SIGTERM)
    service = subprocess.Popen(command, cwd=PROJECT, preexec_fn=end)
    url = address(host, port)
    try:
        deadline = time.monotonic() + PATIENCE
        # Another service may answer at the port, which ours then cannot take.
        while not (running(settings.DATA_DIR) and is_ready(url)):
            if service.poll() is not None:
                return service.returncode
            if time.monotonic() > deadline:
                raise DemoError(f"The service is not ready after {PATIENCE} s.")
            time.sleep(0.5)
        show(url, settings.DATA_DIR / "demo")
        return service.wait()
    except KeyboardInterrupt:
        return service.wait()  # Ctrl-C has reached it, too
    finally:
        if service.poll() is None:
            service.terminate()
            service.wait()


def show(url: str, folder: Path) -> None:
    """Save the photos in the folder, enrol everybody, and open the page. Raises DemoError."""
    token = issued()
    save_photos(folder)
    print("Enrolling people", flush=True)
    for somebody in CAST:
        enrol(url, token, somebody, (folder / somebody.photo).read_bytes())
    page = f"{url}/#token={token}"
    print(
        f"\n{len(CAST)} people are enrolled. Photos to tag are in {folder}\nOpen {page}\n",
        flush=True,
    )
    opener = shutil.which("xdg-open")
    if opener and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        subprocess.Popen([opener, page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def issued() -> str:
    """As `make run` prints one."""
    from facesvc.running.run import TOKEN_CALLS, TOKEN_HOURS
    from recognition.access import SCOPES
    from recognition.api.callers import tokens
    from recognition.collections.current import DEFAULT, entered

    try:
        with entered(DEFAULT):
            return tokens.issue(
                "local", list(SCOPES), minutes=TOKEN_HOURS * 60, calls_per_minute=TOKEN_CALLS
            )
    except tokens.NotTheIssuerError as error:
        raise DemoError(f"{error} The demo needs a token of its own.") from error


def save_photos(folder: Path) -> None:
    from tests.support.photos import astronaut, jpeg, resized, six_people, tom_hanks

    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "astronaut.jpg").write_bytes(jpeg(astronaut()))
    (folder / "tom_hanks.jpg").write_bytes(jpeg(resized(tom_hanks(), 3)))
    (folder / "six_people.jpg").write_bytes(jpeg(six_people()))


def enrol(url: str, token: str, somebody: Somebody, photo: bytes) -> None:
    """Raises DemoError."""
    path = f"users/{somebody.user_id}"
    about = {"display_name": somebody.name, "privacy_level": "public"}
    ask(url, token, "PUT", path, json.dumps(about).encode(), "application/json")
    fields: dict[str, Any] = {"user_id": somebody.user_id}
    if somebody.face_index is not None:
        fields["face_index"] = somebody.face_index
    ask(url, token, "POST", f"register?{urlencode(fields)}", photo, "image/jpeg")


def ask(url: str, token: str, method: str, path: str, body: bytes, kind: str) -> None:
    """Raises DemoError, unless it is done or was done before."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    try:
        with closing(connection(url)) as service:
            service.request(method, PREFIX + path, body, headers)
            answer = service.getresponse()
            said = answer.read().decode()
    except OSError as error:
        raise DemoError(f"{url} does not answer: {error}") from error
    is_done = answer.status < HTTPStatus.BAD_REQUEST or "duplicate_face" in said
    if not is_done:
        raise DemoError(f"{method} {path} was refused with {answer.status}: {said}")


def is_ready(url: str) -> bool:
    try:
        with closing(connection(url)) as service:
            service.request("GET", "/health/ready")
            return service.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def connection(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)


if __name__ == "__main__":
    sys.exit(main())
