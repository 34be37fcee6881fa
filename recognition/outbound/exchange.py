"""One POST of JSON to an address of the operator, over before a deadline: no proxy, no redirect."""

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import time
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from recognition.outbound import lookups

_MOST_BYTES = 64 * 1024  # of an answer
_MOST_ADDRESSES = 3  # of a name, that are tried


class ExchangeError(Exception):
    """No usable answer; `reason` is one word. `may_retry`: another try may well succeed."""

    def __init__(self, reason: str, *, may_retry: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_retry = may_retry


def is_address(url: str) -> bool:
    """Whether `post` can use it: in ASCII, with a name that a name server can be asked for."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        is_plain = url.isascii() and url.isprintable() and " " not in url
        return (
            is_plain
            and parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.port != 0
        )
    except ValueError:
        return False


def post(url: str, body: bytes, *, deadline: float) -> bytes:
    """The body of a 200. `deadline` is a time of time.monotonic(). Raises ExchangeError."""
    if _left(deadline) <= 0:
        raise ExchangeError("timeout")
    connection = _Connection(url, deadline)
    try:
        connection.request("POST", _target(url), body, _headers(url))
        response = connection.getresponse()
        answer = response.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        if _left(deadline) <= 0 or isinstance(error, TimeoutError):
            raise ExchangeError("timeout") from error
        raise ExchangeError("unreachable", may_retry=True) from error
    finally:
        connection.end()
    if _left(deadline) <= 0:
        raise ExchangeError("timeout")  # what was read may be the half of it
    if response.status != 200:
        raise ExchangeError(f"status_{response.status}", may_retry=response.status >= 500)
    if len(answer) > _MOST_BYTES or not _is_whole(response, answer):
        raise ExchangeError("malformed")
    return answer


class _Connection(http.client.HTTPConnection):
    """That ends at the deadline, whatever it waits for then."""

    def __init__(self, url: str, deadline: float) -> None:
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "https"
        self.default_port = 443 if self._is_tls else 80
        super().__init__(parts.hostname or "", parts.port or self.default_port)
        self._deadline = deadline
        self._timer: threading.Timer | None = None

    def connect(self) -> None:
        sock = _first_that_answers(self.host, self.port, self._deadline)
        if self._is_tls:
            # The handshake comes after the timer, which needs the socket that it is done on.
            sock = _tls().wrap_socket(
                sock, server_hostname=self.host, do_handshake_on_connect=False
            )
        self.sock = sock
        # Timeouts of sockets are for each read: who drips would hold us for hours. The connection
        # forgets its socket as soon as the head of an answer is read, so it is cut by itself.
        self._timer = threading.Timer(max(0, _left(self._deadline)), _cut, [sock])
        self._timer.daemon = True
        self._timer.start()
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()
        self.close()


def _first_that_answers(host: str, port: int, deadline: float) -> socket.socket:
    """Each address has its share of the time. Raises OSError."""
    addresses = lookups.addresses_of(host, port, deadline=deadline)[:_MOST_ADDRESSES]
    error: OSError = OSError("no address")
    for number, address in enumerate(addresses):
        share = _left(deadline) / (len(addresses) - number)
        if share <= 0:
            raise TimeoutError("timed out")
        try:
            sock = socket.create_connection((address, port), share)
        except OSError as caught:
            error = caught
        else:
            sock.settimeout(max(0.001, _left(deadline)))
            return sock
    raise error


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Reads the authorities of the system, which takes longer than a request."""
    return ssl.create_default_context()


def _left(deadline: float) -> float:
    return deadline - time.monotonic()


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
