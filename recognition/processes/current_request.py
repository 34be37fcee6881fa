"""What is known of the request that a thread answers, in one object.

This module imports neither Django nor prometheus_client: gunicorn's own process logs as well.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

NO_ID = "-"  # of a command, or a worker of the queue


@dataclass(frozen=True)
class WaitLimit:
    """How long to wait for a slot, whether that needs a place in the waiting room, and who waits.

    Commands and the workers of jobs have few threads, and wait for as long as it takes.
    """

    seconds: float | None = None
    takes_place: bool = False
    subject: str = ""  # of the token
    is_alone: bool = False  # one request of the subject computes at a time: an end user's


@dataclass
class CurrentRequest:
    """What a request, or a picture of a job, carries from its beginning to its line in the log."""

    id: str = NO_ID
    started: float = field(default_factory=time.perf_counter)
    caller: str = ""  # "service" or "user", when the token has been read
    rate_limit: dict[str, str] = field(default_factory=dict)  # headers of the answer
    status: int = 0  # of the answer
    limit: WaitLimit = WaitLimit()
    model_version: str = ""  # of the pack that computed
    spent: dict[str, float] = field(default_factory=dict)  # milliseconds, such as `detect_ms`
    # Held until the request ends, see recognition.processes.capacity.
    body_bytes: int = 0
    place: int | None = None


# What threads without a request note in the default is read by nobody.
current: ContextVar[CurrentRequest] = ContextVar(
    "current request",
    default=CurrentRequest(),  # noqa: B039
)


@contextmanager
def answering(request: CurrentRequest) -> Iterator[CurrentRequest]:
    """A block in which this thread answers the request."""
    token = current.set(request)
    try:
        yield request
    finally:
        # The next line that this thread logs may belong to no request, or to a broken one.
        current.reset(token)
