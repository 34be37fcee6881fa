"""Work on many rows in several processes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from typing import Any, TypeVar

from recognition.collections.current import Entered, entered, here
from recognition.processes import orphans

_Result = TypeVar("_Result")
_Work = Callable[[list[int], Any], _Result]


def by_batches(
    work: _Work[_Result],
    keys: Sequence[int],
    how: Any,
    *,
    size: int,
    workers: int,
) -> Iterator[_Result]:
    """Yields `work(batch, how)` for each `size` of the keys, in order, in `workers` processes."""
    batches = [list(keys[at : at + size]) for at in range(0, len(keys), size)]
    if workers == 1:
        yield from (work(batch, how) for batch in batches)
        return
    # Spawned, since onnxruntime's threads and the database connection do not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), orphans.set_up) as pool:
        try:
            yield from pool.map(partial(_in, here(), work), batches, repeat(how))
        finally:
            pool.shutdown(cancel_futures=True)


def _in(collection: Entered, work: _Work[_Result], batch: list[int], how: Any) -> _Result:
    """In a process of its own, which is in no collection."""
    with entered(collection):
        return work(batch, how)
