"""Which processors are fast at 8-bit integers."""

import platform
from pathlib import Path

import pytest

from recognition.inference import processor


@pytest.fixture(autouse=True)
def on_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def answer(monkeypatch: pytest.MonkeyPatch, path: Path, text: str | None) -> bool:
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(processor, "_FLAGS", path)
    return processor.multiplies_integers.__wrapped__()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\n", True),
        ("flags\t\t: fpu avx2 avx_vnni\n", True),
        ("flags\t\t: fpu amx_int8\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("flags\t\t: fpu avx512_vnni_of_another_name\n", False),
        ("processor\t: 0\n", False),
        (None, False),
    ],
)
def test_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, expected: bool
) -> None:
    assert answer(monkeypatch, tmp_path / "cpuinfo", text) is expected


def test_another_kind_of_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert not answer(monkeypatch, tmp_path / "cpuinfo", "flags : avx512_vnni\n")
