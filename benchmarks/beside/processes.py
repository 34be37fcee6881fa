"""CPU time of processes, whatever they are called and whoever owns them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_TICKS = os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat behind the name: what children used that have ended.
_CHILDREN = slice(13, 15)
_WHOLE_PROCESS = 2  # CPUCLOCK_SCHED of the kernel: its clock of all threads of a process


def cpu_seconds(roots: Iterable[psutil.Process]) -> float:
    """CPU seconds of the processes and of all below them, those that have ended included.

    Living processes are read from the kernel's own clock of each, in nanoseconds: /proc has
    hundredths of a second, which is too coarse for requests of a few milliseconds.
    """
    total = 0.0
    for process in {each for root in roots for each in [root, *root.children(recursive=True)]}:
        with suppress(OSError, psutil.NoSuchProcess):
            total += time.clock_gettime((~process.pid << 3) | _WHOLE_PROCESS) + _ended(process.pid)
    return total


def _ended(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[_CHILDREN])) / _TICKS
