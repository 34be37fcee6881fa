"""What the supervisor and the keeper of the database share about child processes."""

import os
from collections.abc import Callable
from functools import partial

from recognition.processes import orphans

# For glibc, as in the image: see docs/deployment.md.
MALLOC = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "262144"}


def die_with_parent(signum: int) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `signum` to the child when its parent is gone (Linux)."""
    return partial(orphans.signal_at_end_of, os.getpid(), signum)
