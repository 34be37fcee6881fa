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
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now
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
# Doubled with every further failure, up to the longest.
DELAY, LONGEST_DELAY = timedelta(seconds=30), timedelta(hours=1)
# After so long without a failure one is forgotten, and all of those of strangers together.
_FORGIVEN_AFTER, _STRANGERS_FORGIVEN_AFTER = timedelta(hours=1), timedelta(days=1)

# Makes each row, or locks the one that is there, which the ORM cannot do at once. In the order of
# the sources, so that of two attempts at once only one waits for the other.
_LOCK = """
INSERT INTO recognition_failurecount AS c (user_id, source, failures, parts, last_failure_at)
SELECT %(user)s, source, 0, 0, clock_timestamp() FROM unnest(%(sources)s::text[]) AS source
ORDER BY source
ON CONFLICT (user_id, source) DO UPDATE SET source = c.source
RETURNING *, clock_timestamp() AS now
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
    values = {"user": source.user_id, "sources": source.counted_as}
    counts = [_Count(row, row.now) for row in FailureCount.objects.raw(_LOCK, values)]  # type: ignore[attr-defined]
    _judge(counts)
    whole = {count.row.source: count.add(parts) for count in counts}
    fields = ["failures", "parts", "last_failure_at", "blocked_until", "locked_at"]
    FailureCount.objects.bulk_update([count.row for count in counts], fields)
    return whole[source.counted_as[0]]


def succeeded(source: Source) -> None:
    """Forget failures, in the caller's transaction. Raises too_many_attempts, locked."""
    counts = _read(source.user_id, source.counted_as, lock=True)
    _judge(counts)
    # Only what is locked here: any other row might be waited for in another order.
    mine = [count for count in counts if count.row.source == source.counted_as[0]]
    if source.is_the_users or all(count.failures <= 1 for count in mine):
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
        """What is left of them."""
        age = self.now - self.row.last_failure_at
        if self.row.source == OTHERS:
            return 0 if age > _STRANGERS_FORGIVEN_AFTER else self.row.failures
        return max(0, self.row.failures - max(0, age // _FORGIVEN_AFTER))

    @property
    def wait(self) -> float:
        """Seconds. A delay that is longer than any is of a clock that was set back since."""
        left = (self.row.blocked_until or self.now) - self.now
        return left.total_seconds() if left <= LONGEST_DELAY else 0

    def add(self, parts: int) -> bool:
        """Count parts of a failure; whether they made a whole one.

        The strangers together are delayed, and never locked: that would be too cheap.
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


def _read(user_id: UUID, sources: list[str], *, lock: bool = False) -> list[_Count]:
    rows = FailureCount.objects.filter(user=user_id, source__in=sources).order_by("source")
    rows = rows.select_for_update() if lock else rows
    return [_Count(row, row.now) for row in rows.annotate(now=Now())]


def _judge(counts: list[_Count]) -> int:
    """The most failures of any. Raises too_many_attempts, locked."""
    if any(count.row.locked_at for count in counts):
        raise ServiceError("locked", "Too many attempts failed; a moderator has to unlock.")
    wait = max((count.wait for count in counts), default=0)
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
