"""In which collection the threads of a test are: Thread.start goes through `carrying`."""

import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from recognition.collections.current import entered, here_or_default

_PROJECT = Path(__file__).parents[3]
_PRODUCT = tuple(
    f"{_PROJECT}/{name}/" for name in ("batch", "facesvc", "management", "recognition")
)
_TESTS = f"{_PROJECT}/tests/", f"{_PROJECT}/benchmarks/"
_HERE = __file__, f"{_PROJECT}/tests/conftest.py"


def carrying(start: Callable[[Thread], None]) -> Callable[[Thread], None]:
    """Threads that a test starts are in its collection, as its own thread is.

    Those that the product starts are in none, as outside of tests: what forgets to enter one fails.
    """

    def started(thread: Thread) -> None:
        if not _is_product():
            collection, run = here_or_default(), thread.run

            def run_there() -> None:
                with entered(collection):
                    run()

            thread.run = run_there  # type: ignore[method-assign]
        start(thread)

    return started


def _is_product() -> bool:
    """Whether the product asks, and not a test that the product does not call."""
    frame = sys._getframe(2)
    while frame := frame.f_back:  # type: ignore[assignment]
        file = frame.f_code.co_filename
        if file.startswith(_PRODUCT):
            return True
        if file.startswith(_TESTS) and file not in _HERE:
            return False
    return False
