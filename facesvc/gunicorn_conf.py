"""gunicorn's settings. The address comes from the command line: see facesvc/run.py."""

import os
from pathlib import Path

from environs import env

env.read_env(Path(__file__).parents[1] / ".env", recurse=False)

_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

wsgi_app = "facesvc.wsgi"
worker_class = "gthread"
# Each worker loads the networks for itself, so memory is the limit on a big machine, not cores.
workers = env.int("WEB_WORKERS", min(_cpus, 8))
# Most of them only wait: for their turn to compute, see recognition.capacity, for the database.
threads = env.int("WEB_THREADS", 12)
timeout = 60
graceful_timeout = 30
keepalive = 5
accesslog = None
errorlog = "-"
# A server of its own would make a socket in the home folder.
control_socket_disable = True
