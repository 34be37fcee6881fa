"""The rest of a body that a view refused without reading it.

A client sends its whole picture before it looks at the answer. If the connection closed by then,
the client would get a broken connection in place of the answer, and a proxy would answer 502. So
what was not read is read and dropped, within bounds, after the answer has gone out.
"""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from threading import BoundedSemaphore, Timer
from typing import Any

from gunicorn.http.errors import ParseException

_CHUNK = 256 * 1024  # bytes
# Bytes a second of one body. A client that sends refused bodies for ever, each as long as may be,
# would take the interpreter from all other requests.
_SPEED = 20 * 1024**2
# Seconds that a thread may take for it. A client that needs longer gets a closed connection.
SECONDS = 10.0
# The most threads of a process that drop bodies: a stranger's body may never end.
_places = BoundedSemaphore(6)
_PLACE_SECONDS = 0.2


def drop(environ: Mapping[str, Any], limit: int) -> None:
    """Read what is left of the body of a WSGI request on gunicorn, at most `limit` bytes."""
    if not (environ.get("CONTENT_LENGTH") or environ.get("HTTP_TRANSFER_ENCODING")):
        return  # there is no body
    body, connection = environ["wsgi.input"], environ["gunicorn.socket"]
    if _is_read(body):
        return  # or it would need a place, and lose its connection when there is none
    if not _places.acquire(timeout=_PLACE_SECONDS):
        _stop_reading(connection)  # or gunicorn would wait for the rest
        return
    try:
        _drop(body, connection, limit)
    finally:
        _places.release()


def _is_read(body: Any) -> bool:
    """Whether nothing is left of a body whose length the client said."""
    return getattr(getattr(body, "reader", None), "length", None) == 0


def _drop(body: Any, connection: socket.socket, limit: int) -> None:
    deadline = time.monotonic() + SECONDS
    before = connection.gettimeout()
    # A single read waits for all of its bytes, and a client that sends one now and then would keep
    # it for hours: the time-out of the socket begins again with each.
    end = Timer(SECONDS, _stop_reading, [connection])
    end.daemon = True
    end.start()
    try:
        while limit > 0 and (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            chunk = body.read(min(_CHUNK, limit))
            if not chunk:
                return
            limit -= len(chunk)
            time.sleep(len(chunk) / _SPEED)
    except (OSError, ParseException):
        return  # too slow, gone or broken: gunicorn closes the connection
    finally:
        end.cancel()
        connection.settimeout(before)


def _stop_reading(connection: socket.socket) -> None:
    """The thread that reads finds that nothing more comes."""
    with suppress(OSError):  # it is closed
        connection.shutdown(socket.SHUT_RD)
