"""`manage.py dbshell` leads to the embedded server, whose address no setting has."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from facesvc.postgres import database
from facesvc.postgres.base import DatabaseWrapper


@pytest.mark.parametrize("url", ["", "postgresql://one/facesvc"])
def test_it_works(
    url: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> None:
        commands.append(command)

    def embedded(folder: Path) -> dict[str, str | int]:
        return {"host": str(folder), "port": 5432, "user": "postgres"}

    settings.DATABASE_URL, settings.DATA_DIR = url, tmp_path
    own = {**connection.settings_dict, "NAME": "facesvc", "HOST": "one", "PORT": "", "USER": ""}
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(database, "connect_parameters", embedded)
    DatabaseWrapper(own).client.runshell([])
    server = ["-h", "one"] if url else ["-U", "postgres", "-h", str(tmp_path), "-p", "5432"]
    assert commands == [["psql", *server, "facesvc"]]
