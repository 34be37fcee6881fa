"""One request to another service, over before a deadline: no proxy, no redirect.

A deadline is a time of time.monotonic().
"""

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

DEFAULT_PORTS = {"https": 443, "http": 80}
MOST_BYTES = 1024 * 1024  # of an answer
_MOST_ADDRESSES = 3  # of a name, that are tried
_CONNECT_SECONDS = 5.0  # at most, for each of them

# The lookups that are going on.
_asked: dict[tuple[str, int], "Future[list[str]]"] = {}
_lock = threading.Lock()


class ExchangeError(Exception):
    """No usable answer. The message is for operators; `reason` is one word of it. `may_retry`:
    another try may well succeed.
    """

    def __init__(self, reason: str, message: str = "", *, may_retry: bool = False) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.may_retry = may_retry


@dataclass(frozen=True)
class Target:
    """Where a request goes: to one of `ips`, in this order, whatever the host's name means by then.
    A certificate has to be the host's.
    """

    scheme: str
    host: str
    port: int
    path: str  # with the query
    ips: tuple[str, ...]

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class Answer(NamedTuple):
    status: int
    body: bytes


def is_address(url: str) -> bool:
    """Whether `fetch` can use it: in ASCII, with a name that a name server can be asked for."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        is_plain = url.isascii() and url.isprintable() and " " not in url
        return (
            is_plain and parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
        )
    except ValueError:
        return False


def fetch(url: str, body: bytes | None = None, *, deadline: float) -> bytes:
    """The body of a 200 from an address of the operator: a POST of JSON, or a GET without `body`.

    The address may be inside our network, and may have a name and a password. Raises ExchangeError.
    """
    parts, began = urlsplit(url), time.monotonic()
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    try:
        ips = addresses_of(host, port, deadline=deadline)
    except OSError as error:
        raise _explained(error, began, deadline) from error
    target = Target(parts.scheme, host, port, path_of(parts), tuple(ips))
    # Some servers refuse a client without a name.
    headers = {"User-Agent": "facesvc", **_credentials(parts)}
    if body:
        headers["Content-Type"] = "application/json"
    method = "POST" if body else "GET"
    answer = send(method, target, headers, body, deadline=deadline, most=MOST_BYTES)
    if answer.status != 200:
        raise ExchangeError(f"status_{answer.status}", may_retry=answer.status >= 500)
    return answer.body


def addresses_of(host: str, port: int, *, deadline: float) -> list[str]:
    """The addresses of a host name. Raises OSError, which TimeoutError is one of.

    The lookup of the C library has no deadline. So each name has one lookup at a time, and all who
    ask wait for it: a silent name server holds a single thread, however many ask.
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
    # Before the answer: a later request asks a name server again.
    with _lock:
        del _asked[host, port]
    if error:
        found.set_exception(error)
    else:
        found.set_result(addresses)


def send(
    method: str,
    target: Target,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    *,
    deadline: float,
    most: int = 0,
) -> Answer:
    """The answer, whatever its status; its body is read if it may have `most` bytes.

    Raises ExchangeError.
    """
    began = time.monotonic()
    connection = _Connection(target, deadline)
    try:
        if began >= deadline:
            raise TimeoutError("timed out")
        all_headers = {"Host": target.authority, **(headers or {})}
        connection.request(method, target.path, body, all_headers)
        response = connection.getresponse()
        answer = Answer(response.status, response.read(most + 1) if most else b"")
        if time.monotonic() >= deadline:
            raise TimeoutError("timed out")  # what was read may be the half of it
    except (OSError, http.client.HTTPException) as error:
        raise _explained(error, began, deadline, connection) from error
    finally:
        connection.end()
    if most and (len(answer.body) > most or not _is_whole(response, answer.body)):
        raise ExchangeError("malformed")
    return answer


def path_of(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class _Connection(http.client.HTTPConnection):
    """That ends at the deadline, whatever it waits for then."""

    def __init__(self, target: Target, deadline: float) -> None:
        super().__init__(target.host, target.port)
        self._target, self._deadline = target, deadline
        self._timer: threading.Timer | None = None
        self.is_connected = False

    def connect(self) -> None:
        sock = _first_that_answers(self._target, self._deadline)
        if self._target.scheme == "https":
            # The handshake comes after the timer, which needs the socket that it is done on.
            sock = _tls().wrap_socket(
                sock, server_hostname=self.host, do_handshake_on_connect=False
            )
        self.sock = sock
        # Timeouts of sockets are for each read: who drips would hold us for hours. The connection
        # forgets its socket as soon as the head of an answer is read, so it is cut by itself.
        self._timer = threading.Timer(max(0, self._deadline - time.monotonic()), _cut, [sock])
        self._timer.daemon = True
        self._timer.start()
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        self.is_connected = True

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()
        self.close()


def _first_that_answers(target: Target, deadline: float) -> socket.socket:
    """Each address has its share of the time. Raises OSError."""
    ips = target.ips[:_MOST_ADDRESSES]
    error: OSError = OSError("no address")
    for number, ip in enumerate(ips):
        share = (deadline - time.monotonic()) / (len(ips) - number)
        if share <= 0:
            raise TimeoutError("timed out")
        try:
            sock = socket.create_connection((ip, target.port), min(share, _CONNECT_SECONDS))
        except OSError as caught:
            error = caught
        else:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            return sock
    raise error


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Reads the authorities of the system, which takes longer than a request."""
    return ssl.create_default_context()


def _credentials(parts: SplitResult) -> dict[str, str]:
    """A header for the name and password of an address, if it has any."""
    if not parts.username:
        return {}
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}


def _cut(sock: socket.socket) -> None:
    """From another thread: whatever waits for the other side ends."""
    with contextlib.suppress(OSError):
        # SSLSocket's own method would change the object under the other thread.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _explained(
    error: Exception, began: float, deadline: float, connection: _Connection | None = None
) -> ExchangeError:
    """For operators, who want to know on which side it was."""
    now = time.monotonic()
    # Once the deadline is over, whatever the error is, it is of our own making.
    if now >= deadline or isinstance(error, TimeoutError):
        missing = "answer" if connection and connection.is_connected else "connection"
        seconds = round(max(0, min(now, deadline) - began), 1)
        return ExchangeError("timeout", f"no {missing} within {seconds:g} seconds")
    if isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
        message = "the receiver closed the connection without an answer"
    else:
        message = f"{type(error).__name__}: {error}"[:200]
    return ExchangeError("unreachable", message, may_retry=True)


def _is_whole(response: http.client.HTTPResponse, answer: bytes) -> bool:
    """A read with a limit takes a connection that closes too early for the end."""
    length = response.headers.get("Content-Length")
    return length is None or (length.isdecimal() and int(length) == len(answer))
