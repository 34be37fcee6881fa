"""The folder in which the processes of one gunicorn count together; its configuration uses it.

prometheus_client decides when it is first imported, so the folder is named before any process is
forked. Every start makes a new folder, so the counts of former processes are gone.
"""

import os
import shutil
import tempfile
from typing import Any

_NAME = "PROMETHEUS_MULTIPROC_DIR"


def on_starting(server: Any) -> None:
    os.environ[_NAME] = tempfile.mkdtemp(prefix="facesvc-metrics-")


def child_exit(server: Any, worker: Any) -> None:
    """Keeps the counters of a process that ended, and drops its gauges, such as slots in use."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    shutil.rmtree(os.environ[_NAME], ignore_errors=True)
