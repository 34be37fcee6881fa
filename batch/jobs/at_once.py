"""Answers a batch without a job: every result in one answer; nothing is stored."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from threading import BoundedSemaphore
from typing import NamedTuple

from django.conf import settings

from batch.jobs import verbs
from batch.jobs.jobs import NewItem
from batch.jobs.verbs import ItemResult, Json
from batch.models import ItemState, Kind, Status
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.identification import face_budget
from recognition.processes import capacity
from recognition.processes.slots import OverloadedError

# A process has few threads for all requests, and a batch takes its own for seconds.
_room = BoundedSemaphore(2)


class Result(NamedTuple):
    image_id: str
    state: ItemState
    result: Json | None


class Done(NamedTuple):
    """What became of a batch."""

    status: Status
    results: list[Result]

    @property
    def total(self) -> int:
        return len(self.results)

    @property
    def succeeded(self) -> int:
        return self._count(ItemState.SUCCESS)

    @property
    def failed(self) -> int:
        return self._count(ItemState.ERROR)

    @property
    def skipped(self) -> int:
        return self._count(ItemState.SKIPPED)

    def _count(self, state: ItemState) -> int:
        return sum(result.state == state for result in self.results)


def answer(
    caller: Caller,
    kind: Kind,
    options: Json,
    items: Sequence[NewItem],
    has_client: Callable[[], bool],
) -> Done:
    """The results of all pictures; those after the client has gone are skipped. Raises
    unavailable."""
    if not _room.acquire(blocking=False):
        message = "Other batches are being answered; try again, or with `async`: true."
        raise ServiceError("unavailable", message)
    try:
        with face_budget.postponed(verbs.scope_of(caller, options).viewer):
            return _answer(caller, kind, options, items, has_client)
    finally:
        _room.release()


def _answer(
    caller: Caller,
    kind: Kind,
    options: Json,
    items: Sequence[NewItem],
    has_client: Callable[[], bool],
) -> Done:
    end = time.monotonic() + settings.FACESVC_BATCH_AT_ONCE_SECONDS
    results: list[Result] = []
    for item in items:
        # The first picture waits for a slot as any request does. The others may do so until the
        # time is over: there are few batches at once.
        left = end - time.monotonic()
        if left < 0 or not has_client():
            break
        if results and not caller.is_service:
            time.sleep(2 * capacity.LOOK_SECONDS)  # a single picture of the user goes first
        try:
            with capacity.waiting(left) if results else nullcontext():
                outcome = _outcome(caller, kind, options, item)
        except OverloadedError:
            if not results:
                raise
            break
        results.append(Result(item.image_id, outcome.state, outcome.result))
    undone = items[len(results) :]
    results += [Result(item.image_id, ItemState.SKIPPED, None) for item in undone]
    return Done(Status.TIMED_OUT if undone else Status.COMPLETED, results)


def _outcome(caller: Caller, kind: Kind, options: Json, item: NewItem) -> ItemResult:
    if isinstance(item.picture, ItemResult):
        return item.picture
    return verbs.outcome_of(kind, caller, {**options, **item.options}, item.picture)
