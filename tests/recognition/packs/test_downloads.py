"""Downloading a pack's files, from a server that cuts, lies and gives the wrong bytes."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest

from recognition.inference.pack.declaration import PackError, load_pack
from recognition.inference.pack.files import DownloadedFile
from recognition.packs.downloads import DownloadError
from recognition.packs.transfer import Patience, TransferError, _SafeRedirects
from tests.support.patience import PATIENCE, wait_until
from tests.support.servers.file_server import FileServer, running
from tests.support.servers.pulling import (
    DATA,
    KEPT,
    NAME,
    PROJECT,
    WRONG,
    declared,
    in_archive,
    left,
    pull,
    zipped,
)

CUT = len(DATA) * 30 // 100


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with running(monkeypatch) as server:
        yield server


# --- One address ----------------------------------------------------------------------------------


def test_it_works(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(server.serve("/it", DATA))
    assert pull(wanted, tmp_path) == DATA
    assert left(tmp_path) == [KEPT]
    assert server.requests == [("/it", "")]


def test_afterwards_nothing_is_asked_for(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(server.serve("/it", DATA))
    pull(wanted, tmp_path)
    server.requests.clear()
    assert pull(wanted, tmp_path) == DATA
    assert server.requests == []


def test_a_cut_connection_is_resumed(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(server.serve("/it", DATA, cuts=[CUT]))
    assert pull(wanted, tmp_path) == DATA
    assert server.ranges == ["", f"bytes={CUT}-"]


def test_a_later_pull_resumes(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(server.serve("/it", DATA, cuts=[CUT, CUT, CUT]))
    with pytest.raises(DownloadError, match=f"ended after {CUT} of 300000 bytes"):
        pull(wanted, tmp_path)
    assert left(tmp_path) == [f"{KEPT}.part"]
    server.requests.clear()
    assert pull(wanted, tmp_path) == DATA
    assert server.ranges == [f"bytes={CUT}-"]


def test_a_server_that_cannot_resume(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(server.serve("/it", DATA, cuts=[CUT], resumes=False))
    assert pull(wanted, tmp_path) == DATA
    assert server.ranges == ["", f"bytes={CUT}-"]


def test_a_server_that_resumes_at_the_wrong_place(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/it", DATA, cuts=[CUT], content_range="bytes 7-299999/300000")
    assert pull(declared(url), tmp_path) == DATA
    assert server.ranges == ["", f"bytes={CUT}-", ""]


def test_a_server_that_refuses_to_resume(server: FileServer, tmp_path: Path) -> None:
    part_with(tmp_path, DATA[:CUT])
    assert pull(declared(server.serve("/it", DATA, statuses=[416])), tmp_path) == DATA
    assert server.ranges == [f"bytes={CUT}-", ""]


def test_a_part_of_another_file_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    part_with(tmp_path, WRONG[:CUT])
    assert pull(declared(server.serve("/it", DATA)), tmp_path) == DATA
    assert server.ranges == [f"bytes={CUT}-", ""]


def test_a_part_that_is_too_long_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    part_with(tmp_path, DATA + b"more")
    assert pull(declared(server.serve("/it", DATA)), tmp_path) == DATA
    assert server.ranges == [""]


def part_with(cache: Path, data: bytes) -> None:
    (cache / "buffalo_sc").mkdir()
    (cache / "buffalo_sc" / f"{KEPT}.part").write_bytes(data)


@pytest.mark.parametrize("claims", [len(DATA) // 2, len(DATA) * 2])
def test_a_wrong_length_does_no_harm(server: FileServer, tmp_path: Path, claims: int) -> None:
    wanted = declared(server.serve("/it", DATA, claims=claims))
    assert pull(wanted, tmp_path) == DATA


def test_no_more_is_read_than_declared(server: FileServer, tmp_path: Path) -> None:
    endless = declared(server.serve("/it", WRONG * 100))
    with pytest.raises(DownloadError, match="is not the file that the pack names"):
        pull(endless, tmp_path)
    assert left(tmp_path) == []


def test_a_file_that_is_too_short(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="ended after 1000 of 300000 bytes"):
        pull(declared(server.serve("/it", DATA[:1000])), tmp_path)
    assert NAME not in left(tmp_path)


def test_wrong_bytes_are_refused(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/it", WRONG)
    with pytest.raises(DownloadError, match=f"{url} is not the file that the pack names"):
        pull(declared(url), tmp_path)
    assert left(tmp_path) == []


def test_a_slow_server_is_given_up(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(server.serve("/it", DATA, delay=PATIENCE))
    with pytest.raises(DownloadError, match="timed out"):
        pull(wanted, tmp_path, patience=Patience(timeout=0.5, failures=2, first_delay=0.01))
    assert len(server.requests) == 2


def test_a_busy_server_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(server.serve("/it", DATA, statuses=[503, 429]))
    assert pull(wanted, tmp_path) == DATA
    assert len(server.requests) == 3


def test_after_a_404_the_next_address(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(f"{server.url}/gone", server.serve("/it", DATA))
    assert pull(wanted, tmp_path) == DATA
    assert server.paths == ["/gone", "/it"]


def test_every_failure_is_told(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(f"{server.url}/gone", server.serve("/it", WRONG), "ftp://127.0.0.1/it")
    with pytest.raises(DownloadError) as refusal:
        pull(wanted, tmp_path, source=str(tmp_path / "folder"))
    assert str(refusal.value).splitlines() == [
        "det_500m.onnx could not be fetched:",
        f"  {tmp_path}/folder does not hold det_500m.onnx",
        f"  {server.url}/gone: HTTP 404",
        f"  {server.url}/it is not the file that the pack names",
        "  ftp://127.0.0.1/it: neither http nor https",
    ]


def test_without_a_source_a_failure_names_the_setting(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as refusal:
        pull(declared(f"{server.url}/gone"), tmp_path)
    assert str(refusal.value).splitlines() == [
        "det_500m.onnx could not be fetched:",
        f"  {server.url}/gone: HTTP 404",
        "  Without a network, set FACESVC_MODEL_SOURCE to a folder with the files, or to a mirror",
    ]


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(monkeypatch) as server:
        url = server.serve("/it", DATA)
    with pytest.raises(DownloadError, match="Connection refused"):
        pull(declared(url), tmp_path)


# --- Redirects ------------------------------------------------------------------------------------


def test_a_redirect_is_followed(server: FileServer, tmp_path: Path) -> None:
    there = server.serve("/there", DATA, cuts=[CUT])
    assert pull(declared(server.serve("/it", location=there)), tmp_path) == DATA
    assert server.requests[-1] == ("/there", f"bytes={CUT}-")


def test_a_redirect_in_circles(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="HTTP 302"):
        pull(declared(server.serve("/it", location=f"{server.url}/it")), tmp_path)


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/it", "file:///etc/passwd"])
def test_a_redirect_to_another_protocol(server: FileServer, tmp_path: Path, location: str) -> None:
    with pytest.raises(DownloadError, match=r"redirects to|HTTP 302"):
        pull(declared(server.serve("/it", location=location)), tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("https://a.example/it", False), ("http://a.example/it", True)],
)
def test_https_never_leads_to_http(origin: str, allowed: bool) -> None:
    def follow(location: str) -> Any:
        return _SafeRedirects().redirect_request(Request(origin), None, 302, "", {}, location)

    assert follow("https://b.example/it").full_url == "https://b.example/it"
    if allowed:
        assert follow("http://b.example/it").full_url == "http://b.example/it"
    else:
        with pytest.raises(TransferError, match="not https"):
            follow("http://b.example/it")


# --- FACESVC_MODEL_SOURCE -------------------------------------------------------------------------


def test_a_folder_comes_first(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / NAME).write_bytes(DATA)
    wanted = declared(server.serve("/it", DATA))
    assert pull(wanted, tmp_path / "cache", source=f"{tmp_path}/source") == DATA
    assert server.requests == []
    assert (tmp_path / "source" / NAME).exists()


def test_a_folder_with_the_archive(tmp_path: Path) -> None:
    data = zipped(**{NAME: DATA})
    (tmp_path / "pack.zip").write_bytes(data)
    wanted = in_archive("https://example.invalid/pack.zip", data)
    assert pull(wanted, tmp_path / "cache", source=str(tmp_path)) == DATA
    assert (tmp_path / "pack.zip").exists()


def test_a_folder_with_a_wrong_file(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(WRONG)
    with pytest.raises(DownloadError, match=f"{tmp_path}/{NAME} is not the file"):
        pull(declared(), tmp_path / "cache", source=str(tmp_path))
    assert left(tmp_path / "cache") == []
    wanted = declared(server.serve("/it", DATA))
    assert pull(wanted, tmp_path / "cache", source=str(tmp_path)) == DATA


def test_a_mirror_comes_first(server: FileServer, tmp_path: Path) -> None:
    server.serve(f"/mirror/{NAME}", DATA)
    wanted = declared(server.serve("/it", DATA))
    assert pull(wanted, tmp_path, source=f"{server.url}/mirror/") == DATA
    assert server.paths == [f"/mirror/{NAME}"]


def test_a_mirror_with_the_archive(server: FileServer, tmp_path: Path) -> None:
    data = zipped(**{NAME: DATA})
    server.serve("/mirror/pack.zip", data)
    wanted = in_archive("https://example.invalid/pack.zip", data)
    assert pull(wanted, tmp_path, source=f"{server.url}/mirror") == DATA
    assert server.paths == [f"/mirror/{NAME}", "/mirror/pack.zip"]


def test_a_mirror_that_lacks_the_file(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(server.serve("/it", DATA))
    assert pull(wanted, tmp_path, source=f"{server.url}/mirror") == DATA
    assert server.paths == [f"/mirror/{NAME}", "/it"]


# --- The disk -------------------------------------------------------------------------------------


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 100 kB: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.usefixtures("small_files")
def test_a_file_that_does_not_fit(server: FileServer, tmp_path: Path) -> None:
    wanted = declared(server.serve("/it", DATA), server.serve("/that", DATA))
    with pytest.raises(DownloadError, match=r"cannot be prepared: .*buffalo_sc: File too large"):
        pull(wanted, tmp_path)
    assert left(tmp_path) == []
    assert server.paths == ["/it"]  # another address would not help


@pytest.mark.usefixtures("small_files")
def test_a_member_that_does_not_fit(server: FileServer, tmp_path: Path) -> None:
    bulky = bytes(300_000)
    data = zipped(**{NAME: bulky})
    wanted = in_archive(server.serve("/pack.zip", data), data, wanted=bulky)
    with pytest.raises(DownloadError, match=r"cannot be prepared: .*buffalo_sc: File too large"):
        pull(wanted, tmp_path)
    assert left(tmp_path) == []


def test_a_full_disk_is_noticed_before(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(DownloadError, match=os.strerror(errno.ENOSPC)):
        pull(declared(server.serve("/it", DATA)), tmp_path)
    assert server.requests == []


# --- Other processes ------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from recognition.packs import downloads
from tests.support.servers.pulling import HASTY, declared, pack_of
downloads.pull(pack_of(declared(sys.argv[1])), Path(sys.argv[2]), "", HASTY)
"""


def another_process(url: str, cache: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SCRIPT, url, str(cache)]
    return subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE)


def test_a_killed_pull_is_resumed(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/it", DATA, chunk_delay=0.05)
    process = another_process(url, tmp_path)
    part = tmp_path / "buffalo_sc" / f"{KEPT}.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 10_000, pause=0.02)
    assert process.poll() is None
    process.kill()
    process.communicate()
    assert left(tmp_path) == [f"{KEPT}.part"]
    done = part.stat().st_size
    server.serve("/it", DATA)
    assert pull(declared(url), tmp_path) == DATA
    assert server.ranges == ["", f"bytes={done}-"]


def test_two_pulls_at_once(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/it", DATA, chunk_delay=0.002)
    processes = [another_process(url, tmp_path) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors.decode()
    assert left(tmp_path) == [KEPT]
    assert pull(declared(url), tmp_path) == DATA
    assert server.requests == [("/it", "")]


# --- What pack.yaml may say -----------------------------------------------------------------------


def test_every_pack_loads_and_pins_what_it_downloads() -> None:
    for folder in (PROJECT / "ml_models").iterdir():
        pack = load_pack(folder)
        files = [w for w in pack.weight_files() if isinstance(w, DownloadedFile)]
        assert all(file.urls or file.archive for file in files), pack.name
        addresses = [url for file in files for url in file.urls]
        addresses += [url for file in files if file.archive for url in file.archive.urls]
        assert all(url.startswith("https://") for url in addresses)
        free = "non-commercial" not in pack.licence
        assert free != bool(pack.terms)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("file: det_500m.onnx", "file: ../det_500m.onnx"),
        ("file: det_500m.onnx", "file: .lock"),
        ("sha256: 5e44", "sha256: XX44"),
        ("sha256: 57d3", "sha256: ''\n      #"),
        ("v0.7/buffalo_sc.zip", "v0.7/.."),
    ],
)
def test_what_could_harm_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = (PROJECT / "ml_models" / "buffalo_sc" / "pack.yaml").read_text()
    assert old in text
    (tmp_path / "buffalo_sc").mkdir()
    (tmp_path / "buffalo_sc" / "pack.yaml").write_text(text.replace(old, new))
    with pytest.raises(PackError):
        load_pack(tmp_path / "buffalo_sc")
