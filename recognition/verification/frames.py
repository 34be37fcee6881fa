"""The verb of a live session: one frame in, the rolling state out, for the price of one inference.

Frames come a few a second and may meet in two processes. Each takes its place in one statement
before anything is computed, and changes the state under the lock of the session's row afterwards.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.inference import images
from recognition.models import Session, locks
from recognition.models.sessions import State
from recognition.packs import serving
from recognition.verification import (
    attempts,
    frame_places,
    live,
    lockout,
    matching,
    motion,
    risk,
    sessions,
    template_cache,
)
from recognition.verification.attempts import Verdict
from recognition.verification.evidence.inspection import Inspection, outcome_of
from recognition.verification.lockout import Source
from recognition.verification.matching import Probe, UserComparison

_MOST_AHEAD = timedelta(minutes=1)  # of a camera's clock


@dataclass(frozen=True)
class Frame:
    """One picture of a call. `sequence` and `captured_at` say in what order they were taken."""

    image: bytes
    sequence: int | None = None
    captured_at: datetime | None = None


@dataclass(frozen=True)
class FrameResult:
    """The session after a frame, and what may be told of the frame itself."""

    session: Session
    result: str | None = None
    is_counted: bool = True


def take(*, caller: Caller, session_id: str, frame: Frame) -> FrameResult:
    """Raises ImageError, session_not_found, session_ended, session_not_live, too_many_frames,
    frames_in_progress, too_many_attempts, locked.
    """
    session = sessions.session_of(caller, session_id)
    _require_live(session, frame)
    _require_small(frame)
    frame_places.take_place(session)
    if session.precedes_last(frame.sequence, frame.captured_at):
        return FrameResult(session, is_counted=False)
    if session.shown_state != State.VERIFIED:
        lockout.require_free(_source(caller, session))
    return _take(caller, session, frame)


@serving.once_more
def _take(caller: Caller, session: Session, frame: Frame) -> FrameResult:
    with frame_places.one_of_few(session):
        inspection = Inspection(frame.image, str(session.user_id))
        probe = matching.look(frame.image, inspection, is_checked=_is_check_due(session))
        inspection.wait()
    with transaction.atomic():
        locks.hold_users([session.user_id])
        session = sessions.session_of(caller, str(session.pk), lock=True)
        _require_live(session, frame)
        if session.precedes_last(frame.sequence, frame.captured_at):
            return FrameResult(session, is_counted=False)
        comparison = _compare(session, probe)
        verdict = _count(_source(caller, session), session, frame, comparison, inspection)
        return FrameResult(session, _told(session, verdict.result))


def _told(session: Session, result: str) -> str | None:
    """Who is not verified learns the state alone: each frame's result would be a guess."""
    hidden = session.state != State.VERIFIED and result in ("success", "no_match")
    return None if hidden else result


def _require_live(session: Session, frame: Frame) -> None:
    sessions.require_open(session)
    if session.is_single_use:
        raise ServiceError("session_not_live", "A login session takes no frames; use verify.")
    if frame.captured_at and frame.captured_at > timezone.now() + _MOST_AHEAD:
        # It would make all frames after it look old.
        raise ServiceError("invalid_request", "captured_at is in the future.")


def _require_small(frame: Frame) -> None:
    """Many come, and no token's limit counts them. Raises ImageError."""
    most = min(settings.FACESVC_LIVE_FRAME_MEGAPIXELS * 1e6, settings.MAX_IMAGE_PIXELS)
    images.check(frame.image, max_bytes=settings.MAX_IMAGE_BYTES, max_pixels=int(most))


def _source(caller: Caller, session: Session) -> Source:
    return lockout.source_of(caller, session.user_id, session.device)


def _is_check_due(session: Session) -> bool:
    """Every face until the user is verified: else the time that a frame takes would say whether the
    last one matched.
    """
    pause = timedelta(seconds=settings.FACESVC_LIVE_CHECK_SECONDS)
    is_old = session.checked_at is None or session.checked_at + pause <= timezone.now()
    return is_old or session.shown_state != State.VERIFIED


def _compare(session: Session, probe: Probe) -> UserComparison:
    """Raises ModelChangedError."""
    nearest = None
    if probe.face:
        nearest = template_cache.compare(probe.by, session.user_id, probe.face)
        if nearest is None:
            serving.require(probe.by)
    return UserComparison(probe, nearest, session.level)


def _count(
    source: Source,
    session: Session,
    frame: Frame,
    comparison: UserComparison,
    inspection: Inspection,
) -> Verdict:
    """Into the locked session. Raises too_many_attempts, locked."""
    if session.has_gap:
        session.window, session.state = [], live.without_view(session.state)
    verdict = _judge(source, session, comparison, inspection)
    if inspection.outcomes:
        _keep_checks(session, inspection, verdict)
    before = session.state
    vote = _vote(session, comparison, inspection, verdict)
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
        attempts.record(source, session, verdict, comparison, inspection)
    session.save()
    return verdict


def _keep_checks(session: Session, inspection: Inspection, verdict: Verdict) -> None:
    """Only the user's checks are reused: after any other face the next one is checked, too."""
    if verdict.is_match:
        session.checks = {name: each.as_json() for name, each in inspection.outcomes.items()}
        session.checked_at = timezone.now()
    else:
        session.checked_at = None


def _judge(
    source: Source, session: Session, comparison: UserComparison, inspection: Inspection
) -> Verdict:
    """Between two checks the outcomes of the last one hold on.

    Until the user is verified, what came before counts as it does in a login: for every face, so
    that what is refused does not depend on whose it is. Raises too_many_attempts, locked.
    """
    if comparison.nearest is None:
        return Verdict(comparison.result)
    kept = {check: outcome_of(json) for check, json in session.checks.items()}
    shown = {frame["pixels"] for frame in session.window}
    history = risk.History()
    if session.state != State.VERIFIED:
        history = attempts.history_of(source, inspection, comparison)
    if inspection.pixels_hash in shown:
        history = replace(history, is_replayed=True)
    outcomes = inspection.outcomes or kept
    return attempts.verdict_on(comparison, source, session, outcomes, history)


def _vote(
    session: Session, comparison: UserComparison, inspection: Inspection, verdict: Verdict
) -> str:
    """The vote of a frame, in the window and in the state."""
    if verdict.result == "no_registered_faces":
        # The frame alone does not decide this: there is no user to verify.
        session.window, session.state = [], live.without_view(session.state)
        return live.NOTHING
    vote = live.NOTHING
    if verdict.is_match or verdict.is_failure:
        vote = live.MATCH if verdict.is_match else live.OTHER
    new: dict[str, object] = {"vote": vote, "pixels": inspection.pixels_hash}
    was_verified = session.state == State.VERIFIED
    if verdict.is_match and (face := comparison.probe.face):
        if was_verified:
            motion.watch(comparison.probe.by, session, face)
        else:
            new["face"] = motion.keep_if_new(comparison.probe.by, session, face)
            if new["face"] is None:
                return vote  # the same picture once more neither adds a vote nor breaks a run
    size = settings.FACESVC_LIVE_WINDOW
    session.window = [*session.window, new][-size:]
    state = live.advance(session.state, [each["vote"] for each in session.window], size)
    # A frame that was not checked itself verifies nobody: another one was counted before it.
    if state != State.VERIFIED or inspection.outcomes:
        session.state = state
    if session.state == State.VERIFIED:
        _follow_motion(session, was_verified=was_verified)
    return vote


def _follow_motion(session: Session, *, was_verified: bool) -> None:
    if not was_verified:
        motion.begin(session)
    elif motion.is_overdue(session):
        session.window, session.state = [], State.VERIFYING


def _is_attempt(source: Source, session: Session, before: str, vote: str) -> bool:
    """Count what the frame means for the next attempts, and say whether it belongs to the history:
    what changes the state to verified or mismatch does, and every whole failure.
    """
    is_new = session.state != before
    if session.state == State.VERIFIED and is_new:
        session.verified_at = timezone.now()
        lockout.succeeded(source)
        return True
    if vote != live.OTHER or session.state == State.VERIFIED:
        return False
    is_mismatch = session.state == State.MISMATCH and is_new
    is_whole = _count_failure(source, whole=is_mismatch and before == State.VERIFIED)
    return is_whole or is_mismatch


def _count_failure(source: Source, *, whole: bool) -> bool:
    """A frame of somebody else: a part of a failure, whatever came before it and in whichever
    session, or a whole one where the user was verified. Whether one became whole.
    """
    # Blocked or not, the state must not stay verified.
    with suppress(ServiceError), transaction.atomic():
        return lockout.failed(source, parts=lockout.PARTS if whole else 1)
    return False
