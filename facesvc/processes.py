"""What the supervisor and the keeper of the database share about child processes."""

import os
from collections.abc import Callable
from functools import partial

from recognition import orphans


def die_with_parent(signum: int) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `signum` to the child when its parent is gone (Linux)."""
    return partial(orphans.signal_at_end_of, os.getpid(), signum)
