"""gunicorn's threads, none of which waits for a client that sends slowly.

A thread gets a request when its head is there, and the whole of a short body. Until then the
connection costs no thread, only its place among those that are open. Long bodies are read in a
thread: by then the token is known, and an end user has few requests with pictures at a time.
The main thread waits for nobody either: not even for a client to close what was answered.
"""

import re
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

# All bodies without pictures are shorter, see BODY_ROOM_BYTES in the settings.
_SHORT_BODY = 64 * 1024
_LONGEST_HEAD = 64 * 1024
# So long a client may go on sending after the last answer: if the connection closed on what it
# sends, it would not get the answer.
_LINGER_SECONDS = 2
# A thread waits no longer for a client that reads nothing of its answer, or sends nothing of its
# long body.
_SILENCE_SECONDS = 30
# Bytes that are received of a long body in one step. Larger buffers would be new memory every time,
# see MALLOC_MMAP_THRESHOLD_ in docs/deployment.md.
_STEP = 128 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
_TOO_LONG += b"Connection: close\r\nContent-Length: 0\r\n\r\n"


class Worker(ThreadWorker):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Answered for the last time, in the order of their time-outs.
        self._lingering: deque[Any] = deque()

    def enqueue_req(self, conn: Any) -> None:
        """Every new or kept connection comes here first, in the main thread."""
        if self.cfg.is_ssl:  # what comes then can be read in a thread only
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            _be_patient_with(conn.sock)
        try:
            conn.init()
            if not conn.is_http2:
                conn.parser.unreader.max_body_chunk = _STEP
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

    def murder_pending(self) -> None:
        """Close what is over, between two rounds of events: one that is closed in a round may have
        an event later in it."""
        super().murder_pending()
        while self._lingering and self._lingering[0].timeout <= time.monotonic():
            self._close(self._lingering.popleft())
        # Clients that mean it wait for moments, so what waits longest makes room for new ones.
        while self.nr_conns > self.worker_connections - self.cfg.threads and (
            waiting := [each for each in self._waiting() if each]
        ):
            self._close(min(waiting, key=lambda each: each[0].timeout).popleft())

    def _waiting(self) -> tuple[deque[Any], ...]:
        return self._lingering, self.pending_conns, self.keepalived_conns

    def _close(self, conn: Any) -> None:
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _refuse(self, conn: Any) -> None:
        with suppress(OSError):
            conn.sock.send(_TOO_LONG)
        self._linger(conn)

    def finish_request(self, conn: Any, done: Any) -> None:
        """gunicorn would wait here for the client to close, and for nobody else."""
        is_last = not done.cancelled() and done.exception() is None and not done.result()
        if is_last and not self.cfg.is_ssl:
            self._linger(conn)
        else:
            super().finish_request(conn, done)

    def _linger(self, conn: Any) -> None:
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client has gone
            self.nr_conns -= 1
            conn.close()
            return
        conn.timeout = time.monotonic() + _LINGER_SECONDS
        self._lingering.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._drop, conn))

    def _drop(self, conn: Any, connection: socket.socket) -> None:
        """What came on a connection that was answered for the last time."""
        with suppress(OSError):
            if connection.recv(_LONGEST_HEAD):
                return
        self._lingering.remove(conn)
        self._close(conn)

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

    Nothing comes in behind a whole request: a client may send them faster than they are answered.
    Raises OSError, _HeadTooLongError.
    """
    buffer = conn.parser.unreader.buf
    if _is_whole(buffer.getvalue()):
        return True
    conn.sock.setblocking(False)
    with suppress(BlockingIOError):
        data = conn.sock.recv(_LONGEST_HEAD)
        if not data:
            return True  # the client has gone
        buffer.seek(0, 2)
        buffer.write(data)
    data = buffer.getvalue()
    is_whole = _is_whole(data)
    if not is_whole and data.endswith(b"\r\n\r\n") and _EXPECTS.search(data):
        conn.sock.send(_CONTINUE)
    return is_whole


def _is_whole(data: bytes) -> bool:
    """Whether the head is there, with the body if it is short. Raises _HeadTooLongError."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        if len(head) > _LONGEST_HEAD:
            raise _HeadTooLongError
        return False
    found = _LENGTH.search(head + b"\r\n")
    length = int(found[1]) if found else 0
    return not len(body) < length <= _SHORT_BODY
