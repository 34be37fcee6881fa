"""What of the machine this process may use: a container is often given less than there is."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def cpus() -> int:
    """Cores that may compute at once, at least 1: by affinity and by the quotas of cgroups (v2)."""
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    count = len(affinity) or os.cpu_count() or 1
    quotas = [_cores(text) for text in _limits("cpu.max")]
    return max(1, math.ceil(min([count, *quotas])))


def memory() -> int:
    """Bytes: the machine's, or what the cgroups (v2) allow when that is less."""
    total: int = psutil.virtual_memory().total
    return min([total, *(int(text) for text in _limits("memory.max") if text.isdigit())])


def _cores(limit: str) -> float:
    """`max 100000` or `150000 100000`: microseconds of computing in so many microseconds."""
    quota, _, period = limit.partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else math.inf


def _limits(name: str) -> Iterator[str]:
    """The file of this process's cgroup and of all above it, as far as they can be seen.

    In a container its own cgroup is usually the root of what it sees.
    """
    for line in _OWN_CGROUP.read_text().splitlines() if _OWN_CGROUP.exists() else ():
        hierarchy, _, path = line.partition("::")
        if hierarchy == "0":
            folder = _CGROUPS / path.lstrip("/")
            for level in (folder, *folder.parents):
                if level.is_relative_to(_CGROUPS) and (level / name).is_file():
                    yield (level / name).read_text().strip()
