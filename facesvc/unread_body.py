"""The rest of a body that a view refused without reading it.

A client sends its whole picture before it looks at the answer. If the connection closed meanwhile,
the client would get a broken connection in place of the answer, and a proxy would answer 502. So
what was not read is read and dropped, within bounds, after the answer has gone out.
"""

import time
from collections.abc import Mapping
from typing import Any

from gunicorn.http.errors import ParseException

_CHUNK = 64 * 1024  # bytes
# A thread is busy with it. A client that needs longer gets a closed connection.
SECONDS = 10.0


def drop(environ: Mapping[str, Any], limit: int) -> None:
    """Read what is left of the body of a WSGI request on gunicorn, at most `limit` bytes."""
    body, connection = environ["wsgi.input"], environ["gunicorn.socket"]
    deadline = time.monotonic() + SECONDS
    before = connection.gettimeout()
    try:
        while limit > 0 and (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            chunk = body.read(min(_CHUNK, limit))
            if not chunk:
                return
            limit -= len(chunk)
    except (OSError, ParseException):
        return  # too slow, gone or broken: gunicorn closes the connection
    finally:
        connection.settimeout(before)
