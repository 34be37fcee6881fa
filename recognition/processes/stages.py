"""Measures how long the stages of a request take, for its line in the log and the metrics."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from prometheus_client import Histogram

_SECONDS = Histogram(
    "facesvc_stage_seconds",
    "Time that a stage of a request, or of a picture of a batch, took.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_spent: ContextVar[dict[str, float] | None] = ContextVar("seconds of the stages", default=None)

# Set where traces are wanted: what goes around each stage.
around: Callable[[str], AbstractContextManager[object]] = nullcontext


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Counts the time inside as the stage, even if it fails."""
    started = time.perf_counter()
    try:
        with around(name):
            yield
    finally:
        seconds = time.perf_counter() - started
        _SECONDS.labels(name).observe(seconds)
        spent = _spent.get()
        if spent is not None:
            spent[name] = spent.get(name, 0.0) + seconds


@contextmanager
def collected() -> Iterator[Mapping[str, float]]:
    """Yields a dictionary that fills with the total seconds of each stage inside."""
    spent: dict[str, float] = {}
    token = _spent.set(spent)
    try:
        yield spent
    finally:
        _spent.reset(token)


def milliseconds(spent: Mapping[str, float]) -> dict[str, float]:
    """The stages as fields of a line of the log: `detect_ms` and so on."""
    return {f"{name}_ms": round(seconds * 1000, 1) for name, seconds in spent.items()}
