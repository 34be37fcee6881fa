"""gunicorn's settings, everywhere: `make run`, the image, the load test. See docs/deployment.md.

The address comes from the command line: see facesvc/running/run.py.
"""

import os
from tempfile import TemporaryFile
from typing import Any

from django.conf import settings

from facesvc.http import unread_body
from facesvc.monitoring import metrics_folder
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
child_exit = metrics_folder.child_exit
on_exit = metrics_folder.on_exit


def on_starting(server: Any) -> None:
    """Before the processes are forked, so that they count together."""
    metrics_folder.on_starting(server)
    user_requests.in_progress.share(TemporaryFile())  # noqa: SIM115  open to the end


def post_worker_init(worker: Any) -> None:
    """Bound what statements take, and load the networks before the first connection is taken, in
    each process for itself.

    The process goes on if something is missing, and /health/ready says what it is. It ends if there
    is too little memory: the networks take here the most that they will ever take.
    """
    from django.db import Error, connection

    from facesvc.postgres.cluster import DatabaseError
    from recognition.inference.pack.declaration import PackError
    from recognition.packs import engine
    from recognition.processes import connections

    connections.limit(
        statement_seconds=settings.FACESVC_STATEMENT_SECONDS,
        lock_seconds=settings.FACESVC_LOCK_SECONDS,
    )
    try:
        active = engine.current()
        active.self_test()
        active.warm_up(settings.FACESVC_INFERENCE_AT_ONCE)
    except (PackError, Error, DatabaseError) as error:
        worker.log.warning("The networks are not loaded yet: %s", error)
    finally:
        connection.close()  # this thread answers no request


def post_request(worker: Any, request: Any, environ: dict[str, Any], response: Any) -> None:
    """After the answer: a body that was refused unread must not break the connection."""
    if "wsgi.input" in environ:
        unread_body.drop(environ, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
