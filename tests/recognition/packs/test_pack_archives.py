"""Weight files out of zip archives, of which some are made to do harm."""

import io
import stat
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from recognition.packs import downloads
from recognition.packs.downloads import DownloadError
from tests.support.servers.file_server import FileServer, running
from tests.support.servers.pulling import (
    DATA,
    HASTY,
    KEPT,
    NAME,
    WRONG,
    in_archive,
    left,
    pack_of,
    pull,
    zipped,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with running(monkeypatch) as server:
        yield server


def test_a_member_is_taken_out(server: FileServer, tmp_path: Path) -> None:
    data = zipped(**{f"folder/{NAME}": DATA, "other": b"1"})
    wanted = in_archive(server.serve("/pack.zip", data), data, name=f"folder/{NAME}")
    assert pull(wanted, tmp_path) == DATA
    assert left(tmp_path) == [KEPT]


def test_an_archive_is_fetched_once_for_all_its_files(server: FileServer, tmp_path: Path) -> None:
    data = zipped(**{NAME: DATA, "w600k_mbf.onnx": WRONG})
    url = server.serve("/pack.zip", data, cuts=[1000])
    detector = in_archive(url, data)
    recogniser = in_archive(url, data, name="w600k_mbf.onnx", wanted=WRONG)
    downloads.pull(pack_of(detector, recogniser), tmp_path, "", HASTY)
    assert [name.partition("-")[0] for name in left(tmp_path)] == ["det_500m", "w600k_mbf"]
    assert server.ranges == ["", "bytes=1000-"]


def test_a_pull_that_was_stopped_goes_on_with_the_archive(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = zipped(**{NAME: DATA})
    wanted = in_archive(server.serve("/pack.zip", data), data)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(downloads, "extract", stopped)
        pull(wanted, tmp_path)
    assert left(tmp_path) == ["pack.zip"]
    assert pull(wanted, tmp_path) == DATA
    assert left(tmp_path) == [KEPT]
    assert server.ranges == [""]


def test_a_wrong_archive_is_not_opened(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "extract", lambda *_: pytest.fail("it was opened"))
    right, wrong = zipped(**{NAME: DATA}), zipped(**{NAME: WRONG})
    assert len(right) == len(wrong)
    wanted = in_archive(server.serve("/pack.zip", wrong), right)
    with pytest.raises(DownloadError, match="is not the file that the pack names"):
        pull(wanted, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("name", [f"../{NAME}", "/etc/evil", "..\\evil", "C:evil", "a/../../b"])
def test_an_archive_that_leaves_its_folder(server: FileServer, tmp_path: Path, name: str) -> None:
    data = zipped(**{NAME: DATA, name: WRONG})
    wanted = in_archive(server.serve("/pack.zip", data), data)
    with pytest.raises(DownloadError, match="leaves its folder"):
        pull(wanted, tmp_path / "cache")
    assert left(tmp_path / "cache") == []
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_the_declared_member_leaves_its_folder(server: FileServer, tmp_path: Path) -> None:
    data = zipped(**{f"../../{NAME}": DATA})
    wanted = in_archive(server.serve("/pack.zip", data), data, name=f"../../{NAME}")
    with pytest.raises(DownloadError, match="leaves its folder"):
        pull(wanted, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("size", [len(DATA) - 1, 50_000_000])
def test_a_member_of_another_size(server: FileServer, tmp_path: Path, size: int) -> None:
    """The larger one is a bomb: 50 MB out of 50 kB."""
    data = zipped(**{NAME: bytes(size)})
    with pytest.raises(DownloadError, match=f"has {size} bytes, not 300000"):
        pull(in_archive(server.serve("/pack.zip", data), data), tmp_path)
    assert left(tmp_path) == []


def test_a_bomb_that_lies_about_its_size(server: FileServer, tmp_path: Path) -> None:
    real, claimed = (size.to_bytes(4, "little") for size in (5_000_000, len(DATA)))
    data = zipped(**{NAME: bytes(5_000_000)}).replace(real, claimed)
    with pytest.raises(DownloadError, match=r"damaged|not the file"):
        pull(in_archive(server.serve("/pack.zip", data), data), tmp_path)
    assert left(tmp_path) == []


def test_a_link_is_refused(server: FileServer, tmp_path: Path) -> None:
    info = ZipInfo(NAME)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    data = file.getvalue()
    with pytest.raises(DownloadError, match="is not a file"):
        pull(in_archive(server.serve("/pack.zip", data), data), tmp_path)
    assert left(tmp_path) == []


def test_an_encrypted_member_is_refused(server: FileServer, tmp_path: Path) -> None:
    data = bytearray(zipped(**{NAME: DATA}))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    with pytest.raises(DownloadError, match="encrypted"):
        pull(in_archive(server.serve("/pack.zip", bytes(data)), bytes(data)), tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "reason"), [(b"no zip", "damaged"), (zipped(other=DATA), "has no member")]
)
def test_an_archive_without_the_member(
    server: FileServer, tmp_path: Path, data: bytes, reason: str
) -> None:
    with pytest.raises(DownloadError, match=reason):
        pull(in_archive(server.serve("/pack.zip", data), data), tmp_path)
    assert left(tmp_path) == []


def test_the_wrong_member_is_refused(server: FileServer, tmp_path: Path) -> None:
    data = zipped(**{NAME: WRONG})
    with pytest.raises(DownloadError, match=f"{NAME} in .*pack.zip is not the file"):
        pull(in_archive(server.serve("/pack.zip", data), data), tmp_path)
    assert left(tmp_path) == []
