"""Counts what is limited by minute and hour, in PostgreSQL: right across processes and machines."""

import hashlib
from typing import NamedTuple

from recognition.collections.current import rule
from recognition.prepared import Row, fetched

# One statement that the ORM cannot express: it counts in both windows, unless one of them is full,
# so that refusals use nothing up. A window starts with the first that it counts, and again with the
# first after its end. A window that starts far in the future was made before the clock was set
# back.
_MINUTE, _HOUR = (
    f"(w.{name}_start > now() - interval '1 {name}'"
    f" AND w.{name}_start < now() + interval '1 minute')"
    for name in ("minute", "hour")
)
_COUNT = f"""
INSERT INTO recognition_ratewindow AS w (key, minute_start, minute_count, hour_start, hour_count)
VALUES (%(key)s, now(), %(by)s, now(), %(by)s)
ON CONFLICT (key) DO UPDATE SET
    minute_count = CASE WHEN {_MINUTE} THEN w.minute_count ELSE 0 END + %(by)s,
    minute_start = CASE WHEN {_MINUTE} THEN w.minute_start ELSE now() END,
    hour_count = CASE WHEN {_HOUR} THEN w.hour_count ELSE 0 END + %(by)s,
    hour_start = CASE WHEN {_HOUR} THEN w.hour_start ELSE now() END
WHERE (NOT {_MINUTE} OR w.minute_count < %(minute)s) AND (NOT {_HOUR} OR w.hour_count < %(hour)s)
RETURNING minute_count, extract(epoch FROM minute_start + interval '1 minute' - now())::float,
    hour_count, extract(epoch FROM hour_start + interval '1 hour' - now())::float
"""
# Reads both windows; a window that is over, or of a clock that was set back, counts as empty.
_LOOK = f"""
SELECT CASE WHEN {_MINUTE} THEN minute_count ELSE 0 END,
    extract(epoch FROM minute_start + interval '1 minute' - now())::float,
    CASE WHEN {_HOUR} THEN hour_count ELSE 0 END,
    extract(epoch FROM hour_start + interval '1 hour' - now())::float
FROM recognition_ratewindow AS w WHERE key = %(key)s
"""
NO_LIMIT = 2**31 - 1


class RateLimits(NamedTuple):
    """What is allowed in a minute and in an hour; 0 for no limit."""

    minute: int
    hour: int


def limits_of(own: int | None) -> RateLimits:
    """The limits of a token or key: its own calls per minute, or those of the settings."""
    if own:
        return RateLimits(own, 60 * own)
    return RateLimits(rule("RATE_LIMIT_PER_MINUTE"), rule("RATE_LIMIT_PER_HOUR"))


class Window(NamedTuple):
    limit: int
    used: int
    left: float  # seconds to the end of the window
    name: str

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


def count(what: str, limits: RateLimits, by: int = 1) -> tuple[bool, list[Window]]:
    """Count `by` more if both windows of something have room.

    Returns whether they had room, and the windows that have a limit.
    """
    most = {"minute": limits.minute or NO_LIMIT, "hour": limits.hour or NO_LIMIT}
    found = fetched(_COUNT, {"key": _digest(what), "by": by, **most})
    return bool(found), _windows(found[0], limits) if found else look(what, limits)


def look(what: str, limits: RateLimits) -> list[Window]:
    """The windows of something that have a limit."""
    found = fetched(_LOOK, {"key": _digest(what)}) or [(0, 0.0, 0, 0.0)]  # nothing is counted yet
    return _windows(found[0], limits)


def _digest(what: str) -> str:
    """A reader of the table must not be able to use a token."""
    return hashlib.sha256(what.encode()).hexdigest()


def _windows(found: Row, limits: RateLimits) -> list[Window]:
    each = zip(limits, found[::2], found[1::2], ("minute", "hour"), strict=True)
    return [
        Window(limit, int(used), max(0.0, left), name) for limit, used, left, name in each if limit
    ]
