"""Anti-spoofing and deepfake checks: by the pack's own network, or by a service over HTTP.

A provider only says how real a face looks; recognition.risk decides what follows from it.
"""

import base64
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, Self

from django.conf import settings

from recognition import strict_json
from recognition.breaker import Breaker
from recognition.descriptions import box_of
from recognition.engine import Engine
from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace
from recognition.outbound import ExchangeError, post

ANTISPOOFING, DEEPFAKE = "antispoofing", "deepfake"
CHECKS = (ANTISPOOFING, DEEPFAKE)
# Requests to a service that one process has open at once; more wait, within their budget.
_AT_ONCE = 16


@dataclass(frozen=True)
class Outcome:
    """`missing`: no answer that can be used, for a `reason`. `score` is from 0 (fake) to 1."""

    state: Literal["passed", "failed", "missing", "unconfigured"]
    score: float | None = None
    reason: str = ""

    @classmethod
    def of_score(cls, score: float, threshold: float) -> Self:
        return cls("passed" if score >= threshold else "failed", round(score, 4))

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


UNCONFIGURED = Outcome("unconfigured")


@dataclass(frozen=True)
class Look:
    """A face in a picture, both as it came and decoded."""

    by: Engine
    encoded: bytes
    picture: Image
    face: DetectedFace


class Provider(Protocol):
    """Starts a check, which may run beside other work; the result of `begin` waits for it."""

    def begin(self, look: Look) -> Callable[[], Outcome]: ...


class PackProvider:
    """The anti-spoofing of the active pack, if it has one."""

    def begin(self, look: Look) -> Callable[[], Outcome]:
        # Now, while the request has its turn: later it could be refused another one.
        outcome = self._check(look)
        return lambda: outcome

    def _check(self, look: Look) -> Outcome:
        score = look.by.liveness(look.picture, look.face)
        if score is None:
            return UNCONFIGURED
        if not math.isfinite(score):
            return Outcome("missing", reason="malformed")
        return Outcome.of_score(score, settings.FACESVC_LIVENESS_THRESHOLD)


class NoProvider:
    def begin(self, look: Look) -> Callable[[], Outcome]:
        return lambda: UNCONFIGURED


class HttpProvider:
    """A service: docs/liveness.md describes its request and its response."""

    def __init__(self, check: str, url: str) -> None:
        self.breaker = Breaker()
        self._check = check
        self._url = url
        # Of its own, so that a slow service keeps nobody from asking the other one.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=check)

    def begin(self, look: Look) -> Callable[[], Outcome]:
        deadline = time.monotonic() + settings.FACESVC_PROVIDER_SECONDS
        if not self.breaker.allows():
            return lambda: Outcome("missing", reason="breaker_open")
        future = self._threads.submit(self._ask, _body(self._check, look), deadline)
        return lambda: self._wait(future, deadline)

    def _ask(self, body: bytes, deadline: float) -> Outcome:
        """Runs in a thread of its own, and touches no database."""
        try:
            try:
                score = _score(post(self._url, body, deadline=deadline))
            except ExchangeError as error:
                if not error.may_retry:
                    raise
                score = _score(post(self._url, body, deadline=deadline))
        except ExchangeError as error:
            self.breaker.failed()
            return Outcome("missing", reason=error.reason)
        self.breaker.succeeded()
        return Outcome.of_score(score, _threshold(self._check))

    def _wait(self, future: "Future[Outcome]", deadline: float) -> Outcome:
        try:
            return future.result(max(0, deadline - time.monotonic()))
        except FutureTimeoutError:
            # One that has not begun must not begin, and says itself that the service is too slow;
            # one that has begun ends at the same deadline, and counts its failure by itself.
            if future.cancel():
                self.breaker.failed()
            return Outcome("missing", reason="timeout")


def providers() -> dict[str, Provider]:
    """The provider of each check, by the settings."""
    own: Provider = PackProvider()
    return {
        check: http_provider(check, url) if (url := _url(check)) else own_or_none
        for check, own_or_none in ((ANTISPOOFING, own), (DEEPFAKE, NoProvider()))
    }


def health() -> dict[str, str]:
    """`ok` or `failing` for each check that a service makes, as this process met it."""
    return {
        check: "failing" if http_provider(check, url).breaker.is_open else "ok"
        for check in CHECKS
        if (url := _url(check))
    }


@lru_cache(maxsize=16)
def http_provider(check: str, url: str) -> HttpProvider:
    return HttpProvider(check, url)


def _url(check: str) -> str:
    url: str = {
        ANTISPOOFING: settings.ANTISPOOFING_SERVICE_URL,
        DEEPFAKE: settings.DEEPFAKE_DETECTION_SERVICE_URL,
    }[check]
    return url


def _threshold(check: str) -> float:
    threshold: float = {
        ANTISPOOFING: settings.FACESVC_LIVENESS_THRESHOLD,
        DEEPFAKE: settings.FACESVC_DEEPFAKE_THRESHOLD,
    }[check]
    return threshold


def _body(check: str, look: Look) -> bytes:
    return json.dumps(
        {
            "check": check,
            "image": base64.b64encode(look.encoded).decode(),
            "face": {"box": box_of(look.face), "rotation": look.face.rotation},
        }
    ).encode()


def _score(answer: bytes) -> float:
    """Raises ExchangeError."""
    try:
        data = strict_json.loads(answer.decode())
    except ValueError:
        raise ExchangeError("malformed") from None
    score = data.get("score") if isinstance(data, dict) else None
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ExchangeError("malformed")
    return float(score)
