"""docker/start.sh against a docker that only writes down what it was asked."""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

DOCKER = Path(__file__).parents[2] / "docker"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(DOCKER / "start.sh", tmp_path)
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$*"\n')
    program.chmod(0o755)
    return tmp_path


def start(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [folder / "start.sh", *arguments],
        env={"PATH": f"{folder}/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


def settings(folder: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())


def test_it_works(folder: Path) -> None:
    done = start(folder, "faces.example.com")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"compose --file {folder}/docker-compose.yml up --build --detach\n"
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    made = settings(folder)
    assert made["ALLOWED_HOSTS"] == "faces.example.com"
    for name in ("FACESVC_CROP_KEYS", "FACESVC_TEMPLATE_KEYS"):
        Fernet(made[name])
    assert made["FACESVC_CROP_KEYS"] != made["FACESVC_TEMPLATE_KEYS"]
    assert len(made["SECRET_KEY"]) >= 64 and re.fullmatch("[0-9a-f]{48}", made["POSTGRES_PASSWORD"])


def test_all_that_compose_asks_for_is_made(folder: Path) -> None:
    start(folder, "faces.example.com")
    asked = re.findall(r"\$\{(\w+):\?", (DOCKER / "docker-compose.yml").read_text())
    assert set(asked) <= set(settings(folder))


def test_to_try_it_no_proxy_is_needed(folder: Path) -> None:
    start(folder)
    assert settings(folder)["FACESVC_BEHIND_TLS_PROXY"] == "false"


def test_keys_never_change(folder: Path) -> None:
    start(folder, "faces.example.com")
    before = settings(folder)
    assert start(folder, "faces.example.com").returncode == 0
    assert start(folder).returncode == 0
    assert settings(folder) == before


def test_another_host_is_refused(folder: Path) -> None:
    start(folder, "faces.example.com")
    done = start(folder, "other.example.com")
    assert done.returncode == 1 and "ALLOWED_HOSTS=other.example.com" in done.stderr
    assert done.stdout == ""
