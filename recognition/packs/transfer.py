"""Downloads a file over HTTP: resumes after a broken connection, never reads too many bytes."""

import re
import socket
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from threading import Event
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tqdm import tqdm

_CHUNK = 1 << 20
# Bytes that a connection must bring before it breaks, so that it does not count as a failure.
_PROGRESS = 1 << 20
# Statuses of a server that may succeed later.
_PASSING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


class TransferError(Exception):
    """An address does not serve the file. `why` is the message without the address."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url}: {why}")
        self.why = why


class _BrokenError(Exception):
    """A connection ended too early; another one may bring the rest."""


@dataclass(frozen=True)
class Watch:
    """Between a thread that downloads and one that waits for it."""

    began: Event = field(default_factory=Event)  # a server answered, or a file needed none
    given_up: Event = field(default_factory=Event)  # nothing more is asked for or read


@dataclass(frozen=True)
class Patience:
    timeout: float = 30  # seconds without a byte
    failures: int = 4  # in a row, after which an address is given up
    first_delay: float = 1  # seconds; doubled after every failure
    watch: Watch = field(default_factory=Watch)


class _SafeRedirects(HTTPRedirectHandler):
    """Follows redirects to https, and to http only from http."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in {"https", req.type}:
            raise TransferError(req.full_url, f"it redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener = build_opener(_SafeRedirects)


def download(url: str, part: Path, size: int, patience: Patience) -> None:
    """Download `part` up to `size` bytes; bytes that it already holds are not fetched again.

    Raises TransferError, which leaves `part` for another try, and OSError when it cannot be
    written.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise TransferError(url, "neither http nor https")
    failures, most = 0, _size_of(part)
    with _bar(size, part.stem) as bar:
        while _size_of(part) != size:
            try:
                _fetch(url, part, size, bar, patience)
            except _BrokenError as error:
                failures = failures + 1 if _size_of(part) < most + _PROGRESS else 1
                if failures == patience.failures:
                    raise TransferError(url, str(error)) from error
                most = max(most, _size_of(part))
                time.sleep(patience.first_delay * 2 ** (failures - 1))
        bar.update(size - bar.n)


def _bar(size: int, name: str) -> "tqdm[NoReturn]":
    # The delay is for an address that does not answer, of which nobody wants a bar.
    return tqdm(total=size, unit="B", unit_scale=True, unit_divisor=1024, desc=name, delay=0.01)


def _size_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _fetch(url: str, part: Path, size: int, bar: "tqdm[NoReturn]", patience: Patience) -> None:
    """Fetch over one connection. Raises _BrokenError unless it brings all missing bytes."""
    watch = patience.watch
    if (start := _size_of(part)) > size:
        part.unlink()
        start = 0
    with _open(url, part, start, patience) as response:
        if start and response.status == HTTPStatus.OK:  # the server cannot resume
            start = 0
        elif start and not _continues(response, start):
            part.unlink()
            raise _BrokenError("the server continues at another place than it was asked to")
        bar.update(start - bar.n)
        with part.open("ab" if start else "wb") as file:
            while start < size and (chunk := _read(response, min(_CHUNK, size - start))):
                _go_on(url, watch)
                file.write(chunk)
                start += len(chunk)
                bar.update(len(chunk))
    if start < size:
        raise _BrokenError(f"the connection ended after {start} of {size} bytes")


def _go_on(url: str, watch: Watch) -> None:
    if watch.given_up.is_set():
        raise TransferError(url, "given up")


def _open(url: str, part: Path, start: int, patience: Patience) -> HTTPResponse:
    _go_on(url, patience.watch)
    # The part may belong to another version of the file. The SHA-256 shows that, so the server's
    # ETag need not be kept.
    headers = {"User-Agent": "facesvc"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response: HTTPResponse = _opener.open(
            Request(url, headers=headers), timeout=patience.timeout
        )
    except HTTPError as error:
        error.close()
        patience.watch.began.set()
        if start and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise _BrokenError("the server's file ends before the expected size") from error
        if error.code in _PASSING:
            raise _BrokenError(f"HTTP {error.code}") from error
        raise TransferError(url, f"HTTP {error.code}") from error
    except (OSError, HTTPException) as error:
        raise _BrokenError(_reason(error)) from error
    patience.watch.began.set()
    return response


def _continues(response: HTTPResponse, start: int) -> bool:
    place = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return place is not None and int(place[1]) == start


def _read(response: HTTPResponse, size: int) -> bytes:
    """Up to `size` bytes that have arrived, so that none is lost if the rest never comes."""
    try:
        return response.read1(size)
    except (OSError, HTTPException) as error:
        raise _BrokenError(_reason(error)) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    text = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
    if isinstance(reason, socket.gaierror):
        return f"the address cannot be looked up ({text})"
    return text
