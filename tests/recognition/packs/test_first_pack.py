"""Which pack a new database begins with, where the network is good, slow, silent or away."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pytest_django import Settings

from recognition.models import ActiveModel
from recognition.packs import engine, first_pack, transfer
from tests.support.patience import PATIENCE, wait_until
from tests.support.servers.file_server import FileServer, running
from tests.support.small_pack import DATA, KEPT, NAME, small_permissive

HERE = "FACESVC_PACK is auto, and the files of permissive were here when the database was made."
Patch = pytest.MonkeyPatch


@pytest.fixture
def server(monkeypatch: Patch) -> Iterator[FileServer]:
    with running(monkeypatch) as server:
        yield server


@pytest.fixture(autouse=True)
def auto(settings: Settings, tmp_path: Path, monkeypatch: Patch) -> None:
    """A new machine with FACESVC_PACK=auto. As in a new process, nothing has failed."""
    settings.FACESVC_PACK = "auto"
    settings.PACK_FOLDERS = [tmp_path / "packs"]
    settings.MODELS_DIR = tmp_path / "models"
    monkeypatch.setattr(first_pack, "_failure", "")


def left(folder: Path) -> list[str]:
    kept = (folder / "models" / "permissive").glob("[!.]*")
    return sorted(path.name for path in kept)


def not_here(why: str) -> first_pack.Choice:
    reason = "the files of permissive were not here when the database was made"
    return first_pack.Choice("dlib", f"FACESVC_PACK is auto, and {reason}: {why}.")


def test_it_works(server: FileServer, tmp_path: Path) -> None:
    small_permissive(tmp_path / "packs", server.serve("/it", DATA))
    assert first_pack.fetch() == ""
    assert first_pack.choose() == first_pack.Choice("permissive", HERE)
    assert left(tmp_path) == [KEPT]


def test_files_that_are_here_need_no_network(server: FileServer, tmp_path: Path) -> None:
    small_permissive(tmp_path / "packs", server.serve("/it", DATA))
    first_pack.fetch()
    server.requests.clear()
    assert first_pack.fetch() == ""
    assert server.requests == []


def test_a_folder_with_the_files_needs_no_network(
    server: FileServer, settings: Settings, tmp_path: Path
) -> None:
    small_permissive(tmp_path / "packs", server.serve("/it", DATA))
    (tmp_path / NAME).write_bytes(DATA)
    settings.FACESVC_MODEL_SOURCE = str(tmp_path)
    assert first_pack.fetch() == ""
    assert first_pack.choose().pack == "permissive"
    assert server.requests == []


def test_the_choice_asks_nobody(server: FileServer, tmp_path: Path) -> None:
    """It may be made in a request."""
    small_permissive(tmp_path / "packs", server.serve("/it", DATA))
    assert first_pack.choose() == not_here("nothing had fetched them")
    assert server.requests == []


def test_a_pack_that_is_named(settings: Settings) -> None:
    settings.FACESVC_PACK = "opencv"
    assert first_pack.choose() == first_pack.Choice("opencv", "FACESVC_PACK names it.")


# --- No network -----------------------------------------------------------------------------------


def test_nobody_listens(monkeypatch: Patch, tmp_path: Path) -> None:
    with running(monkeypatch) as server:
        url = server.serve("/it", DATA)
    small_permissive(tmp_path / "packs", url)
    assert f"  {url}: Connection refused" in first_pack.fetch().splitlines()
    assert first_pack.choose() == not_here("Connection refused")


def test_a_name_that_nobody_knows(monkeypatch: Patch, tmp_path: Path) -> None:
    def unknown(*_: Any, **__: Any) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    small_permissive(tmp_path / "packs", "https://weights.invalid/it")
    first_pack.fetch()
    why = "the address cannot be looked up (Name or service not known)"
    assert first_pack.choose() == not_here(why)


def test_a_name_server_that_is_silent(monkeypatch: Patch, tmp_path: Path) -> None:
    """No time limit of a socket holds for it."""
    end = threading.Event()

    def silent(*_: Any, **__: Any) -> NoReturn:
        end.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr(first_pack, "FIRST_ANSWER", 0.3)
    small_permissive(tmp_path / "packs", "https://weights.invalid/it")
    try:
        assert "nobody answered within 0.3 seconds" in first_pack.fetch()
        assert not end.is_set()
    finally:
        end.set()
    assert first_pack.choose() == not_here("nobody answered within 0.3 seconds")


@pytest.fixture
def mute() -> Iterator[Callable[[bytes], str]]:
    """A server that takes connections, and says what it is given at each, again and again."""
    listener, ended = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve(drop: bytes) -> None:
        while not ended.is_set():
            client, _ = listener.accept()
            threading.Thread(target=drip, args=(client, drop), daemon=True).start()

    def drip(client: socket.socket, drop: bytes) -> None:
        with client:
            while not ended.wait(0.05):
                try:
                    client.sendall(drop)
                except OSError:
                    return

    def start(drop: bytes) -> str:
        threading.Thread(target=serve, args=(drop,), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/it"

    yield start
    ended.set()
    listener.close()


@pytest.mark.parametrize("drop", [b"", b"x"], ids=["says nothing", "never ends its first line"])
def test_a_server_that_does_not_answer(
    mute: Callable[[bytes], str], monkeypatch: Patch, tmp_path: Path, drop: bytes
) -> None:
    monkeypatch.setattr(first_pack, "FIRST_ANSWER", 0.3)
    small_permissive(tmp_path / "packs", mute(drop))
    assert "nobody answered within 0.3 seconds" in first_pack.fetch()
    assert first_pack.choose().pack == "dlib"


# --- A slow or a wrong one ------------------------------------------------------------------------


def test_a_server_that_trickles(server: FileServer, monkeypatch: Patch, tmp_path: Path) -> None:
    """What has come is kept and not used, and the next pull goes on from there."""
    monkeypatch.setattr(first_pack, "SECONDS", 0.5)
    small_permissive(tmp_path / "packs", server.serve("/it", DATA, chunk_delay=0.1))
    assert "it takes longer than 0.5 seconds" in first_pack.fetch()
    assert first_pack.choose() == not_here("it takes longer than 0.5 seconds")
    wait_until(lambda: not pulling())  # it ends by itself
    assert left(tmp_path) == [f"{KEPT}.part"]
    came = (tmp_path / "models" / "permissive" / f"{KEPT}.part").stat().st_size
    monkeypatch.setattr(first_pack, "SECONDS", PATIENCE)
    server.serve("/it", DATA)
    assert first_pack.fetch() == ""
    assert server.ranges == ["", f"bytes={came}-"]
    assert left(tmp_path) == [KEPT]


def pulling() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if "pull_within" in each.name]


def test_the_wrong_file(server: FileServer, tmp_path: Path) -> None:
    small_permissive(tmp_path / "packs", server.serve("/it", DATA[::-1]))
    first_pack.fetch()
    assert first_pack.choose() == not_here("a file is not the one that the pack names")
    assert left(tmp_path) == []


def test_a_file_that_is_gone(server: FileServer, tmp_path: Path) -> None:
    small_permissive(tmp_path / "packs", f"{server.url}/gone")
    first_pack.fetch()
    assert first_pack.choose() == not_here("HTTP 404")


def test_a_folder_that_cannot_be_written(
    server: FileServer, settings: Settings, tmp_path: Path
) -> None:
    """As in a container. The reason names no folder, since many may read it."""
    settings.MODELS_DIR = tmp_path / "file"
    settings.MODELS_DIR.write_text("")
    small_permissive(tmp_path / "packs", server.serve("/it", DATA))
    assert str(tmp_path) in first_pack.fetch()
    assert first_pack.choose() == not_here("Not a directory")
    assert server.requests == []


# --- What is never taken unasked ------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"terms": "Accept me."}, {"calibration": None}])
def test_a_pack_with_terms_or_without_a_calibration(
    server: FileServer, tmp_path: Path, changes: dict[str, Any]
) -> None:
    small_permissive(tmp_path / "packs", server.serve("/it", DATA), **changes)
    assert "has terms to accept, or no calibration" in first_pack.fetch()
    assert first_pack.choose().pack == "dlib"
    assert server.requests == []


def test_packs_without_a_permissive_one(tmp_path: Path) -> None:
    assert "no pack 'permissive'" in first_pack.fetch()
    reason = "FACESVC_PACK is auto, and there is no pack permissive that is free and calibrated."
    assert first_pack.choose() == first_pack.Choice("dlib", reason)


def test_no_test_asks_the_network(tmp_path: Path) -> None:
    patience = transfer.Patience()
    with pytest.raises(pytest.fail.Exception, match=r"asks the network for https://weights\."):
        transfer.download("https://weights.example/it", tmp_path / "part", 1, patience)


# --- The row --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_row_keeps_the_choice(server: FileServer, settings: Settings, tmp_path: Path) -> None:
    ActiveModel.objects.all().delete()
    small_permissive(tmp_path / "packs", server.serve("/it", DATA))
    first_pack.fetch()
    row = engine.active_model()
    assert (row.pack, row.reason) == ("permissive", HERE)
    settings.FACESVC_PACK = "opencv"
    assert engine.active_model().pack == "permissive"
