"""The image without a container engine: the steps of its Dockerfile, in an empty folder."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from facesvc.postgres import database
from facesvc.running import run
from tests.facesvc.running.test_run import free_port
from tests.support.patience import PATIENCE, wait_until
from tests.support.photos import astronaut, jpeg

PROJECT = Path(__file__).parents[2]
DOCKERFILE = (PROJECT / "docker" / "Dockerfile").read_text()
IGNORE = (PROJECT / "docker" / "Dockerfile.dockerignore").read_text()
TARGET = "/opt/facesvc"
# What finds and trusts the package registry, and nothing else of ours.
KEPT = re.compile(r"HOME|PIP_.*|SSL_CERT_.*|(https?|no)_proxy", re.IGNORECASE)


def build(source: Path, target: Path) -> None:
    """What the first stage does: each COPY into the folder `source`, each RUN in it."""
    environment = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    environment["PATH"] = f"{sys.base_prefix}/bin:/usr/bin:/bin"
    environment["FACESVC_PACK"] = "dlib"  # no test asks the network for another one
    first_stage = DOCKERFILE.split("FROM ")[1]
    for line in re.findall(r"^(?:COPY|RUN) .*$", first_stage, re.MULTILINE):
        instruction, *words = line.split()
        if instruction == "COPY":
            for name in words[:-1]:
                copy(name, source / words[-1])
        else:
            command = [word.replace(TARGET, str(target)) for word in words]
            subprocess.run(command, cwd=source, env=environment, check=True)


def copy(name: str, to: Path) -> None:
    """As COPY does: a file into a folder; of `.` only what the ignore file lets through."""
    if name != ".":
        to.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, to)
        return
    for path in re.findall(r"^!(.+)$", IGNORE, re.MULTILINE):
        if (PROJECT / path).is_dir():
            shutil.copytree(PROJECT / path, to / path, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / path, to / path)


def environment_of_the_image(target: Path) -> dict[str, str]:
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", DOCKERFILE, re.MULTILINE)
    pairs = (word.split("=", 1) for word in block.replace("\\\n", " ").split())
    named = {name: value.replace(TARGET, str(target)) for name, value in pairs}
    return {**named, "PATH": named["PATH"].replace("$PATH", "/usr/bin:/bin")}


def files(folder: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if not path.is_symlink()
    }


@contextmanager
def serving(target: Path, environment: Mapping[str, str], port: int) -> Iterator[None]:
    """The image's own command, on one port of this machine."""
    command = json.loads(re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[-1])
    assert command.pop() == "--bind=0.0.0.0:8000"
    process = subprocess.Popen(
        [*command, f"--bind=127.0.0.1:{port}"],
        executable=target / ".venv" / "bin" / "python",
        cwd=target,
        env=environment,
    )
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_it_serves(tmp_path: Path) -> None:
    target, data, port = tmp_path / "opt", tmp_path / "data", free_port()
    build(tmp_path / "src", target)
    built = files(target)
    # The service is another user than the one who builds.
    assert not [name for name in built if not Path(name).stat().st_mode & 0o004]
    python = str(target / ".venv" / "bin" / "python")
    try:
        environment = {
            **environment_of_the_image(target),
            "SECRET_KEY": "of-this-test-0123456789-abcdefghijkl",
            "DATABASE_URL": database.embedded_url(data),
            "FACESVC_PACK": "auto",  # what is not in the image is not fetched
            "WEB_WORKERS": "1",
        }

        def run(*words: str) -> str:
            return subprocess.check_output(
                [python, *words], cwd=target, env=environment, text=True, timeout=PATIENCE
            )

        run("manage.py", "migrate", "--noinput")
        assert "nothing had fetched them" in run("manage.py", "models", "list")
        assert run("manage.py", "restore", "--finish") == "0 templates are listed.\n"
        token = run("manage.py", "issue_token", "--service", "test").strip()
        with serving(target, environment, port):
            wait_for_the_probe(target, environment, port)
            web = HTTPConnection("127.0.0.1", port)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/jpeg"}
            web.request("POST", "/api/v1/face-recognition/identify", jpeg(astronaut()), headers)
            answer = web.getresponse()
            assert answer.status == 200
            assert len(json.load(answer)["data"]["faces"]) == 1
            web.close()
    finally:
        database.release(data)
    assert files(target) == built  # it may be read-only


def wait_for_the_probe(target: Path, environment: Mapping[str, str], port: int) -> None:
    """Asks as the HEALTHCHECK of the image does."""
    (words,) = re.findall(r"^HEALTHCHECK [\s\S]*?CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    command = [*json.loads(words), str(port)]
    python = target / ".venv/bin/python"

    def answers() -> bool:
        done = subprocess.run(command, executable=python, cwd=target, env=environment)
        return done.returncode == 0

    wait_until(answers, pause=0.5)


def test_memory_is_handled_as_in_make_run() -> None:
    assert run.MALLOC.items() <= environment_of_the_image(Path("/opt")).items()
