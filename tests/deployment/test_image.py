"""The image without a container engine: the steps of its Dockerfile, in an empty folder."""

import json
import os
import re
import shutil
import stat
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
# The stages by their names; the last one has none.
STAGES = {
    head.partition(" AS ")[2]: body
    for head, body in re.findall(r"^FROM (.*)\n((?:(?!FROM ).*\n)*)", DOCKERFILE, re.MULTILINE)
}
IGNORE = (PROJECT / "docker" / "Dockerfile.dockerignore").read_text()
TARGET = "/opt/facesvc"
# What finds and trusts the package registry, and nothing else of ours.
KEPT = re.compile(r"HOME|PIP_.*|SSL_CERT_.*|(https?|no)_proxy", re.IGNORECASE)


def build(source: Path, target: Path) -> None:
    """What the stages before the image do: each COPY into the folder `source`, each RUN in it."""
    environment = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    environment["PATH"] = f"{sys.base_prefix}/bin:/usr/bin:/bin"
    environment["FACESVC_PACK"] = "dlib"  # no test asks the network for another one
    stages = STAGES["packages"] + STAGES["embedded"] + STAGES["build"]
    for line in re.findall(r"^(?:COPY|RUN) .*$", stages, re.MULTILINE):
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


def environment_of(stage: str, target: Path) -> dict[str, str]:
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", STAGES[stage], re.MULTILINE)
    pairs = (word.split("=", 1) for word in block.replace("\\\n", " ").split())
    return {name: value.replace(TARGET, str(target)) for name, value in pairs}


def environment_of_the_image(target: Path) -> dict[str, str]:
    named = environment_of("service", target)
    return {**named, "PATH": named["PATH"].replace("$PATH", "/usr/bin:/bin")}


def files(folder: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if not path.is_symlink()
    }


@contextmanager
def serving(target: Path, environment: Mapping[str, str], port: int) -> Iterator[None]:
    """The image's own command, on one port of this machine."""
    command = json.loads(re.findall(r"^CMD (.*)$", STAGES["service"], re.MULTILINE)[-1])
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


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is in the image at /opt/facesvc; beside it `embedded`, of the other image."""
    folder = tmp_path_factory.mktemp("image")
    build(folder / "src", folder / "opt")
    (folder / "opt" / "embedded").rename(folder / "embedded")
    return folder / "opt"


def test_the_service_is_what_is_built_by_default() -> None:
    assert DOCKERFILE.endswith("\nFROM service\n")


@pytest.mark.slow
def test_it_serves(image: Path, tmp_path: Path) -> None:
    target, data, port = image, tmp_path / "data", free_port()
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
        run("manage.py", "restore", "--finish")
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


@pytest.mark.slow
def test_one_container_is_enough(image: Path, tmp_path: Path) -> None:
    """The image `alone`: two starts with one volume have the same keys and the same database."""
    target, data, port = tmp_path / "opt", tmp_path / "data", free_port()
    shutil.copytree(image, target, symlinks=True)
    shutil.copytree(image.with_name("embedded"), target / "embedded")
    shutil.copytree(PROJECT / "docker", target / "docker")
    data.mkdir(mode=0o700)
    (target / ".env").symlink_to(data / ".env")  # as the Dockerfile makes it
    assert "ln -s /data/.env .env" in STAGES["alone"]
    own = {**environment_of("alone", target), "FACESVC_DATA": str(data), "FACESVC_PACK": "dlib"}
    environment = {**environment_of_the_image(target), **own, "WEB_WORKERS": "1"}
    environment["PATH"] = f"{image}/.venv/bin:/usr/bin:/bin"
    (command,) = re.findall(r'^CMD \["(.*)"\]$', STAGES["alone"], re.MULTILINE)
    kept = set()
    for _ in range(2):
        words = [str(target / command), "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(words, cwd=target, env=environment)
        try:
            wait_for_the_probe(target, environment, port)
            answers = subprocess.check_output(
                [str(target / ".venv/bin/python"), "-m", "facesvc", "doctor", "--json"],
                cwd=target,
                env=environment,
                text=True,
            )
            assert json.loads(answers)["ok"], answers
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0
        kept.add((data / ".env").read_text())
    assert len(kept) == 1 and stat.S_IMODE((data / ".env").stat().st_mode) == 0o600


def test_a_volume_of_somebody_else_is_refused(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "docker", tmp_path / "docker")
    environment = {"PATH": "/usr/bin:/bin", "FACESVC_DATA": str(tmp_path / "missing")}
    done = subprocess.run(
        [tmp_path / "docker" / "alone.sh"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1 and "cannot be written: it has to belong to user" in done.stderr


def test_a_start_that_was_killed_leaves_no_half_of_a_model(tmp_path: Path) -> None:
    """Half of a file is newer than that of the image, and so `cp -u` would leave it for ever."""
    shutil.copytree(PROJECT / "docker", tmp_path / "docker")
    ours, theirs = tmp_path / "data", tmp_path / "volume"
    for folder in (ours / "models" / "a pack", theirs / "models" / "a pack"):
        folder.mkdir(parents=True)
    (ours / "models" / "a pack" / "weights").write_text("all of it")
    (ours / "models" / "other").write_text("never copied")
    (theirs / "models" / "a pack" / "weights").write_text("all")
    (theirs / ".env").touch()
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "FACESVC_DATA": str(theirs)}
    subprocess.run([tmp_path / "docker" / "alone.sh"], env=environment, check=True)
    assert (theirs / "models" / "a pack" / "weights").read_text() == "all of it"
    assert (theirs / "models" / "other").read_text() == "never copied"


def test_a_start_that_was_killed_leaves_no_half_of_the_keys(tmp_path: Path) -> None:
    """With an empty file of keys no later start would make any."""
    shutil.copytree(PROJECT / "docker", tmp_path / "docker")
    (tmp_path / "data").mkdir()
    (volume := tmp_path / "volume").mkdir()
    (folder := tmp_path / "facesvc").mkdir()
    shutil.copy(PROJECT / "facesvc" / "keys.py", folder)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "FACESVC_DATA": str(volume)}

    def start(keys: str) -> int:
        """`keys` is a line of a shell; the service itself ends at once."""
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\n[ "$1" = -m ] || {keys}\n')
        python.chmod(0o755)
        return subprocess.run([tmp_path / "docker" / "alone.sh"], env=environment).returncode

    assert start('{ : > "$2"; kill -9 $$; }') != 0
    assert not (volume / ".env").exists()
    for _ in range(2):
        assert start(f'exec {sys.executable} "$@"') == 0
    assert (volume / ".env").read_text().count("=") >= 3
    assert [each.name for each in volume.iterdir()] == [".env"]


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
