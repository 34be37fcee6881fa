"""Rate limits a token, counted in PostgreSQL and so right across processes and machines."""

import hashlib
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module

# One statement, which the ORM cannot say: counts this request in both windows, starting a window
# anew when it is over. A window starts with its first request.
_COUNT = """
INSERT INTO recognition_ratewindow AS w (key, minute_start, minute_count, hour_start, hour_count)
VALUES (%(key)s, now(), 1, now(), 1)
ON CONFLICT (key) DO UPDATE SET
    minute_count = CASE WHEN w.minute_start > now() - interval '1 minute'
        THEN w.minute_count + 1 ELSE 1 END,
    minute_start = CASE WHEN w.minute_start > now() - interval '1 minute'
        THEN w.minute_start ELSE now() END,
    hour_count = CASE WHEN w.hour_start > now() - interval '1 hour'
        THEN w.hour_count + 1 ELSE 1 END,
    hour_start = CASE WHEN w.hour_start > now() - interval '1 hour'
        THEN w.hour_start ELSE now() END
RETURNING minute_count, extract(epoch FROM minute_start + interval '1 minute' - now())::float,
    hour_count, extract(epoch FROM hour_start + interval '1 hour' - now())::float
"""


def count(what: str) -> tuple[int, float, int, float]:
    """Count one more. How often in this minute and its seconds left, the same for the hour."""
    # Not the text itself: whoever reads the table must not be able to use a token.
    key = hashlib.sha256(what.encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"key": key})
        found: tuple[int, float, int, float] = cursor.fetchone()
    return found


class TokenThrottle(BaseThrottle):
    """RATE_LIMIT_PER_MINUTE and RATE_LIMIT_PER_HOUR; 0 turns one off."""

    def __init__(self) -> None:
        self._wait: float | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        limits = settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR
        if not any(limits):
            return True
        minute_count, minute_left, hour_count, hour_left = count(str(request.auth))
        windows = [
            (limit, limit - used, left)
            for limit, used, left in zip(
                limits, (minute_count, hour_count), (minute_left, hour_left), strict=True
            )
            if limit
        ]
        return self._judge(windows, request.META)

    def wait(self) -> float | None:
        return self._wait

    def _judge(self, windows: list[tuple[int, int, float]], meta: dict[str, Any]) -> bool:
        """Whether every window has room; the tightest one goes into the headers."""
        limit, remaining, left = min(windows, key=lambda window: window[1])
        meta["facesvc.rate_limit"] = {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(max(0, remaining)),
            "RateLimit-Reset": str(max(1, round(left))),
        }
        full = [left for _, remaining, left in windows if remaining < 0]
        self._wait = max(full, default=None)
        return not full
