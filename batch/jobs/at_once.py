"""Answers a batch without a job: every result in one answer; nothing is stored."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
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
from recognition.identification.identifying import IdentificationRequest
from recognition.processes import slots
from recognition.processes.slots import OverloadedError

# A process has few threads for all requests, and a batch takes its own for seconds.
_room = BoundedSemaphore(2)
_COUNTED = (ItemState.SUCCESS, ItemState.ERROR, ItemState.SKIPPED)


class Result(NamedTuple):
    image_id: str
    state: ItemState
    result: Json | None


class Done(NamedTuple):
    """What became of a batch."""

    status: Status
    results: list[Result]
    total: int
    succeeded: int
    failed: int
    skipped: int


def answer(
    caller: Caller,
    kind: Kind,
    options: Json,
    items: Sequence[NewItem],
    has_client: Callable[[], bool],
) -> Done:
    """Answer all pictures; those after the client has gone are skipped. Raises unavailable."""
    if not _room.acquire(blocking=False):
        message = "Other batches are being answered; try again, or with `async`: true."
        raise ServiceError("unavailable", message)
    work = partial(_outcome, caller, kind, options)
    try:
        with face_budget.postponed(IdentificationRequest.of(caller, options).scope.viewer):
            outcomes = [*_outcomes(work, items, has_client, is_service=caller.is_service)]
    finally:
        _room.release()
    done, undone = items[: len(outcomes)], items[len(outcomes) :]
    results = [
        Result(item.image_id, outcome.state, outcome.result)
        for item, outcome in zip(done, outcomes, strict=True)
    ]
    results += [Result(item.image_id, ItemState.SKIPPED, None) for item in undone]
    status = Status.TIMED_OUT if undone else Status.COMPLETED
    counts = Counter(result.state for result in results)
    return Done(status, results, len(results), *(counts[state] for state in _COUNTED))


def _outcomes(
    work: Callable[[NewItem], ItemResult],
    items: Sequence[NewItem],
    has_client: Callable[[], bool],
    *,
    is_service: bool,
) -> Iterator[ItemResult]:
    """Yields outcomes until the time is over. Raises OverloadedError for the first picture only.

    The first picture waits for a slot as any request does. The others may do so until the time is
    over: there are few batches at once.
    """
    end = time.monotonic() + settings.FACESVC_BATCH_AT_ONCE_SECONDS
    for place, item in enumerate(items):
        left = end - time.monotonic()
        if left < 0 or not has_client():
            return
        if place and not is_service:
            time.sleep(2 * slots.LOOK_SECONDS)  # a single picture of the user goes first
        try:
            with slots.waiting(left) if place else nullcontext():
                outcome = work(item)
        except OverloadedError:
            if not place:
                raise
            return
        yield outcome


def _outcome(caller: Caller, kind: Kind, options: Json, item: NewItem) -> ItemResult:
    if isinstance(item.picture, ItemResult):
        return item.picture
    return verbs.outcome_of(kind, caller, {**options, **item.options}, item.picture)
