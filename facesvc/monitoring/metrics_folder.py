"""Where the processes of one gunicorn count together; only for its configuration.

prometheus_client decides when it is first imported, so the folder is named before any process is
forked. It is a new one at every start: what former processes counted is over.
"""

import os
import shutil
import tempfile
from typing import Any

_NAME = "PROMETHEUS_MULTIPROC_DIR"


def on_starting(server: Any) -> None:
    os.environ[_NAME] = tempfile.mkdtemp(prefix="facesvc-metrics-")


def child_exit(server: Any, worker: Any) -> None:
    """What a process counted stays; what it had at the moment, such as slots taken, does not."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    shutil.rmtree(os.environ[_NAME], ignore_errors=True)
