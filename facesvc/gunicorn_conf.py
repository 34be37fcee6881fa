"""gunicorn's settings. The address comes from the command line: see facesvc/run.py."""

import os

from facesvc import logs, metrics_folder
from facesvc.environment import env

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
logconfig_dict = logs.configuration(
    env.str("LOG_LEVEL", "INFO"), env.str("FACESVC_LOG_FORMAT", "json")
)
# A server of its own would make a socket in the home folder.
control_socket_disable = True

# So that the processes count together.
on_starting = metrics_folder.on_starting
child_exit = metrics_folder.child_exit
on_exit = metrics_folder.on_exit
