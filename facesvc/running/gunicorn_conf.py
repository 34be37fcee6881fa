"""gunicorn's settings, everywhere: `make run`, the image, the load test. See docs/deployment.md.

The address comes from the command line: see facesvc/running/run.py.
"""

from tempfile import TemporaryFile
from typing import Any

from facesvc import machine
from facesvc.environment import env
from facesvc.http import unread_body
from facesvc.monitoring import logs, metrics_folder
from recognition.api import user_requests

# What a process takes with the default pack under load, and some room.
WORKER_BYTES = 600 * 1024**2
_MOST_WORKERS = 8

wsgi_app = "facesvc.wsgi"
worker_class = "facesvc.running.web_worker.Worker"
# --- The web server -------------------------------------------------------------------------------
# A process for each core, each with the networks: they compute outside the interpreter lock, but
# reading pictures and answering does not. In a container, as many as fit into its memory.
#: Processes that answer, see docs/deployment.md.
#: Default: as many as cores, at most 8, and no more than fit into the memory at 600 MB each
workers = env.int(
    "WEB_WORKERS",
    max(1, min(machine.cpus(), _MOST_WORKERS, machine.memory() // WORKER_BYTES)),
)
# Far more than compute at once: the others wait for their turn or refuse with 503, which takes no
# time, see recognition.processes.capacity. Connections beyond them wait unseen, so these must be
# enough to refuse what comes.
threads = env.int("WEB_THREADS", 12)
timeout = 60
graceful_timeout = 30
# Longer than a proxy keeps its connections (nginx: 60), or it would send into one that just closes.
keepalive = 75
accesslog = None
errorlog = "-"
logconfig_dict = logs.configuration(
    env.str("LOG_LEVEL", "INFO"), env.str("FACESVC_LOG_FORMAT", "auto")
)
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

    What is missing here does not end the process: /health/ready says what it is. Too little memory
    does: the networks take here the most that they will, and not some day under load.
    """
    from django.conf import settings
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
    from django.conf import settings

    if "wsgi.input" in environ:
        unread_body.drop(environ, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
