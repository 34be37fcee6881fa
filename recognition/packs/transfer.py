"""Downloads a file over HTTP: resumes after a broken connection, never reads too many bytes."""

import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
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
    """An address does not serve the file; the message says why."""


class _BrokenError(Exception):
    """A connection ended too early; another one may bring the rest."""


@dataclass(frozen=True)
class Patience:
    timeout: float = 30  # seconds without a byte
    failures: int = 4  # in a row, after which an address is given up
    first_delay: float = 1  # seconds; doubled after every failure


class _SafeRedirects(HTTPRedirectHandler):
    """Follows redirects to https, and to http only from http."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in {"https", req.type}:
            raise TransferError(f"{req.full_url} redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener = build_opener(_SafeRedirects)


def download(url: str, part: Path, size: int, patience: Patience) -> None:
    """Download `part` up to `size` bytes; bytes that it already holds are not fetched again.

    Raises TransferError, which leaves `part` for another try, and OSError when it cannot be
    written.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise TransferError(f"{url} is neither http nor https")
    failures, most = 0, _size_of(part)
    with tqdm(total=size, unit="B", unit_scale=True, unit_divisor=1024, desc=part.stem) as bar:
        while (start := _size_of(part)) != size:
            bar.update(start - bar.n)
            try:
                _fetch(url, part, size, bar, patience.timeout)
            except _BrokenError as error:
                failures = failures + 1 if _size_of(part) < most + _PROGRESS else 1
                if failures == patience.failures:
                    raise TransferError(f"{url}: {error}") from error
                most = max(most, _size_of(part))
                time.sleep(patience.first_delay * 2 ** (failures - 1))
        bar.update(size - bar.n)


def _size_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _fetch(url: str, part: Path, size: int, bar: "tqdm[NoReturn]", timeout: float) -> None:
    """Fetch over one connection. Raises _BrokenError unless it brings all missing bytes."""
    if (start := _size_of(part)) > size:
        part.unlink()
        start = 0
    with _open(url, part, start, timeout) as response:
        if start and response.status == HTTPStatus.OK:  # the server cannot resume
            start = 0
        elif start and not _continues(response, start):
            part.unlink()
            raise _BrokenError("the server continues at another place than it was asked to")
        bar.update(start - bar.n)
        with part.open("ab" if start else "wb") as file:
            while start < size and (chunk := _read(response, min(_CHUNK, size - start))):
                file.write(chunk)
                start += len(chunk)
                bar.update(len(chunk))
    if start < size:
        raise _BrokenError(f"the connection ended after {start} of {size} bytes")


def _open(url: str, part: Path, start: int, timeout: float) -> HTTPResponse:
    # The part may belong to another version of the file. The SHA-256 shows that, so the server's
    # ETag need not be kept.
    headers = {"User-Agent": "facesvc"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response: HTTPResponse = _opener.open(Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        error.close()
        if start and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise _BrokenError("the server's file ends before the expected size") from error
        if error.code in _PASSING:
            raise _BrokenError(f"HTTP {error.code}") from error
        raise TransferError(f"{url}: HTTP {error.code}") from error
    except (OSError, HTTPException) as error:
        raise _BrokenError(_reason(error)) from error
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
    return str(getattr(error, "reason", error)) or type(error).__name__
