"""Whether somebody still waits for the answer."""

import socket
import ssl
from collections.abc import Mapping
from typing import Any


def is_open(environ: Mapping[str, Any]) -> bool:
    """False when the client, or the proxy in front, closed the connection of a WSGI request.

    On gunicorn without TLS; elsewhere it is taken for open. The whole body has to be read by then.
    """
    connection = environ.get("gunicorn.socket")
    if connection is None or isinstance(connection, ssl.SSLSocket):
        return True
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True  # nothing has come, not even the end
    except OSError:
        return False
