"""The data model and the verbs: enrol, verify, identify, compare, detect."""

import os

# Before numpy is loaded. The threads of its OpenBLAS spin while they wait: one small product a face
# cost 30 ms of CPU with them, and they take the cores from the requests beside.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
