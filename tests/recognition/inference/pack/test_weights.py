"""Bringing a pack's files into the cache folder."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from recognition.inference.pack import conversion
from recognition.inference.pack.declaration import ModelPack, PackError, load_pack
from recognition.inference.pack.files import ConvertedFile, DownloadedFile, PackageSource
from recognition.inference.pack.weights import is_prepared, weight_path
from recognition.packs.downloads import DownloadError, pull
from tests.support.patience import PATIENCE

PROJECT = Path(__file__).parents[4]
# Copies slowly instead of converting, so that there is time to kill it or to do it twice.
PREPARE = """
import sys, time
from pathlib import Path
from recognition.packs import downloads
from recognition.inference.pack import conversion
from recognition.inference.pack.declaration import load_pack

def slowly(weights, parts, file, *, name):
    data = conversion.package_data(weights.source)
    file.write(data[:1000])
    file.flush()
    time.sleep(0.2)
    file.write(data[1000:])

conversion.convert = slowly
print("ready", flush=True)
sys.stdin.readline()
downloads.pull(load_pack(Path("ml_models/dlib")), Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def pack() -> ModelPack:
    return load_pack(PROJECT / "ml_models" / "dlib")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies instead of converting, which is another test's concern."""

    def copy(weights: ConvertedFile, parts: object, file: IO[bytes], *, name: str) -> None:
        assert isinstance(weights.source, PackageSource)
        file.write(conversion.package_data(weights.source))

    monkeypatch.setattr(conversion, "convert", copy)


def with_source(pack: ModelPack, **changes: str | int) -> ModelPack:
    """The pack with another source of its detector."""
    file = pack.detector.weights
    file = replace(file, source=replace(file.source, **changes))
    return replace(pack, detector=replace(pack.detector, weights=file))


def files(folder: Path) -> list[str]:
    """But for the lock, which is hidden."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path.name for path in paths if not path.name.startswith("."))


def test_it_works(pack: ModelPack, tmp_path: Path, quick: None) -> None:
    assert not is_prepared(pack, tmp_path)
    pull(pack, tmp_path)
    assert is_prepared(pack, tmp_path)
    assert files(tmp_path) == sorted(
        weight_path(pack, file, tmp_path).name for file in pack.weight_files()
    )


def test_another_hash_is_another_file(pack: ModelPack, tmp_path: Path) -> None:
    """A pack.yaml with a new hash is not served with what was pulled before."""
    old = DownloadedFile("net.onnx", "MIT", sha256="a" * 64, bytes=1)
    new = replace(old, sha256="b" * 64)
    assert weight_path(pack, old, tmp_path) != weight_path(pack, new, tmp_path)


def test_the_second_time_nothing_is_made(pack: ModelPack, tmp_path: Path, quick: None) -> None:
    pull(pack, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.onnx")}
    pull(pack, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.onnx")} == before


def test_only_what_is_missing_is_made(pack: ModelPack, tmp_path: Path, quick: None) -> None:
    pull(pack, tmp_path)
    missing = weight_path(pack, pack.recogniser.weights, tmp_path)
    missing.unlink()
    assert not is_prepared(pack, tmp_path)
    pull(pack, tmp_path)
    assert missing.is_file()


def test_another_source_is_another_file(pack: ModelPack, tmp_path: Path) -> None:
    other = with_source(pack, sha256="0" * 64)
    assert weight_path(pack, pack.detector.weights, tmp_path) != weight_path(
        other, other.detector.weights, tmp_path
    )


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"bytes": 7}])
def test_a_file_that_is_not_the_one_named(
    pack: ModelPack, tmp_path: Path, quick: None, change: dict[str, str | int]
) -> None:
    with pytest.raises(PackError, match="is not the file that the pack names"):
        pull(with_source(pack, **change), tmp_path)
    assert files(tmp_path) == []


def test_a_package_that_is_not_installed(pack: ModelPack, tmp_path: Path) -> None:
    with pytest.raises(PackError, match="not_there is not installed"):
        pull(with_source(pack, package="not_there"), tmp_path)
    assert files(tmp_path) == []


def test_a_file_that_the_package_lacks(pack: ModelPack, tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"models/none\.dat"):
        pull(with_source(pack, path="models/none.dat"), tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [(OSError("disk full"), DownloadError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_an_interrupted_write_leaves_nothing(
    pack: ModelPack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    told: type[BaseException],
) -> None:
    def write_half(weights: object, parts: object, file: IO[bytes], *, name: str) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setattr(conversion, "convert", write_half)
    with pytest.raises(told):
        pull(pack, tmp_path)
    assert files(tmp_path) == []
    assert not is_prepared(pack, tmp_path)


def start(cache: Path) -> subprocess.Popen[str]:
    """A process that prepares the pack once it is told."""
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(cache)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def test_a_killed_process_leaves_no_finished_file(
    pack: ModelPack, tmp_path: Path, quick: None
) -> None:
    process = start(tmp_path)
    tell(process)
    while not files(tmp_path):
        assert process.poll() is None
    process.kill()
    process.communicate()
    finished = {weight_path(pack, file, tmp_path).name for file in pack.weight_files()}
    assert finished.isdisjoint(files(tmp_path))
    pull(pack, tmp_path)
    assert set(files(tmp_path)) == finished


def test_two_processes_at_once(pack: ModelPack, tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(2)]
    for process in processes:
        tell(process)
    for process in processes:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    paths = [weight_path(pack, file, tmp_path) for file in pack.weight_files()]
    assert files(tmp_path) == sorted(path.name for path in paths)
    for path, file in zip(paths, pack.weight_files(), strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.source.sha256
