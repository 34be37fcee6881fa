"""Extracts one declared file from a zip archive. No name in the archive becomes a path."""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from recognition.inference.pack import weights
from recognition.inference.pack.files import DownloadedFile

_ENCRYPTED = 0x1  # of ZipInfo.flag_bits


class ArchiveError(Exception):
    """The archive is damaged or malicious; the message says how."""


def extract(archive: Path, member: str, wanted: DownloadedFile, target: Path) -> None:
    """Write `member` to `target`. Raises ArchiveError, or PackError when it is the wrong file."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                _check_name(info.filename, archive)
            info = _member(opened, member, wanted)
            with opened.open(info) as data:
                weights.install(wanted, data, target, origin=f"{member} in {archive}")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ArchiveError(f"{archive} is damaged: {error}") from error


def _check_name(name: str, archive: Path) -> None:
    """Refuses an archive with any member that would be written outside of its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise ArchiveError(f"{archive} has a member that leaves its folder: {name!r}")


def _member(opened: zipfile.ZipFile, name: str, wanted: DownloadedFile) -> zipfile.ZipInfo:
    try:
        info = opened.getinfo(name)
    except KeyError:
        raise ArchiveError(f"{opened.filename} has no member {name}") from None
    if info.flag_bits & _ENCRYPTED:
        raise ArchiveError(f"{name} in {opened.filename} is encrypted")
    if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
        raise ArchiveError(f"{name} in {opened.filename} is not a file")
    # Checked before a byte is unpacked: a zip bomb does not have the declared size.
    if info.file_size != wanted.bytes:
        sizes = f"{info.file_size} bytes, not {wanted.bytes}"
        raise ArchiveError(f"{name} in {opened.filename} has {sizes}")
    return info
