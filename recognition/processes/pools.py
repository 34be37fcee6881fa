"""Work on many rows in several processes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from typing import Any, TypeVar

from recognition.processes import orphans

_Result = TypeVar("_Result")


def by_batches(
    work: Callable[[list[int], Any], _Result],
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
            yield from pool.map(work, batches, repeat(how))
        finally:
            pool.shutdown(cancel_futures=True)
