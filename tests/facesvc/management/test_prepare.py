"""`manage.py prepare`: the pack of a new database, and that an old one keeps its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from pytest_django import Settings

from facesvc.postgres import database
from recognition.models import ActiveModel
from recognition.packs import engine, first_pack
from tests.support.builders import OWNER, make_face, make_user, vector
from tests.support.patience import PATIENCE, wait_until
from tests.support.real_packs import MODELS, needs_models
from tests.support.servers import schemas
from tests.support.servers.file_server import FileServer, running
from tests.support.servers.pulling import PROJECT
from tests.support.small_pack import DATA, KEPT, small_permissive

in_process = pytest.mark.django_db(transaction=True)
COMMANDS = [
    "permissive compares them better, and is free. These commands change to it:",
    "    manage.py models pull permissive",
    "    manage.py models activate permissive",
]


@pytest.fixture(autouse=True)
def real_models() -> Path:
    """As it is before a test changes the settings."""
    return Path(django_settings.MODELS_DIR)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with running(monkeypatch) as server:
        yield server


@pytest.fixture
def new(
    settings: Settings,
    server: FileServer,
    real_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> FileServer:
    """A database in which nothing is chosen, and a server of the file of `permissive`."""
    small_permissive(tmp_path / "packs", server.serve("/it", DATA))
    settings.FACESVC_PACK = "auto"
    settings.PACK_FOLDERS = [tmp_path / "packs", PROJECT / "ml_models"]
    settings.MODELS_DIR = tmp_path / "models"
    settings.MODELS_DIR.mkdir()
    (settings.MODELS_DIR / "dlib").symlink_to(real_models / "dlib")
    monkeypatch.setattr(first_pack, "_failure", "")
    ActiveModel.objects.all().delete()
    return server


def prepare(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What it says in the end."""
    capsys.readouterr()
    call_command("prepare")
    return capsys.readouterr().out.splitlines()


def active() -> str:
    return ActiveModel.objects.get().pack


@in_process
def test_it_works(new: FileServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(capsys) == [
        "The model pack permissive compares the faces. FACESVC_PACK is auto, and the",
        "files of permissive were here when the database was made.",
    ]
    assert active() == "permissive"
    assert new.paths == ["/it"]


@in_process
def test_without_a_network(new: FileServer, capsys: pytest.CaptureFixture[str]) -> None:
    new.files.clear()
    assert prepare(capsys) == [
        "The model pack dlib compares the faces. FACESVC_PACK is auto, and the files of",
        "permissive were not here when the database was made: HTTP 404.",
        *COMMANDS,
    ]
    assert active() == "dlib"
    # Once is enough: a later start does not try again.
    new.requests.clear()
    prepare(capsys)
    assert new.requests == []


@in_process
def test_an_old_database_keeps_its_pack(
    new: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    ActiveModel.objects.create(pack="dlib")
    make_face(make_user(OWNER), vector(1))
    assert prepare(capsys) == [
        "The model pack dlib compares the faces.",
        *COMMANDS[:2],
        "    manage.py reembed --pack permissive",
        COMMANDS[2],
    ]
    assert active() == "dlib"
    assert new.requests == []


@in_process
def test_another_pack_than_that_of_the_database(
    new: FileServer, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    ActiveModel.objects.create(pack="dlib")
    settings.FACESVC_PACK = "permissive"
    said = prepare(capsys)
    assert said[1] == "FACESVC_PACK names permissive for new databases; this one keeps dlib."
    assert said[2:] == COMMANDS
    assert active() == "dlib"


@in_process
def test_a_pack_that_is_named(
    new: FileServer, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.FACESVC_PACK = "dlib"
    expected = "The model pack dlib compares the faces. FACESVC_PACK names it."
    assert prepare(capsys) == [expected]
    assert new.requests == []


@in_process
def test_a_named_pack_that_cannot_be_had(
    new: FileServer, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing takes its place, and nothing is chosen: the next start may name another one."""
    settings.FACESVC_PACK = "permissive"
    new.files.clear()
    with pytest.raises(CommandError, match=r"networks.onnx could not be fetched"):
        prepare(capsys)
    assert not ActiveModel.objects.exists()


@in_process
def test_another_process_has_chosen(
    new: FileServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this one fetched: as a `migrate` on another machine does."""

    def overtaken() -> str:
        ActiveModel.objects.create(pack="permissive")
        return "nobody answered"

    monkeypatch.setattr(first_pack, "fetch", overtaken)
    assert prepare(capsys) == ["The model pack permissive compares the faces."]
    assert engine.pack(active()).name == "permissive"
    assert new.paths == ["/it"]  # its files are here


@in_process
@needs_models
def test_the_real_pack(
    new: FileServer, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a folder, without any network; the optional file is not there."""
    settings.PACK_FOLDERS = [PROJECT / "ml_models"]
    settings.FACESVC_MODEL_SOURCE = str(MODELS / "permissive")
    assert prepare(capsys)[2:] == [
        "For now it estimates no age or gender: age_gender.onnx is not here. This command",
        "fetches it:",
        "    manage.py models pull permissive",
    ]
    assert active() == "permissive"
    assert engine.current().self_test()


# --- Processes ------------------------------------------------------------------------------------


@pytest.fixture
def machine(server: FileServer, real_models: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a machine with a new database, and slow access to the file."""
    small_permissive(tmp_path / "packs", server.serve("/it", DATA, chunk_delay=0.05))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "dlib").symlink_to(real_models / "dlib")
    url = database.embedded_url(tmp_path)
    yield {
        **os.environ,
        "FACESVC_DATA": str(tmp_path),
        "FACESVC_PACK": "auto",
        "FACESVC_PACKS": f"{tmp_path / 'packs'}:{PROJECT / 'ml_models'}",
        "DATABASE_URL": url,
        "LOG_LEVEL": "ERROR",
        "no_proxy": "127.0.0.1",
    }
    database.release(tmp_path)


def start(machine: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "prepare"],
        cwd=PROJECT,
        env=machine,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def chosen(machine: dict[str, str]) -> list[tuple[str]]:
    with schemas.connect(machine["DATABASE_URL"]) as connection:
        return connection.execute("SELECT pack FROM recognition_activemodel").fetchall()


@pytest.mark.slow
def test_a_start_that_is_killed(
    server: FileServer, machine: dict[str, str], tmp_path: Path
) -> None:
    """In the middle of the pull: nothing is chosen, and the next start goes on with the file."""
    part = tmp_path / "models" / "permissive" / f"{KEPT}.part"
    process = start(machine)
    wait_until(lambda: part.exists() and part.stat().st_size > 10_000)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    with pytest.raises(psycopg.errors.UndefinedTable):
        chosen(machine)
    came = part.stat().st_size
    assert came < len(DATA)
    server.serve("/it", DATA)
    output, errors = start(machine).communicate(timeout=PATIENCE)
    assert output.startswith("The model pack permissive compares the faces."), errors
    assert server.ranges == ["", f"bytes={came}-"]
    assert chosen(machine) == [("permissive",)]


@pytest.mark.slow
def test_two_starts_at_once(server: FileServer, machine: dict[str, str]) -> None:
    """The pull is one; both find the one choice. Migrations of two are one after the other."""
    processes = [start(machine) for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE) for process in processes]
    done = [process.returncode for process in processes]
    assert server.requests == [("/it", "")]
    # The loser of a race for the tables ends, as two `migrate` at once do, and starts again.
    assert 0 in done, said
    again = [start(machine).communicate(timeout=PATIENCE)[0] for code in done if code]
    for output in [*(output for output, _ in said if output), *again]:
        assert output.startswith("The model pack permissive compares the faces.")
    assert chosen(machine) == [("permissive",)]


@in_process
def test_a_pack_that_is_gone_says_so_after_the_tables(
    new: FileServer, caplog: pytest.LogCaptureFixture
) -> None:
    """`migrate` itself must not end: it is a part of what puts such an installation right."""
    ActiveModel.objects.create(pack="gone")
    call_command("migrate", verbosity=0)
    assert "the search is not prepared: no pack 'gone'" in caplog.text
    with pytest.raises(CommandError, match="no pack 'gone'"):
        call_command("prepare")
