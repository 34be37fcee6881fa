"""gunicorn's settings, everywhere: `make run`, the image, the load test. See docs/deployment.md.

The address comes from the command line: see facesvc/running/run.py.
"""

import gc
import os
import shutil
from tempfile import TemporaryFile, mkdtemp
from typing import Any

from django.conf import settings

from facesvc.http import unread_body
from recognition.processes import user_requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
wsgi_app = "facesvc.wsgi"
worker_class = "facesvc.running.web_worker.Worker"
workers = settings.WEB_WORKERS
threads = settings.WEB_THREADS
timeout = 60
graceful_timeout = 30
# Longer than a proxy keeps its connections (nginx: 60), or it would send into one that just closes.
keepalive = 75
accesslog = None
errorlog = "-"
logconfig_dict = settings.LOGGING
# A server of its own would make a socket in the home folder.
control_socket_disable = True
# prometheus_client decides whether processes count together when it is first imported.
_METRICS = "PROMETHEUS_MULTIPROC_DIR"


def on_starting(server: Any) -> None:
    """Makes what the processes count in together, before they are forked.

    Every start has a new folder, so the counts of former processes are gone.
    """
    os.environ[_METRICS] = mkdtemp(prefix="facesvc-metrics-")
    user_requests.in_progress.share(TemporaryFile())  # noqa: SIM115  open to the end


def post_worker_init(worker: Any) -> None:
    """Bound what statements take, and load the networks before the first connection is taken, in
    each process for itself.

    The process goes on if something is missing, and /health/ready says what it is. It ends if there
    is too little memory: the networks take here the most that they will ever take.
    """
    from django.db import Error, connection

    from facesvc.postgres.cluster import DatabaseError
    from recognition.collections.current import DEFAULT, entered
    from recognition.inference.pack.declaration import PackError
    from recognition.packs import engine
    from recognition.processes import connections

    connections.limit(
        statement_seconds=settings.FACESVC_STATEMENT_SECONDS,
        lock_seconds=settings.FACESVC_LOCK_SECONDS,
    )
    try:
        with entered(DEFAULT):
            active = engine.current()
            active.self_test()
        active.warm_up(settings.FACESVC_INFERENCE_AT_ONCE)
    except (PackError, Error, DatabaseError) as error:
        worker.log.warning("The networks are not loaded yet: %s", error)
    finally:
        connection.close()  # this thread answers no request
        # What is loaded stays, so the garbage collector need not look through it again and again.
        gc.collect()
        gc.freeze()


def post_request(worker: Any, request: Any, environ: dict[str, Any], response: Any) -> None:
    """After the answer: a body that was refused unread must not break the connection."""
    if "wsgi.input" in environ:
        unread_body.drop(environ, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def child_exit(server: Any, worker: Any) -> None:
    """Keeps the counters of a process that ended, and drops its gauges, such as slots in use."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    shutil.rmtree(os.environ[_METRICS], ignore_errors=True)
