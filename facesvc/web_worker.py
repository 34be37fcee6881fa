"""gunicorn's threads, none of which waits for a client that sends slowly.

A thread gets a request when its head is there, and the whole of a short body. Until then the
connection costs no thread, only its place among those that are open. Long bodies are read in a
thread: by then the token is known, and an end user has few requests with pictures at a time.
"""

import re
import socket
import struct
import time
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

# All bodies without pictures are shorter, see BODY_ROOM_BYTES in the settings.
_SHORT_BODY = 64 * 1024
_LONGEST_HEAD = 64 * 1024
# A thread waits no longer for a client that reads nothing of its answer, or sends nothing of its
# long body.
_SILENCE_SECONDS = 30
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
_TOO_LONG += b"Connection: close\r\nContent-Length: 0\r\n\r\n"


class Worker(ThreadWorker):  # type: ignore[misc]
    def enqueue_req(self, conn: Any) -> None:
        """Every new or kept connection comes here first, in the main thread."""
        if self.cfg.is_ssl:  # what comes then can be read in a thread only
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            _be_patient_with(conn.sock)
        try:
            conn.init()
            is_here = conn.is_http2 or _receive(conn)
        except OSError:
            is_here = True  # broken, which the thread finds, too
        except _HeadTooLongError:
            self._refuse(conn)
            return
        if is_here:
            super().enqueue_req(conn)
        else:
            self._park(conn)

    def _park(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        seconds = self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER
        conn.timeout = time.monotonic() + seconds
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))
        # Clients that mean it are parked for moments, so the oldest makes room for new ones.
        if self.nr_conns > self.worker_connections - self.cfg.threads:
            self.pending_conns[0].timeout = 0.0
            self.murder_pending()

    def _refuse(self, conn: Any) -> None:
        with suppress(OSError):
            conn.sock.send(_TOO_LONG)
        self.nr_conns -= 1
        conn.close()

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)


class _HeadTooLongError(Exception):
    pass


def _be_patient_with(connection: socket.socket) -> None:
    seconds = struct.pack("ll", _SILENCE_SECONDS, 0)
    for which in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, which, seconds)


def _receive(conn: Any) -> bool:
    """What has come, into the buffer of the parser. Whether a thread has something to do by now.

    Raises OSError, _HeadTooLongError.
    """
    buffer = conn.parser.unreader.buf
    conn.sock.setblocking(False)
    with suppress(BlockingIOError):
        data = conn.sock.recv(_LONGEST_HEAD)
        if not data:
            return True  # the client has gone
        buffer.seek(0, 2)
        buffer.write(data)
    return _is_whole(buffer.getvalue(), conn)


def _is_whole(data: bytes, conn: Any) -> bool:
    """Whether the head is there, with the body if it is short. Raises _HeadTooLongError."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        if len(head) > _LONGEST_HEAD:
            raise _HeadTooLongError
        return False
    found = _LENGTH.search(head + b"\r\n")
    length = int(found[1]) if found else 0
    if not len(body) < length <= _SHORT_BODY:
        return True
    if not body and _EXPECTS.search(head + b"\r\n"):
        conn.sock.send(_CONTINUE)
    return False
