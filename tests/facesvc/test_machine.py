"""What a container is given, by files as the kernel writes them."""

from pathlib import Path

import psutil
import pytest

from facesvc import machine

ALL_CPUS = 16


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 16 cores, and this process in the cgroup /pod/container."""
    folder = tmp_path / "cgroup"
    (folder / "pod" / "container").mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("1:cpu:/elsewhere\n0::/pod/container\n")
    monkeypatch.setattr(machine, "_CGROUPS", folder)
    monkeypatch.setattr(machine, "_OWN_CGROUP", own)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(ALL_CPUS)))
    return folder


@pytest.mark.parametrize(
    ("limits", "cpus"),
    [
        ({}, ALL_CPUS),
        ({"pod/container": "max 100000"}, ALL_CPUS),
        ({"pod/container": "200000 100000"}, 2),
        ({"pod/container": "150000 100000"}, 2),  # what is paid for is used
        ({"pod/container": "10000 100000"}, 1),
        ({"pod/container": "max 100000", "pod": "400000 100000"}, 4),
        ({"pod/container": "800000 100000", "pod": "400000 100000"}, 4),
        ({".": "300000 100000"}, 3),  # as seen from inside a container
        ({"pod/container": "9900000 100000"}, ALL_CPUS),
    ],
)
def test_cores(cgroups: Path, limits: dict[str, str], cpus: int) -> None:
    for folder, text in limits.items():
        (cgroups / folder / "cpu.max").write_text(f"{text}\n")
    assert machine.cpus() == cpus


def test_memory(cgroups: Path) -> None:
    total = psutil.virtual_memory().total
    assert machine.memory() == total
    (cgroups / "pod" / "memory.max").write_text("max\n")
    assert machine.memory() == total
    (cgroups / "pod" / "container" / "memory.max").write_text("1073741824\n")
    assert machine.memory() == 1024**3
