"""One POST to a checked address: no proxy, no redirect, no patience; only the status is read."""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping

from batch.webhooks.addresses import Target

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
_MOST_IPS = 3  # that are tried


class PostError(Exception):
    """No answer; the message says why."""


class _Connection(http.client.HTTPConnection):
    """Connects to the addresses that were checked, and has the certificate speak for the name."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, target.port, timeout=CONNECT_SECONDS)
        self._target = target
        self.is_cut = self.is_connected = False

    def connect(self) -> None:
        self.sock = _first_that_answers(self._target)
        if self._target.scheme == "https":
            context = ssl.create_default_context()
            # The handshake comes second, so that `cut` finds the socket that it is done on.
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
        if self.is_cut:
            raise TimeoutError("timed out")
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()
        self.sock.settimeout(TOTAL_SECONDS)
        self.is_connected = True

    def cut(self) -> None:
        """From another thread: whatever waits for the other side ends."""
        self.is_cut = True
        if self.sock is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own method, which changes the object under the other thread.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def _first_that_answers(target: Target) -> socket.socket:
    error: OSError = OSError("no address")
    for ip in target.ips[:_MOST_IPS]:
        try:
            return socket.create_connection((ip, target.port), CONNECT_SECONDS)
        except OSError as caught:
            error = caught
    raise error


def _reason(connection: _Connection, error: Exception) -> str:
    """For the operators, who want to know on which side it was."""
    timed_out = isinstance(error, TimeoutError)
    # Once it is cut, whatever the error is, it is of our own making.
    if connection.is_connected and (connection.is_cut or timed_out):
        return f"no answer within {TOTAL_SECONDS:g} seconds"
    if connection.is_cut:
        return f"no connection within {TOTAL_SECONDS:g} seconds"
    if isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
        return "the receiver closed the connection without an answer"
    if timed_out:
        return f"no connection within {CONNECT_SECONDS:g} seconds"
    return f"{type(error).__name__}: {error}"[:200]


def post(target: Target, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer. Raises PostError."""
    connection = _Connection(target)
    # Timeouts of sockets are for each read: a receiver that drips would hold us for hours.
    timer = threading.Timer(TOTAL_SECONDS, connection.cut)
    timer.start()
    try:
        connection.request("POST", target.path, body, {"Host": target.authority, **headers})
        status = connection.getresponse().status
        if connection.is_cut:
            raise TimeoutError("timed out")
        return status
    except (OSError, http.client.HTTPException) as error:
        raise PostError(_reason(connection, error)) from error
    finally:
        timer.cancel()
        connection.close()
