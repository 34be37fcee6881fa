"""The verb of a live session: a frame of a call comes in, the state of the call goes out.

A few frames come each second, and two processes may have one at the same time. Before anything is
computed, one statement takes a place for the frame. Afterwards the frame changes the state under
the lock of the session's row.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.inference import images
from recognition.models import Session, locks
from recognition.models.sessions import State
from recognition.packs import serving
from recognition.prepared import fetched, update
from recognition.verification import (
    judging,
    live,
    lockout,
    matching,
    providers,
    sessions,
    template_cache,
)
from recognition.verification.judging import Verdict
from recognition.verification.lockout import Source
from recognition.verification.matching import UserComparison

_MOST_AHEAD = timedelta(minutes=1)  # of a camera's clock
# Frames that may come at once after a pause.
_BURST = 5
# Frames of one session that a process looks at at once. More would let one call block every thread
# while a check is slow.
_AT_ONCE = 2
looked_at: Counter[UUID] = Counter()
_looked_at_lock = threading.Lock()

# The generic cell rate algorithm in one statement. It returns no row if the frame is too early.
_TAKE_PLACE = """
UPDATE recognition_session
SET next_frame_at = greatest(next_frame_at, clock_timestamp()) + %(seconds)s * interval '1 second'
WHERE id = %(session)s
    AND coalesce(next_frame_at <= clock_timestamp() + %(ahead)s * interval '1 second', true)
RETURNING id
"""
# What a frame may change of its session.
_CHANGED = (
    *("window", "state", "verified_at", "risk", "moved_at", "frames"),
    *("last_frame_at", "last_sequence", "last_captured_at", "checks", "checked_at"),
)


@dataclass(frozen=True)
class Frame:
    """One picture of a call. `sequence` and `captured_at` say in what order they were taken."""

    image: bytes
    sequence: int | None = None
    captured_at: datetime | None = None


@dataclass(frozen=True)
class FrameResult:
    """The session after a frame, and what the caller may learn of the frame itself."""

    session: Session
    result: str | None = None
    is_counted: bool = True


def take(*, caller: Caller, session_id: str, frame: Frame) -> FrameResult:
    """Take a frame of a call. Raises ImageError, session_not_found, session_ended,
    session_not_live, too_many_frames, frames_in_progress, too_many_attempts, locked.
    """
    session = sessions.open_session_of(caller, session_id)
    if session.is_single_use:
        raise ServiceError("session_not_live", "A login session takes no frames; use verify.")
    if frame.captured_at and frame.captured_at > timezone.now() + _MOST_AHEAD:
        # It would make all frames after it look old.
        raise ServiceError("invalid_request", "captured_at is in the future.")
    # Many frames come, and no token's limit counts them.
    most = min(settings.FACESVC_LIVE_FRAME_MEGAPIXELS * 1e6, settings.MAX_IMAGE_PIXELS)
    images.check(frame.image, max_bytes=settings.MAX_IMAGE_BYTES, max_pixels=int(most))
    _take_place(session)
    if session.precedes_last(frame.sequence, frame.captured_at):
        return FrameResult(session, is_counted=False)
    is_verified = session.shown_state == State.VERIFIED
    source = lockout.source_of(caller, session.user_id, session.device)
    if not is_verified:
        lockout.require_free(source)
    # Until the user is verified, every face is checked: otherwise the time that a frame takes would
    # say whether the last one matched.
    pause = timedelta(seconds=settings.FACESVC_LIVE_CHECK_SECONDS)
    is_old = session.checked_at is None or session.checked_at + pause <= timezone.now()
    return _take(caller, session, source, frame, is_checked=is_old or not is_verified)


@serving.once_more
def _take(
    caller: Caller, session: Session, source: Source, frame: Frame, *, is_checked: bool
) -> FrameResult:
    with _one_of_few(session):
        probe = matching.look(frame.image, session.user_id, is_checked=is_checked)
    with transaction.atomic():
        locks.hold_users([session.user_id])
        session = sessions.open_session_of(caller, str(session.pk), lock=True)
        if session.precedes_last(frame.sequence, frame.captured_at):
            return FrameResult(session, is_counted=False)
        nearest = None
        if probe.template is not None:
            nearest = template_cache.compare(probe.by, session.user_id, probe.template)
            if nearest is None:
                serving.require(probe.by)
        comparison = matching.compared(probe, nearest, session.level)
        result = _count(comparison, source, session, frame)
    # A client that is not verified learns the state alone: each frame's result would be a guess.
    is_hidden = session.state != State.VERIFIED and result in ("success", "no_match")
    return FrameResult(session, None if is_hidden else result)


def _take_place(session: Session) -> None:
    """Raises too_many_frames."""
    seconds = 1 / settings.FACESVC_LIVE_FRAMES_PER_SECOND
    values = {"session": session.pk, "seconds": seconds, "ahead": seconds * (_BURST - 1)}
    if not fetched(_TAKE_PLACE, values):
        message = "Frames come too fast; this one was not looked at."
        raise ServiceError("too_many_frames", message, {"retry_after": 1})


@contextmanager
def _one_of_few(session: Session) -> Iterator[None]:
    """Raises frames_in_progress."""
    with _looked_at_lock:
        if looked_at[session.pk] >= _AT_ONCE:
            message = "Earlier frames are still being looked at; send the next one after an answer."
            raise ServiceError("frames_in_progress", message, {"retry_after": 1})
        looked_at[session.pk] += 1
    try:
        yield
    finally:
        with _looked_at_lock:
            looked_at[session.pk] -= 1
            if not looked_at[session.pk]:
                del looked_at[session.pk]


def _count(comparison: UserComparison, source: Source, session: Session, frame: Frame) -> str:
    """Judge a frame, and count it into the locked session. Returns the result.

    Raises too_many_attempts, locked.
    """
    if session.has_gap:
        session.window, session.state = [], live.without_view(session.state)
    verdict = _judge(comparison, source, session)
    before = session.state
    vote = _vote(comparison, session, verdict)
    if session.state != State.VERIFIED:
        verdict = replace(verdict, assessment=verdict.assessment.without_match())
    session.frames += 1
    session.last_frame_at = timezone.now()
    if frame.sequence is not None:
        session.last_sequence = frame.sequence
    if frame.captured_at is not None:
        session.last_captured_at = frame.captured_at
    session.risk = verdict.assessment.as_json()
    if _is_attempt(source, session, before, vote):
        judging.record(comparison, source, session, verdict)
    update(session, _CHANGED)
    return verdict.result


def _judge(comparison: UserComparison, source: Source, session: Session) -> Verdict:
    """Judge a frame. Between two checks the outcomes of the last one hold.

    Until the user is verified, what came before counts as it does in a login: for every face, so
    that what is refused does not depend on whose it is. Raises too_many_attempts, locked.
    """
    probe = comparison.probe
    verdict = judging.judge(
        comparison,
        source,
        session,
        probe.outcomes or providers.from_json(session.checks),
        has_history=session.state != State.VERIFIED,
        is_repeated=probe.pixels_hash in [shown["pixels"] for shown in session.window],
    )
    if probe.outcomes:
        # Only the user's checks are reused: after any other face the next one is checked as well.
        session.checked_at = timezone.now() if verdict.is_match else None
        if verdict.is_match:
            session.checks = providers.as_json(probe.outcomes)
    return verdict


def _vote(comparison: UserComparison, session: Session, verdict: Verdict) -> str:
    """Enter the vote of a frame in the window and in the state of the session."""
    if verdict.result == "no_registered_faces":
        # The frame alone does not decide this: there is no user to verify.
        session.window, session.state = [], live.without_view(session.state)
        return live.NOTHING
    vote = live.NOTHING
    if verdict.is_match or verdict.is_failure:
        vote = live.MATCH if verdict.is_match else live.OTHER
    probe = comparison.probe
    new: dict[str, object] = {"vote": vote, "pixels": probe.pixels_hash}
    was_verified = session.state == State.VERIFIED
    if verdict.is_match and probe.template is not None:
        if was_verified:
            live.watch(probe.by, session, probe.template)
        else:
            new["face"] = live.keep_if_new(probe.by, session, probe.template)
            if new["face"] is None:
                return vote  # the same picture again neither adds a vote nor breaks a run
    size = settings.FACESVC_LIVE_WINDOW
    session.window = [*session.window, new][-size:]
    state = live.advance(session.state, [each["vote"] for each in session.window], size)
    # A frame that was not checked itself verifies nobody: another one was counted before it.
    if state != State.VERIFIED or probe.outcomes:
        session.state = state
    if session.state == State.VERIFIED and not was_verified:
        live.begin(session)
    elif session.state == State.VERIFIED and live.is_overdue(session):
        session.window, session.state = [], State.VERIFYING
    return vote


def _is_attempt(source: Source, session: Session, before: str, vote: str) -> bool:
    """Count a frame as a success or as a part of a failure. Returns whether it is an attempt: one
    that changes the state to verified or mismatch is, and one that completes a failure.
    """
    if session.state == State.VERIFIED:
        if before != State.VERIFIED:
            session.verified_at = timezone.now()
            lockout.succeeded(source)
        return before != State.VERIFIED
    if vote != live.OTHER:
        return False
    is_mismatch = session.state == State.MISMATCH != before
    # A whole failure where the user was verified.
    parts = lockout.PARTS if is_mismatch and before == State.VERIFIED else 1
    # Blocked or not, the state must not stay verified.
    with suppress(ServiceError), transaction.atomic():
        return lockout.failed(source, parts=parts) or is_mismatch
    return is_mismatch
