"""Failed attempts: after 5 a delay that grows, after 50 a lock until a moderator unlocks.

Failures for a user are counted by where the attempt comes from:

1. The user's own token is counted as `own`. Each device from which the user was verified before is
   counted by itself: failures at a device that somebody shares with the user concern no other.
2. Any other source is counted by itself, and all of them together as `others`, which has more
   patience and no lock. `others` is forgotten after a day without a failure, and not by a success
   of the user: that says nothing about strangers, and would give them 25 more guesses each time.

One failure of a source is forgotten for each hour without another. A success of the user's own
token or device forgets all of them. A success of any other source takes back one: a service without
devices stands for the user and for everybody who guesses at its door, so the failures before the
success may be somebody else's.

So a stranger who fails for a user blocks first the stranger's own source, then other strangers, and
never the user. Failures are counted when the result is known. An attempt that finds its source
blocked by then does not get the result: of many attempts at once at most 5 learn anything.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from recognition import audit
from recognition.access import Caller
from recognition.collections.hashes import keyed
from recognition.errors import ServiceError
from recognition.models import Attempt, FailureCount
from recognition.prepared import Blank, Scalar, kept

_SALT = "recognition.lockout"  # a part of stored hashes
OWN, OTHERS = "own", "others"
# Failures from which on there is a delay, and from which on a lock.
DELAYED, OTHERS_DELAYED, LOCKED = 5, 25, 50
# How long failures for several users are suspicious, and how many attempts of a client are read.
_USERS_WITHIN, _NEWEST_OF_CLIENT = timedelta(hours=1), 200
# The parts of a failure. A frame of a call that shows somebody else is one part.
PARTS = 5
# The first delay, doubled with every further failure, and the longest.
DELAY, LONGEST_DELAY = timedelta(seconds=30), timedelta(hours=1)
# The time without a failure after which one is forgotten, and after which `others` is.
_FORGIVEN_AFTER, _STRANGERS_FORGIVEN_AFTER = timedelta(hours=1), timedelta(days=1)

# Makes the rows or locks those that are there, which the ORM cannot do at once. They are in the
# order of the sources, so that of two attempts at once only one waits for the other.
_LOCK = """
INSERT INTO recognition_failurecount AS c (user_id, source, failures, parts, last_failure_at)
SELECT %(user)s, source, 0, 0, clock_timestamp() FROM unnest(%(sources)s::text[]) AS source
ORDER BY source
ON CONFLICT (user_id, source) DO UPDATE SET source = c.source
RETURNING *, clock_timestamp() AS now
"""
_FAILED_BY_DEVICE = """(
SELECT count(DISTINCT user_id) FROM recognition_attempt WHERE at > %s AND device = %s AND is_failure
)"""
_FAILED_BY_CLIENT = """(
SELECT CASE WHEN failed > succeeded THEN failed ELSE 0 END
FROM (
    SELECT count(*) FILTER (WHERE succeeds) AS succeeded,
        count(*) FILTER (WHERE fails AND NOT succeeds) AS failed
    FROM (
        SELECT bool_or(result = 'success') AS succeeds, bool_or(is_failure) AS fails
        FROM (
            SELECT user_id, result, is_failure FROM recognition_attempt
            WHERE at > %s AND source = %s ORDER BY at DESC LIMIT %s
        ) AS newest
        GROUP BY user_id
    ) AS of_each_user
) AS of_client
)"""


@dataclass(frozen=True)
class Source:
    """Where an attempt for a user comes from. `device` is the key of the device, or empty.

    `counted_as` names the counts that its failures add to, one or two, its own one first.
    """

    user_id: UUID
    name: str
    device: str
    counted_as: list[str]

    @property
    def is_the_users(self) -> bool:
        """Whether it is the user's own token or device."""
        return OTHERS not in self.counted_as


def device_key(device_id: str) -> str:
    """32 hexadecimal digits that stand for a device, whose id is a secret."""
    if not device_id:
        return ""
    return keyed(_SALT, device_id).hexdigest()[:32]


def source_of(caller: Caller, user_id: UUID, device: str) -> Source:
    name = caller.name
    if caller.user_id == user_id:
        counted_as = [OWN]
    elif device and is_known(user_id, device):
        counted_as = [f"{OWN}/{device}"]
    else:
        counted_as = [f"{name}/{device}" if device else name, OTHERS]
    return Source(user_id, name, device, counted_as)


def is_known(user_id: UUID, device: str) -> bool:
    """Whether the user was verified from the device before, through any client."""
    return bool(_successes({"user": user_id, "device": device}))


@kept
def _successes() -> QuerySet[Any, Any]:
    mine = Attempt.objects.filter(user=Blank("user"), device=Blank("device"), result="success")
    return mine.values_list("pk")[:1]


def before(source: Source) -> dict[str, Scalar]:
    """Whether the user was verified before, and whether from the device of the attempt. If it names
    none, only attempts from some device count."""
    values = {"user": source.user_id, "device": source.device}
    verified = _verified_before.has_rows(values, from_device=not source.device)
    if not source.device:
        return {"verified": verified}
    return {"verified": verified, "verified here": _successes.has_rows(values)}


def is_new_device(answers: Mapping[str, bool]) -> bool:
    """Whether the user was verified before, and not from this device, by the answers to `before`.
    An attempt that names no device is new for a user who has one."""
    return answers["verified"] and not answers.get("verified here", False)


@kept
def _verified_before(*, from_device: bool) -> QuerySet[Any, Any]:
    before = Attempt.objects.filter(user=Blank("user"), result="success")
    return (before.exclude(device="") if from_device else before).values_list("pk")[:1]


def users_failing(source: Source) -> dict[str, Scalar]:
    """How many users' attempts failed within an hour, from the same device or client.

    A client's failures count if more of its users failed than succeeded, among its last attempts.
    A client without devices stands for all of its users, and some of them always fail: a fifth of
    the honest photos at `standard`, with the pack dlib. What came through the client does not
    concern known devices and users' own tokens.
    """
    since, asked = timezone.now() - _USERS_WITHIN, {}
    if source.device:
        asked["failed by device"] = Scalar(_FAILED_BY_DEVICE, [since, source.device])
    if not source.is_the_users:
        values = [since, source.name, _NEWEST_OF_CLIENT]
        asked["failed by client"] = Scalar(_FAILED_BY_CLIENT, values)
    return asked


def users_failed(answers: Mapping[str, int]) -> int:
    """The number of users, by the answers to `users_failing`."""
    return max(answers.get("failed by device", 0), answers.get("failed by client", 0))


def require_free(source: Source) -> int:
    """The most failures of any of its counts. Raises too_many_attempts, locked."""
    return _most_failures(_read(source))


def failed(source: Source, *, parts: int = PARTS) -> bool:
    """Count a failure, or some parts of one, in the caller's transaction. Returns whether that made
    a whole failure. Raises too_many_attempts, locked.
    """
    values = {"user": source.user_id, "sources": source.counted_as}
    counts = [_Count(row, row.now) for row in FailureCount.objects.raw(_LOCK, values)]  # type: ignore[attr-defined]
    _most_failures(counts)
    whole = {count.row.source: count.add(parts) for count in counts}
    fields = ["failures", "parts", "last_failure_at", "blocked_until", "locked_at"]
    FailureCount.objects.bulk_update([count.row for count in counts], fields)
    return whole[source.counted_as[0]]


def succeeded(source: Source) -> None:
    """Forget failures, in the caller's transaction. Raises too_many_attempts, locked."""
    counts = _read(source, lock=True)
    _most_failures(counts)
    # Only what is locked here: any other row might be waited for in another order.
    mine = [count for count in counts if count.row.source == source.counted_as[0]]
    if mine and (source.is_the_users or all(count.failures <= 1 for count in mine)):
        FailureCount.objects.filter(pk__in=[count.row.pk for count in mine]).delete()
    if source.is_the_users or not any(count.failures for count in mine):
        return
    left = [count.row.pk for count in counts if count.failures > 1 or count not in mine]
    rows = FailureCount.objects.filter(pk__in=left)
    rows.update(failures=Greatest(F("failures") - 1, 0), blocked_until=None)


@dataclass(frozen=True)
class _Count:
    """The failures of a source, by the clock of the database."""

    row: FailureCount
    now: datetime

    @property
    def failures(self) -> int:
        """Those that are not forgotten."""
        age = self.now - self.row.last_failure_at
        if self.row.source == OTHERS:
            return 0 if age > _STRANGERS_FORGIVEN_AFTER else self.row.failures
        return max(0, self.row.failures - max(0, age // _FORGIVEN_AFTER))

    @property
    def wait(self) -> float:
        """Seconds. A delay above the longest comes of a clock that was set back since."""
        left = (self.row.blocked_until or self.now) - self.now
        return left.total_seconds() if left <= LONGEST_DELAY else 0

    def add(self, parts: int) -> bool:
        """Count parts of a failure. Returns whether they made a whole one.

        `others` is delayed and never locked: to lock a user out would be too cheap.
        """
        row, is_others = self.row, self.row.source == OTHERS
        is_whole, row.parts = divmod(row.parts + parts, PARTS)
        row.failures, row.last_failure_at = self.failures + is_whole, self.now
        if is_whole:
            doubled = row.failures - (OTHERS_DELAYED if is_others else DELAYED)
            delay = min(LONGEST_DELAY, DELAY * 2 ** min(doubled, 10)) if doubled >= 0 else None
            row.blocked_until = self.now + delay if delay else None
            row.locked_at = self.now if row.failures >= LOCKED and not is_others else None
        return bool(is_whole)


def has_counts(source: Source) -> Scalar:
    """Whether anything is counted for the source. Otherwise it is free, and nothing failed."""
    return _counts.has_rows(_counted_as(source), lock=False)


def _read(source: Source, *, lock: bool = False) -> list[_Count]:
    return [_Count(row, row.now) for row in _counts(_counted_as(source), lock=lock)]


def _counted_as(source: Source) -> dict[str, Any]:
    first, last = source.counted_as[0], source.counted_as[-1]
    return {"user": source.user_id, "first": first, "last": last}


@kept
def _counts(*, lock: bool) -> QuerySet[Any]:
    # No list of them: psycopg takes long to write one.
    counted = Q(source=Blank("first")) | Q(source=Blank("last"))
    rows = FailureCount.objects.filter(counted, user=Blank("user")).order_by("source")
    rows = rows.annotate(now=Now())
    return rows.select_for_update() if lock else rows


def _most_failures(counts: list[_Count]) -> int:
    """Raises too_many_attempts, locked."""
    if any(count.row.locked_at for count in counts):
        raise ServiceError("locked", "Too many attempts failed; a moderator has to unlock.")
    wait = max((count.wait for count in counts), default=0)
    if wait > 0:
        seconds = max(1, round(wait))
        message = f"Too many attempts failed; the next one is possible in {seconds} seconds."
        raise ServiceError("too_many_attempts", message, {"retry_after": seconds})
    return max((count.failures for count in counts), default=0)


@transaction.atomic
def unlock(
    user_id: UUID, *, actor: str, sources: Collection[str] | None = None, **details: Any
) -> int:
    """Forget the failures for a user, from some sources or from all. Returns how many counts there
    were. If there were any, the audit log gets an event with the details.
    """
    counts = FailureCount.objects.filter(user=user_id)
    if sources is not None:
        counts = counts.filter(source__in=sources)
    # Locked in the order of the other statements, so that they never wait for each other.
    rows = counts.order_by("source").select_for_update()
    count, _ = FailureCount.objects.filter(pk__in=[row.pk for row in rows]).delete()
    if count:
        audit.note(actor, "user.unlock", user_id=user_id, **details)
    return count
