"""Fetches the files of a pack into the data folder, from a folder, a mirror or their authors.

Only commands do it: a serving process never downloads. A file gets its name only if it has the
SHA-256 that the pack names; an archive is opened only then, too.
"""

import errno
import shutil
import stat
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from recognition.inference.pack import weights
from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.inference.pack.files import Archive, ConvertedFile, DownloadedFile
from recognition.packs import transfer
from recognition.packs.transfer import Patience, TransferError

WRONG_FILE = "a file is not the one that the pack names"
_ELSEWHERE = (
    "  Without a network, set FACESVC_MODEL_SOURCE to a folder with the files, or to a mirror"
)
_ENCRYPTED = 0x1  # of ZipInfo.flag_bits


class DownloadError(PackError):
    """A file could not be fetched, or its archive is damaged or malicious; the message says how.

    `why` is the reason alone, without any address or folder.
    """

    def __init__(self, message: str, why: str = "") -> None:
        super().__init__(message)
        self.why = why or WRONG_FILE


def pull(
    pack: ModelPack,
    cache: Path,
    source: str = "",
    patience: Patience | None = None,
    *,
    optional: bool = False,
) -> None:
    """Make or fetch the files of the pack that are missing in `cache`, showing progress.

    `source` is tried first: a folder with the files or their archives, or the address of a mirror.
    You can interrupt it and run it again, even in two processes at once. `optional`: the files
    without which the pack serves; each address is tried once. Raises PackError.
    """
    if not weights.missing(pack, cache, optional=optional):
        return
    patience = patience or (Patience(timeout=10, failures=1) if optional else Patience())
    puller = _Puller(cache / pack.name, source.rstrip("/"), patience)
    try:
        # Another process that holds the lock is pulling these files.
        with weights.locked(pack, cache, if_waiting=patience.watch.began.set):
            puller.run(pack, cache, optional)
    except OSError as error:
        # An OSError is about the disk; errors of the network are TransferErrors.
        place = f"{error.filename or puller.folder}: {error.strerror}"
        message = f"the pack {pack.name!r} cannot be prepared: {place}"
        raise DownloadError(message, error.strerror or "") from error


def pull_within(
    seconds: float, pack: ModelPack, cache: Path, source: str = "", *, first_answer: float
) -> None:
    """As `pull`, for so many seconds at most, and for `first_answer` while nobody answers.

    A thread pulls, since name servers, and servers that answer byte by byte, keep it for any time.
    It then ends as soon as it can, or with the process, and a later pull goes on from there.
    Raises PackError.
    """
    began, result = time.monotonic(), Future[None]()
    # A broken route costs two seconds, and the next address is tried in time.
    patience = Patience(timeout=2, failures=3, first_delay=0.2)

    def run() -> None:
        try:
            pull(pack, cache, source, patience)
        except BaseException as error:
            result.set_exception(error)
        else:
            result.set_result(None)
        finally:
            patience.watch.began.set()

    threading.Thread(target=run, daemon=True, name=f"pull_within {pack.name}").start()
    try:
        if not patience.watch.began.wait(min(first_answer, seconds)):
            raise _not_in_time(pack, f"nobody answered within {first_answer:g} seconds")
        result.result(max(0, began + seconds - time.monotonic()))
    except TimeoutError:
        raise _not_in_time(pack, f"it takes longer than {seconds:g} seconds") from None
    finally:
        patience.watch.given_up.set()


def _not_in_time(pack: ModelPack, why: str) -> DownloadError:
    return DownloadError(f"the files of {pack.name} could not be fetched: {why}", why)


@dataclass(frozen=True)
class _Puller:
    folder: Path  # where the files of the pack are kept
    source: str
    patience: Patience

    def run(self, pack: ModelPack, cache: Path, optional: bool) -> None:
        try:
            for wanted in weights.missing(pack, cache, optional=optional):
                target = weights.weight_path(pack, wanted, cache)
                if isinstance(wanted, ConvertedFile):
                    self.patience.watch.began.set()
                    weights.convert(wanted, target)
                else:
                    self.get(wanted, target)
        except Exception:
            self._drop_archives(pack)
            raise
        # After Ctrl-C they stay, and the next pull goes on with them.
        self._drop_archives(pack)

    def get(self, wanted: DownloadedFile, target: Path) -> None:
        """Try every source in turn. Raises DownloadError with the error of each source."""
        problems, why = [], "the pack names no address"
        for attempt in self._attempts(wanted, target):
            try:
                attempt()
            except (TransferError, PackError) as error:
                problems.append(f"  {error}")
                why = getattr(error, "why", WRONG_FILE)
            else:
                self.patience.watch.began.set()
                return
        problems = problems or [f"  {why}"]
        if not self.source:
            problems.append(_ELSEWHERE)
        message = "\n".join([f"{wanted.file} could not be fetched:", *problems])
        raise DownloadError(message, why)

    def _attempts(self, wanted: DownloadedFile, target: Path) -> Iterator[Callable[[], None]]:
        archive = wanted.archive
        if self.source.startswith(("https://", "http://")):
            yield partial(self._download, f"{self.source}/{quote(wanted.file)}", wanted, target)
            if archive:
                url = f"{self.source}/{quote(archive.file)}"
                yield partial(self._download_archive, url, archive, wanted, target)
        elif self.source:
            yield partial(self._take_from_folder, Path(self.source), wanted, target)
        for url in wanted.urls:
            yield partial(self._download, url, wanted, target)
        if archive:
            for url in archive.urls:
                yield partial(self._download_archive, url, archive, wanted, target)

    def _take_from_folder(self, source: Path, wanted: DownloadedFile, target: Path) -> None:
        archive = wanted.archive
        if (source / wanted.file).is_file():
            with (source / wanted.file).open("rb") as data:
                weights.install(wanted, data, target, origin=str(source / wanted.file))
        elif archive and (source / archive.file).is_file():
            _check(source / archive.file, archive)
            extract(source / archive.file, archive.member, wanted, target)
        else:
            names = f"{wanted.file} or {archive.file}" if archive else wanted.file
            raise DownloadError(f"{source} does not hold {names}")

    def _download_archive(
        self, url: str, archive: Archive, wanted: DownloadedFile, target: Path
    ) -> None:
        path = self.folder / archive.file
        # The archive is present if another file of the pack needed it, or a pull was killed.
        if not path.is_file() or not weights.has(path, archive.digest):
            self._download(url, archive, path)
        extract(path, archive.member, wanted, target)

    def _download(self, url: str, wanted: DownloadedFile | Archive, target: Path) -> None:
        part = weights.part_of(target)
        is_resumed = part.exists()
        try:
            self._require_space(wanted.bytes - (part.stat().st_size if is_resumed else 0))
            transfer.download(url, part, wanted.bytes, self.patience)
            if is_resumed and not weights.has(part, wanted.digest):
                # Perhaps only the part from an earlier try is wrong.
                part.unlink()
                transfer.download(url, part, wanted.bytes, self.patience)
            _check(part, wanted, name=url)
        except (OSError, DownloadError):
            part.unlink(missing_ok=True)
            raise
        weights.publish(part, target)

    def _require_space(self, size: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < size:
            missing = f"{size / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
            raise OSError(errno.ENOSPC, f"No space left on device ({missing})", str(self.folder))

    def _drop_archives(self, pack: ModelPack) -> None:
        for part in (part for wanted in pack.weight_files() for part in wanted.parts):
            if part.archive:
                (self.folder / part.archive.file).unlink(missing_ok=True)


def _check(path: Path, wanted: DownloadedFile | Archive, name: str = "") -> None:
    if not weights.has(path, wanted.digest):
        raise DownloadError(f"{name or path} is not the file that the pack names")


# --- Archives -------------------------------------------------------------------------------------
# One declared file is extracted. No name in the archive becomes a path.


def extract(archive: Path, member: str, wanted: DownloadedFile, target: Path) -> None:
    """Write `member` to `target`. Raises DownloadError, or PackError when it is the wrong file."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                _check_name(info.filename, archive)
            info = _member(opened, member, wanted)
            with opened.open(info) as data:
                weights.install(wanted, data, target, origin=f"{member} in {archive}")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DownloadError(f"{archive} is damaged: {error}") from error


def _check_name(name: str, archive: Path) -> None:
    """Refuses an archive with any member that would be written outside of its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise DownloadError(f"{archive} has a member that leaves its folder: {name!r}")


def _member(opened: zipfile.ZipFile, name: str, wanted: DownloadedFile) -> zipfile.ZipInfo:
    try:
        info = opened.getinfo(name)
    except KeyError:
        raise DownloadError(f"{opened.filename} has no member {name}") from None
    if info.flag_bits & _ENCRYPTED:
        raise DownloadError(f"{name} in {opened.filename} is encrypted")
    if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
        raise DownloadError(f"{name} in {opened.filename} is not a file")
    # Checked before a byte is unpacked: a zip bomb does not have the declared size.
    if info.file_size != wanted.bytes:
        sizes = f"{info.file_size} bytes, not {wanted.bytes}"
        raise DownloadError(f"{name} in {opened.filename} has {sizes}")
    return info
