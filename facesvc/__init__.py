"""The Django project: settings, URLs, and how the service is started."""

import os

# The only place where the version stands: pyproject.toml and the settings read it here.
__version__ = "0.2.0"

# Before numpy is loaded. The threads of its OpenBLAS spin while they wait: one small product a face
# cost 30 ms of CPU with them, and they take the cores from the requests beside.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
