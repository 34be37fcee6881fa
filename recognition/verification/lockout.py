"""Failed attempts: after 5 a delay that grows, after 50 a lock until a moderator unlocks.

Counted for each user, by where the attempt comes from:

1. The user's own token as `own`, and each device from which the user was verified before for
   itself: whoever fails at a device that they share with the user does not concern the others.
2. Any other source: for itself, and all of them together as `others`, with more patience, and
   without a lock. These are forgotten after a day without any, and not by a success of the user's:
   it says nothing about strangers, and would give a patient one 25 guesses more each time.

Failures of a source decay: one is forgotten for each hour without another. A success of the user's
own token or device forgets all of them. Any other takes back one, since nobody knows whether the
failures before it were the user's: a service without devices stands for the user and for whoever
guesses at its door.

So a stranger who fails for a user stops the own source first, then other strangers, and never the
user. Failures are counted when the result is known, and an attempt that finds its source blocked by
then is not told the result: of many at once no more than 5 learn anything.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from recognition import audit
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.models import Attempt, FailureCount

_SALT = "recognition.lockout"
OWN, OTHERS = "own", "others"
# Failures from which on there is a delay, and from which on a lock.
DELAYED, OTHERS_DELAYED, LOCKED = 5, 25, 50
# Within which many failures for different users are suspicious, and the attempts of a client that
# are looked at.
_USERS_WITHIN, _NEWEST_OF_CLIENT = timedelta(hours=1), 200
# A failure has so many parts: a frame of a call that shows somebody else is one of them.
PARTS = 5
# Seconds; doubled with every further failure, up to the longest.
DELAY, LONGEST_DELAY = 30, 3600
# Seconds without a failure after which one is forgotten.
FORGIVEN_AFTER = 3600
# What is left of the failures, in SQL.
_FAILURES = f"""CASE WHEN c.source <> '{OTHERS}' THEN greatest(0, c.failures - greatest(0,
        floor(extract(epoch FROM clock_timestamp() - c.last_failure_at) / {FORGIVEN_AFTER})))::int
    WHEN c.last_failure_at < clock_timestamp() - interval '1 day' THEN 0 ELSE c.failures END"""

# Seconds to wait. A delay that is longer than any is of a clock that was set back since.
_WAIT = f"""CASE WHEN c.blocked_until <= clock_timestamp() + interval '{LONGEST_DELAY} seconds'
    THEN extract(epoch FROM c.blocked_until - clock_timestamp())::float END"""

# One statement, which the ORM cannot say: counts a failure, or a part of one, unless the source is
# blocked. The strangers together are delayed, and never locked: that would be too cheap. In the
# order of the sources, so that two at once wait for each other and never both.
_COUNT = f"""
INSERT INTO recognition_failurecount AS c (user_id, source, failures, parts, last_failure_at)
SELECT %(user)s, source, %(parts)s::int / {PARTS}, mod(%(parts)s::int, {PARTS}), clock_timestamp()
FROM unnest(%(sources)s::text[]) AS source
ORDER BY source
ON CONFLICT (user_id, source) DO UPDATE SET
    failures = {_FAILURES} + (c.parts + %(parts)s::int) / {PARTS},
    parts = mod(c.parts + %(parts)s::int, {PARTS}),
    last_failure_at = clock_timestamp(),
    blocked_until = CASE WHEN c.parts + %(parts)s::int < {PARTS} THEN c.blocked_until
        WHEN {_FAILURES} + 1 >= {{delayed}} THEN clock_timestamp()
        + least({LONGEST_DELAY}, {DELAY} * 2 ^ ({_FAILURES} + 1 - {{delayed}}))
        * interval '1 second' END,
    locked_at = CASE WHEN c.parts + %(parts)s::int >= {PARTS} AND {_FAILURES} + 1 >= {LOCKED}
        AND c.source <> '{OTHERS}' THEN clock_timestamp() END
WHERE c.locked_at IS NULL AND coalesce({_WAIT} <= 0, true)
RETURNING source, parts
""".format(delayed=f"CASE c.source WHEN '{OTHERS}' THEN {OTHERS_DELAYED} ELSE {DELAYED} END")

# FOR UPDATE locks in this order, too.
_READ = f"""
SELECT id, source, {_FAILURES}, locked_at IS NOT NULL, {_WAIT}
FROM recognition_failurecount c WHERE user_id = %(user)s AND source = ANY (%(sources)s::text[])
ORDER BY source
"""


@dataclass(frozen=True)
class Source:
    """Where an attempt for a user comes from. `device` is the key of one, if the client named one.

    `counted_as` names the counts that its failures add to, its own one first.
    """

    user_id: UUID
    name: str
    device: str
    is_own: bool  # the user's token
    is_known: bool = False  # the user's device

    @property
    def is_the_users(self) -> bool:
        return self.is_own or self.is_known

    @property
    def counted_as(self) -> list[str]:
        if self.is_own:
            return [OWN]
        if self.is_known:
            return [f"{OWN}/{self.device}"]
        return [f"{self.name}/{self.device}" if self.device else self.name, OTHERS]


def device_key(device_id: str) -> str:
    """32 hexadecimal digits that stand for a device: its id is a secret, which nobody may read."""
    if not device_id:
        return ""
    return salted_hmac(_SALT, device_id, algorithm="sha256").hexdigest()[:32]


def source_of(caller: Caller, user_id: UUID, device: str) -> Source:
    if caller.user_id == user_id:
        return Source(user_id, caller.name, device, is_own=True)
    known = bool(device) and is_known(user_id, device)
    return Source(user_id, caller.name, device, is_own=False, is_known=known)


def is_known(user_id: UUID, device: str) -> bool:
    """Whether the user was verified from the device before, through whichever client."""
    return Attempt.objects.filter(user=user_id, device=device, result="success").exists()


def is_new_device(source: Source) -> bool:
    """Whether the user was verified before, and not from this device. One that is not named is new
    for a user who has some."""
    before = Attempt.objects.filter(user=source.user_id, result="success")
    if source.device:
        return before.exists() and not is_known(source.user_id, source.device)
    return before.exclude(device="").exists()


def users_failed(source: Source) -> int:
    """For how many users attempts from the same device failed within an hour; or of the client's
    last attempts, when they are more than those that succeeded.

    A client without devices stands for all of its users, some of whom always fail: a fifth of the
    honest photos at `standard`, with the default pack. Known devices and users' own tokens are not
    concerned by what else came through the client.
    """
    recent = Attempt.objects.filter(at__gt=timezone.now() - _USERS_WITHIN)
    tried = recent.filter(device=source.device, is_failure=True).values("user").distinct()
    by_device = tried.count() if source.device else 0
    if source.is_the_users:
        return by_device
    newest = recent.filter(source=source.name).order_by("-at")[:_NEWEST_OF_CLIENT]
    rows = newest.values_list("user", "result", "is_failure")
    succeeded = {user for user, result, _ in rows if result == "success"}
    failed = {user for user, _, is_failure in rows if is_failure} - succeeded
    return max(by_device, len(failed) if len(failed) > len(succeeded) else 0)


def require_free(source: Source) -> int:
    """How many failures it has. Raises too_many_attempts, locked."""
    return _judge(_read(source.user_id, source.counted_as))


def failed(source: Source, *, parts: int = PARTS) -> bool:
    """Count a failure, or one part, in the caller's transaction: whether that made a whole one.

    Raises too_many_attempts, locked.
    """
    values: dict[str, Any] = {"user": source.user_id, "sources": source.counted_as, "parts": parts}
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        counted = dict(cursor.fetchall())
    if len(counted) < len(source.counted_as):
        require_free(source)
        raise _too_many(1)  # the delay ended between the two statements
    return parts == PARTS or counted[source.counted_as[0]] == 0


def succeeded(source: Source) -> None:
    """Forget failures, in the caller's transaction. Raises too_many_attempts, locked."""
    counts = _read(source.user_id, source.counted_as, lock=True)
    _judge(counts)
    # Only what is locked here: any other row might be waited for in another order.
    mine = [count for count in counts if count.source == source.counted_as[0]]
    if source.is_the_users or all(count.failures <= 1 for count in mine):
        FailureCount.objects.filter(pk__in=[count.id for count in mine]).delete()
    if source.is_the_users or not any(count.failures for count in mine):
        return
    left = [count.id for count in counts if count.failures > 1 or count not in mine]
    rows = FailureCount.objects.filter(pk__in=left)
    rows.update(failures=Greatest(F("failures") - 1, 0), blocked_until=None)


class _Count(NamedTuple):
    id: int
    source: str
    failures: int
    is_locked: bool
    wait: float | None  # seconds


def _read(user_id: UUID, sources: list[str], *, lock: bool = False) -> list[_Count]:
    with connection.cursor() as cursor:
        statement = _READ + ("FOR UPDATE" if lock else "")
        cursor.execute(statement, {"user": user_id, "sources": sources})
        return [_Count(*row) for row in cursor.fetchall()]


def _judge(counts: list[_Count]) -> int:
    """The most failures of any. Raises too_many_attempts, locked."""
    if any(count.is_locked for count in counts):
        raise ServiceError("locked", "Too many attempts failed; a moderator has to unlock.")
    wait = max((count.wait or 0 for count in counts), default=0)
    if wait > 0:
        raise _too_many(wait)
    return max((count.failures for count in counts), default=0)


def _too_many(wait: float) -> ServiceError:
    seconds = max(1, round(wait))
    return ServiceError(
        "too_many_attempts",
        f"Too many attempts failed; the next one is possible in {seconds} seconds.",
        {"retry_after": seconds},
    )


@transaction.atomic
def unlock(
    user_id: UUID, *, actor: str, sources: Collection[str] | None = None, **details: Any
) -> int:
    """Forget the failures for a user, from some sources or from all. How many counts there were;
    it is logged if any, with the details."""
    counts = FailureCount.objects.filter(user=user_id)
    if sources is not None:
        counts = counts.filter(source__in=sources)
    # Locked in the order of the other statements, so that they never wait for each other.
    rows = counts.order_by("source").select_for_update()
    count, _ = FailureCount.objects.filter(pk__in=[row.pk for row in rows]).delete()
    if count:
        audit.note(actor, "user.unlock", user_id=user_id, **details)
    return count
