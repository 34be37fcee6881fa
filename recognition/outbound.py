"""One POST of JSON to an address of the operator, over before a deadline: no proxy, no redirect."""

import base64
import contextlib
import http.client
import socket
import threading
import time
from urllib.parse import unquote, urlsplit

_MOST_BYTES = 64 * 1024  # of an answer


class ExchangeError(Exception):
    """No usable answer; `reason` is one word. `may_retry`: another try may well succeed."""

    def __init__(self, reason: str, *, may_retry: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_retry = may_retry


def is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def post(url: str, body: bytes, *, deadline: float) -> bytes:
    """The body of a 200. `deadline` is a time of time.monotonic(). Raises ExchangeError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise ExchangeError("timeout")
    connection = _connection(url, left)
    timer = None
    try:
        connection.connect()
        # Timeouts of sockets are for each read: who drips would hold us for hours. The connection
        # forgets its socket as soon as the head of an answer is read, so it is cut by itself.
        timer = threading.Timer(max(0, deadline - time.monotonic()), _cut, [connection.sock])
        timer.daemon = True
        timer.start()
        connection.request("POST", _target(url), body, _headers(url))
        response = connection.getresponse()
        answer = response.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        if time.monotonic() >= deadline or isinstance(error, TimeoutError):
            raise ExchangeError("timeout") from error
        raise ExchangeError("unreachable", may_retry=True) from error
    finally:
        if timer:
            timer.cancel()
        connection.close()
    if time.monotonic() >= deadline:
        raise ExchangeError("timeout")  # what was read may be the half of it
    if response.status != 200:
        raise ExchangeError(f"status_{response.status}", may_retry=response.status >= 500)
    if len(answer) > _MOST_BYTES or not _is_whole(response, answer):
        raise ExchangeError("malformed")
    return answer


def _connection(url: str, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(url: str) -> dict[str, str]:
    """With the name and password of the address, if it has any."""
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json"}
    if parts.username:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    return headers


def _cut(sock: socket.socket) -> None:
    """From another thread: whatever waits for the other side ends."""
    with contextlib.suppress(OSError):
        # Not SSLSocket's own method, which changes the object under the other thread.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _is_whole(response: http.client.HTTPResponse, answer: bytes) -> bool:
    """A read with a limit takes a connection that closes too early for the end."""
    length = response.headers.get("Content-Length")
    return length is None or (length.isdecimal() and int(length) == len(answer))
