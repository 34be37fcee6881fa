"""Addresses of host names, before a deadline: the C library's lookup has none of its own."""

import socket
import threading
import time
from concurrent.futures import Future

_asked: dict[tuple[str, int], "Future[list[str]]"] = {}
_lock = threading.Lock()


def addresses_of(host: str, port: int, *, deadline: float) -> list[str]:
    """`deadline` is a time of time.monotonic(). Raises OSError, of which TimeoutError is one.

    Each name has one lookup at a time, and all who ask wait for it: a name server that is silent
    holds a single thread, however many ask.
    """
    with _lock:
        found = _asked.get((host, port))
        if found is None:
            found = _asked[host, port] = Future()
            threading.Thread(target=_ask, args=(host, port, found), daemon=True).start()
    return found.result(max(0, deadline - time.monotonic()))


def _ask(host: str, port: int, found: "Future[list[str]]") -> None:
    addresses: list[str] = []
    error: OSError | None = None
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    except (OSError, UnicodeError) as caught:  # UnicodeError: no name server can be asked for it
        error = caught if isinstance(caught, OSError) else OSError(str(caught))
    # Before the answer: who asks after it was given asks a name server.
    with _lock:
        del _asked[host, port]
    if error:
        found.set_exception(error)
    else:
        found.set_result(addresses)
