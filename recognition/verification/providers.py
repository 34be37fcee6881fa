"""Anti-spoofing and deepfake checks: by the pack's own network, or by a service over HTTP.

A provider only says how real a face looks. recognition.verification.risk decides what follows.

A service never gets the bytes of the caller, who could choose some that are slow to decode, or that
the service reads as another picture: the check would say nothing. It gets a JPEG of bounded size:
the face with its surroundings, which would show the frame of a screen or the edge of a print.
"""

import base64
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal, Self

import cv2
import numpy as np
from django.conf import settings

from recognition import strict_json
from recognition.collections.current import rule
from recognition.inference.arrays import Image
from recognition.inference.images import as_jpeg, turned
from recognition.inference.pipeline import DetectedFace
from recognition.outbound.exchange import ExchangeError, fetch
from recognition.packs.engine import Engine
from recognition.processes.slots import stage
from recognition.verification.service_health import ServiceHealth

logger = logging.getLogger(__name__)

ANTISPOOFING, DEEPFAKE = "antispoofing", "deepfake"
CHECKS = (ANTISPOOFING, DEEPFAKE)
# Requests to a service that a process has open at once. Others wait, before their deadline.
_AT_ONCE = 16
# How much is shown, in sides of the face's box. MiniFASNet looks at 2.7 and 4 of them.
_SURROUNDINGS = 4.0
_LONGEST_SIDE = 640  # pixels


@dataclass(frozen=True)
class Outcome:
    """What a check says. `missing`: no usable answer, for a `reason`. `score`: 0 (fake) to 1."""

    state: Literal["passed", "failed", "missing", "unconfigured"]
    score: float | None = None
    reason: str = ""

    @classmethod
    def of_score(cls, score: float, threshold: float) -> Self:
        return cls("passed" if score >= threshold else "failed", round(score, 4))

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


UNCONFIGURED = Outcome("unconfigured")
# Waits for the outcome of a check that was begun.
Pending = Callable[[], Outcome]


class HttpProvider:
    """A service: docs/liveness.md describes its request and its response."""

    def __init__(self, check: str, url: str) -> None:
        self.health = ServiceHealth(self._probe)
        self._check = check
        self._url = url
        # Each service has a pool, so that a slow one does not delay the other. A request leaves it
        # at its deadline, even if the service does not answer.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=check)

    def begin(self, picture: Image, face: DetectedFace, user: str) -> Pending:
        deadline = _deadline()
        if not self.health.allows():
            return lambda: Outcome("missing", reason="breaker_open")
        shown = picture_of(picture, face)
        body = _body(self._check, shown.encoded, shown.box)
        threshold = _threshold(self._check)  # that thread is in no collection
        future = self._threads.submit(self._ask, body, user, deadline, threshold)
        return lambda: self._wait(future, user, deadline)

    def _ask(self, body: bytes, user: str, deadline: float, threshold: float) -> Outcome:
        """Runs in another thread than the request, and uses no database."""
        try:
            try:
                score = _score(fetch(self._url, body, deadline=deadline))
            except ExchangeError as error:
                if not error.may_retry:
                    raise
                score = _score(fetch(self._url, body, deadline=deadline))
        except ExchangeError as error:
            self._failed(error.reason, user)
            return Outcome("missing", reason=error.reason)
        if self.health.succeeded():
            logger.info("The %s service answers again.", self._check)
        return Outcome.of_score(score, threshold)

    def _failed(self, reason: str, user: str) -> None:
        if self.health.failed(user):
            logger.warning("The %s service fails (%s), and is left alone.", self._check, reason)

    def _wait(self, future: "Future[Outcome]", user: str, deadline: float) -> Outcome:
        try:
            return future.result(max(0, deadline - time.monotonic()))
        except TimeoutError:
            # A request that waits for a thread is cancelled and counted: the service is too slow.
            # One that was sent ends at the same deadline, and counts its own failure.
            if future.cancel():
                self._failed("timeout", user)
            return Outcome("missing", reason="timeout")

    def _probe(self) -> None:
        self._threads.submit(self._answer_probe, _deadline())

    def _answer_probe(self, deadline: float) -> None:
        try:
            _score(fetch(self._url, _probe_body(self._check), deadline=deadline))
        except ExchangeError as error:
            logger.warning("The %s service fails a probe (%s).", self._check, error.reason)
            self.health.probed(is_well=False)
        else:
            self.health.probed(is_well=True)


def least_box() -> int:
    """The side of a face's box, in pixels, for which a service gets all that it is to get."""
    return round(_LONGEST_SIDE / _SURROUNDINGS) if _urls() else 0


def begin(active: Engine, picture: Image, face: DetectedFace, user: str) -> dict[str, Pending]:
    """Start all checks of the face for a user; those of services run beside other work."""
    pending: dict[str, Pending] = {DEEPFAKE: lambda: UNCONFIGURED}
    for check, url in _urls().items():
        pending[check] = http_provider(check, url).begin(picture, face, user)
    if ANTISPOOFING not in pending:
        # Now, while the request has its slot: later it could be refused another one.
        score = active.liveness(picture, face)
        pending[ANTISPOOFING] = lambda: _own(score)
    return pending


def _own(score: float | None) -> Outcome:
    """The anti-spoofing of the pack, if it has one."""
    if score is None:
        return UNCONFIGURED
    if not math.isfinite(score):
        return Outcome("missing", reason="malformed")
    return Outcome.of_score(score, _threshold(ANTISPOOFING))


@stage("checks")
def wait(pending: Mapping[str, Pending]) -> dict[str, Outcome]:
    """The outcomes of checks that were begun, after the time of the setting at most."""
    return {check: outcome() for check, outcome in pending.items()}


def as_json(outcomes: Mapping[str, Outcome]) -> dict[str, dict[str, Any]]:
    return {check: outcome.as_json() for check, outcome in outcomes.items()}


def from_json(stored: Mapping[str, dict[str, Any]]) -> dict[str, Outcome]:
    return {check: Outcome(**fields) for check, fields in stored.items()}


def health() -> dict[str, str]:
    """`ok`, `failing` or `unknown` (not asked yet) for each check that a service makes.

    As this process met it. The process asks by itself, but does not wait for the answer.
    """
    return {check: http_provider(check, url).health.state() for check, url in _urls().items()}


@lru_cache(maxsize=16)
def http_provider(check: str, url: str) -> HttpProvider:
    return HttpProvider(check, url)


def _urls() -> dict[str, str]:
    """The addresses of the services, for the checks that one makes."""
    urls = {
        ANTISPOOFING: settings.ANTISPOOFING_SERVICE_URL,
        DEEPFAKE: settings.DEEPFAKE_DETECTION_SERVICE_URL,
    }
    return {check: url for check, url in urls.items() if url}


def _threshold(check: str) -> float:
    names = {ANTISPOOFING: "FACESVC_LIVENESS_THRESHOLD", DEEPFAKE: "FACESVC_DEEPFAKE_THRESHOLD"}
    threshold: float = rule(names[check])
    return threshold


def _deadline() -> float:
    return time.monotonic() + settings.FACESVC_PROVIDER_SECONDS


@lru_cache(maxsize=2)
def _probe_body(check: str) -> bytes:
    """A small grey picture: any score is a good answer."""
    encoded = as_jpeg(np.full((64, 64, 3), 128, np.uint8))
    return _body(check, encoded, {"x": 16, "y": 16, "width": 32, "height": 32}, probe=True)


def _body(check: str, encoded: bytes, box: dict[str, int], **fields: bool) -> bytes:
    picture = base64.b64encode(encoded).decode()
    face = {"box": box, "rotation": 0}  # the picture is upright already
    return json.dumps({"check": check, **fields, "image": picture, "face": face}).encode()


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


@dataclass(frozen=True)
class CheckPicture:
    """An encoded upright picture, and the box of the face in its pixels."""

    encoded: bytes
    box: dict[str, int]


def picture_of(image: Image, face: DetectedFace) -> CheckPicture:
    upright = turned(image, face.rotation) if face.rotation else image
    height, width = upright.shape[:2]
    reach = _SURROUNDINGS / 2 * float(np.max(face.box[2:] - face.box[:2]))
    x, y = face.centre
    left, right = (int(np.clip(edge, 0, width)) for edge in (x - reach, np.ceil(x + reach)))
    top, bottom = (int(np.clip(edge, 0, height)) for edge in (y - reach, np.ceil(y + reach)))
    part = upright[top:bottom, left:right]
    scale = min(1.0, _LONGEST_SIDE / max(part.shape[:2]))
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in (right - left, bottom - top))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return CheckPicture(as_jpeg(part), _box_in(part, face, (left, top), scale))


def _box_in(
    part: Image, face: DetectedFace, corner: tuple[int, int], scale: float
) -> dict[str, int]:
    """The box of the face in a part of the picture, cut off at the border."""
    height, width = part.shape[:2]
    corners = (face.box - np.array([*corner, *corner])) * scale
    x1, y1, x2, y2 = np.clip(np.round(corners), 0, [width, height, width, height]).astype(int)
    return {"x": int(x1), "y": int(y1), "width": int(x2 - x1), "height": int(y2 - y1)}
