"""Other processes on the test database."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from facesvc.postgres import database
from tests.support.patience import PATIENCE

PROJECT = Path(__file__).parents[2]


def environment(**changes: str) -> dict[str, str]:
    """For a process that is to work on the test database, with the packs of the tests."""
    name = str(connection.settings_dict["NAME"])
    theirs = {
        "DATABASE_URL": database.embedded_url(settings.DATA_DIR, name),
        "FACESVC_PACKS": os.pathsep.join(map(str, settings.PACK_FOLDERS)),
        "LOG_LEVEL": "CRITICAL",
    }
    return {**os.environ, **theirs, **changes}


@dataclass(frozen=True)
class Hammering:
    """Requests by several processes at once. `shown` is the person whose face all pictures show."""

    processes: int
    times: int  # each
    token: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    shown: int = 0


@dataclass(frozen=True)
class Answer:
    status: int
    remaining: str | None  # requests in this minute


def hammer(what: Hammering, **changes: str) -> tuple[list[Answer], float]:
    """What all of them were answered, and the seconds from the first to the last.

    Each process is a fork of one that has loaded the service and done nothing: see
    tests.support.hammering. `changes` are settings in the environment.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.hammering"],
        input=json.dumps(asdict(what)),
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=environment(**changes),
        timeout=2 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    return [Answer(*each) for each in result["answers"]], result["seconds"]
