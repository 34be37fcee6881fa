"""How calls become requests and answers, the same for both clients: nothing here sends anything.

A flow is a generator. It yields the parts of a request, as httpx takes them, and gets the response
or an error of httpx; or it yields seconds to wait, and gets None. What it returns is the result.
"""

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias, TypeVar, cast

import httpx

from facesvc.client.answers import Job
from facesvc.client.call import Call, json_text, part, text
from facesvc.client.calls import batches
from facesvc.client.errors import (
    ApiError,
    ClientError,
    UnfinishedJobError,
    UnreachableError,
)
from facesvc.client.pictures import name_and_bytes

T = TypeVar("T")
Parts: TypeAlias = dict[str, Any]
Step: TypeAlias = Parts | float
Reply: TypeAlias = httpx.Response | httpx.TransportError | None
Flow: TypeAlias = Generator[Step, Reply, T]

PREFIX = "/api/v1/face-recognition/"
_VIEWER = "X-On-Behalf-Of"
# Refused before anything was done; or done perhaps, or still in work.
_EARLY = {"rate_limited", "requests_in_progress"}
_BUSY = {"unavailable", "request_in_progress"}
_GATEWAY = {502, 503, 504}
# Nothing was sent yet.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_FIRST_PAUSE, _MOST_PAUSE = 0.5, 8.0  # seconds
_FIRST_LOOK, _MOST_LOOK = 0.5, 5.0  # seconds between two looks at a job
_RUNNING = {"queued", "processing"}


@dataclass(frozen=True, kw_only=True)
class Manner:
    """Where calls go, who makes them, and how patiently."""

    url: str
    token: str | Callable[[], str]
    tries: int = 4
    longest_wait: float = 90.0  # seconds that a refused call may wait for its next try

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"the url begins with http:// or https://, and {self.url!r} does not")
        if self.url.rstrip("/").endswith(PREFIX.rstrip("/")):
            raise ValueError(f"the url is that of the service, without {PREFIX.rstrip('/')}")
        if not isinstance(self.token, str) and not callable(self.token):
            raise TypeError(f"the token is text or a function, and not {self.token!r}")

    def bearer(self) -> str:
        """The token for one try. No error shows the token, since errors are logged."""
        token = (self.token if isinstance(self.token, str) else self.token()).strip()
        if not token or not token.isascii() or not token.isprintable():
            raise ValueError("the token is empty, or has characters that no token has")
        return token

    @property
    def host(self) -> str:
        """The host and port, without any password of the url."""
        return httpx.URL(self.url).netloc.decode()


def exchange(call: Call[T], manner: Manner) -> Flow[T]:
    """Send a call until it is answered. Raises ApiError and UnreachableError."""
    for tried in count(1):
        outcome = _read((yield _parts(call, manner)), manner)
        if not isinstance(outcome, ClientError):
            return cast(T, outcome)
        pause = _pause(outcome, tried, call.is_repeatable)
        if pause is None or tried >= manner.tries or pause > manner.longest_wait:
            raise outcome
        yield pause
    raise AssertionError("the count has no end")


def wait_for_job(
    job_id: str, manner: Manner, timeout: float | None, seen: Callable[[Job], None]
) -> Flow[Job]:
    """Look at a job until it has ended. Raises UnfinishedJobError after `timeout` seconds."""
    waited, pause = 0.0, _FIRST_LOOK
    while True:
        job = yield from exchange(batches.get_batch_job(job_id), manner)
        seen(job)
        if job["status"] not in _RUNNING:
            return job
        if timeout is not None and waited >= timeout:
            raise UnfinishedJobError(f"{job_id} has not ended within {timeout:g} seconds")
        yield pause
        waited += pause
        pause = min(pause * 1.5, _MOST_LOOK)


def _parts(call: Call[Any], manner: Manner) -> Parts:
    body: dict[str, Any] = {}
    if call.pictures or call.images is not None:
        body = _form(call)
    elif call.body is not None:
        given = {name: value for name, value in call.body.items() if value is not None}
        body = {"content": json_text(given).encode()}
    elif call.lines is not None:
        body = {"content": call.lines}
    kind = "application/json" if call.body is not None else "application/x-ndjson"
    headers = {**_texts(call.headers), "Authorization": f"Bearer {manner.bearer()}"}
    if viewer := headers.get(_VIEWER):  # a header has only ASCII, and an id may have any character
        headers[_VIEWER] = part(viewer)
    if "content" in body:
        headers["Content-Type"] = kind
    url = manner.url.rstrip("/") + PREFIX + call.path
    params = _texts(call.query)
    return {"method": call.method, "url": url, "params": params, "headers": headers, **body}


def _texts(values: Any) -> dict[str, str]:
    return {name: text(value) for name, value in values.items() if value is not None}


def _form(call: Call[Any]) -> dict[str, Any]:
    """A form with the pictures as files; `items` has the fields of each in the same order."""
    fields = _texts(call.form)
    files = [
        (field, name_and_bytes(picture, field))
        for field, picture in call.pictures.items()
        if picture is not None
    ]
    if call.images is not None:
        items = [item if isinstance(item, dict) else {"image": item} for item in call.images]
        beside = [{name: item[name] for name in item if name != "image"} for item in items]
        if any(beside):
            fields["items"] = json_text(beside)
        pictures = [name_and_bytes(item["image"], str(at)) for at, item in enumerate(items)]
        files += [("images", each) for each in pictures]
    return {"data": fields, "files": files}


def _read(reply: Reply, manner: Manner) -> Any:
    """The data of an answer, or the error that it is."""
    if not isinstance(reply, httpx.Response):
        reason = str(reply) or type(reply).__name__
        message = f"no answer from {manner.host}: {reason}"
        return UnreachableError(message, was_sent=not isinstance(reply, _UNSENT))
    if reply.is_success and reply.headers.get("Content-Type", "").startswith("image/"):
        return reply.content
    try:
        answer = reply.json()
        if answer["success"]:
            return answer["data"]
        code, message = answer["error"]["code"], answer["error"]["message"]
        about = {"details": answer["error"]["details"]}
        about["request_id"] = answer["metadata"]["request_id"]
    except (ValueError, KeyError, TypeError):  # of a proxy, or of something else at this address
        code, message, about = "no_json", "The answer is not one of this service", {}
    wait = reply.headers.get("Retry-After", "")
    seconds = int(wait) if wait.isascii() and wait.isdigit() else 0
    return ApiError(code, message, status=reply.status_code, retry_after=seconds, **about)


def _pause(error: ClientError, tried: int, is_repeatable: bool) -> float | None:
    """Seconds until the next try; None if there must not be one."""
    if isinstance(error, ApiError):
        is_early = error.code in _EARLY or (error.code, error.status) == ("no_json", 429)
        is_gateway = error.code == "no_json" and error.status in _GATEWAY
        is_worth = is_early or (is_repeatable and (is_gateway or error.code in _BUSY))
        wait = error.retry_after
    else:
        is_worth = is_repeatable or not cast(UnreachableError, error).was_sent
        wait = 0
    longer = min(_FIRST_PAUSE * 2 ** (tried - 1), _MOST_PAUSE)
    return (wait or longer * random.uniform(0.5, 1)) if is_worth else None
