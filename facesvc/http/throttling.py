"""Rate limits a token, counted in PostgreSQL and so right across processes and machines."""

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.db import connection
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from recognition.access import Caller
from recognition.processes.current_request import current

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module

# One statement that the ORM cannot express: it counts this request in both windows, unless one of
# them is full, so that refusals use nothing up. A window starts with its first request, and again
# with the first request after its end. A window that starts far in the future was made before the
# clock was set back.
_MINUTE, _HOUR = (
    f"(w.{name}_start > now() - interval '1 {name}'"
    f" AND w.{name}_start < now() + interval '1 minute')"
    for name in ("minute", "hour")
)
_COUNT = f"""
INSERT INTO recognition_ratewindow AS w (key, minute_start, minute_count, hour_start, hour_count)
VALUES (%(key)s, now(), 1, now(), 1)
ON CONFLICT (key) DO UPDATE SET
    minute_count = CASE WHEN {_MINUTE} THEN w.minute_count + 1 ELSE 1 END,
    minute_start = CASE WHEN {_MINUTE} THEN w.minute_start ELSE now() END,
    hour_count = CASE WHEN {_HOUR} THEN w.hour_count + 1 ELSE 1 END,
    hour_start = CASE WHEN {_HOUR} THEN w.hour_start ELSE now() END
WHERE (NOT {_MINUTE} OR w.minute_count < %(minute)s) AND (NOT {_HOUR} OR w.hour_count < %(hour)s)
RETURNING minute_count, extract(epoch FROM minute_start + interval '1 minute' - now())::float,
    hour_count, extract(epoch FROM hour_start + interval '1 hour' - now())::float
"""
# Reads both windows after a refusal; a window that is over counts as empty.
_LOOK = """
SELECT CASE WHEN minute_left > 0 THEN minute_count ELSE 0 END, minute_left,
    CASE WHEN hour_left > 0 THEN hour_count ELSE 0 END, hour_left
FROM (
    SELECT minute_count, hour_count,
        extract(epoch FROM minute_start + interval '1 minute' - now())::float AS minute_left,
        extract(epoch FROM hour_start + interval '1 hour' - now())::float AS hour_left
    FROM recognition_ratewindow WHERE key = %(key)s
) AS w
"""
_NO_LIMIT = 2**31 - 1


class RateLimits(NamedTuple):
    """Requests a minute and an hour; 0 for no limit."""

    minute: int
    hour: int


class Window(NamedTuple):
    limit: int
    remaining: int
    left: float  # seconds to the end of the window
    name: str


def count(what: str, limits: RateLimits) -> tuple[bool, list[Window]]:
    """Count one request if both windows have room.

    Returns whether they had room, and the windows that have a limit.
    """
    # The key is a digest: a reader of the table must not be able to use a token.
    key = hashlib.sha256(what.encode()).hexdigest()
    most = {"minute": limits.minute or _NO_LIMIT, "hour": limits.hour or _NO_LIMIT}
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"key": key, **most})
        found = cursor.fetchone()
        has_room = found is not None
        if not has_room:
            cursor.execute(_LOOK, {"key": key})
            found = cursor.fetchone() or (0, 0.0, 0, 0.0)  # the row has just been deleted
    windows = [
        Window(limit, max(0, limit - used), max(0.0, left), name)
        for limit, used, left, name in zip(
            limits, found[::2], found[1::2], ("minute", "hour"), strict=True
        )
        if limit
    ]
    return has_room, windows


class TokenThrottle(BaseThrottle):
    """RATE_LIMIT_PER_MINUTE and RATE_LIMIT_PER_HOUR, or what the token itself says."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Raises Throttled, which names the limit."""
        limits = _limits_of(request)
        if not any(limits):
            return True
        has_room, windows = count(str(request.auth), limits)
        # The window that is full soonest, and the full window that lasts longest.
        nearest = min(windows, key=lambda window: (window.remaining, -window.left))
        current.get().rate_limit = {
            "RateLimit-Limit": str(nearest.limit),
            "RateLimit-Remaining": str(nearest.remaining),
            "RateLimit-Reset": str(max(1, round(nearest.left))),
        }
        if not has_room:
            raise Throttled(max(1, nearest.left), _message(request, nearest))
        return True


def _own_limit(request: Request) -> int | None:
    return request.user.calls_per_minute if isinstance(request.user, Caller) else None


def _limits_of(request: Request) -> RateLimits:
    if own := _own_limit(request):
        return RateLimits(own, 60 * own)
    return RateLimits(settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR)


def _message(request: Request, window: Window) -> str:
    name = f"RATE_LIMIT_PER_{window.name.upper()}"
    source = "its calls_per_minute" if _own_limit(request) else name
    return f"This token may make {window.limit} calls per {window.name} ({source})."
