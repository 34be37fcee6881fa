"""The verb of a live session: one frame in, the rolling state out, for the price of one inference.

Frames come a few a second and may meet in two processes. Each takes its place in one statement
before anything is computed, and changes the state under the lock of the session's row afterwards.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.inference import images
from recognition.models import Session
from recognition.models.sessions import State
from recognition.verification import (
    attempts,
    frame_places,
    live,
    lockout,
    matching,
    motion,
    recent_probes,
    risk,
    sessions,
    template_cache,
)
from recognition.verification.evidence.inspection import Inspection, outcome_of
from recognition.verification.evidence.providers import Outcome
from recognition.verification.lockout import Source
from recognition.verification.matching import Verification

_MOST_AHEAD = timedelta(minutes=1)  # of a camera's clock


@dataclass(frozen=True)
class Frame:
    """One picture of a call. `sequence` and `captured_at` say in what order they were taken."""

    image: bytes
    sequence: int | None = None
    captured_at: datetime | None = None


@dataclass(frozen=True)
class Taken:
    """The session after a frame, and what may be told of the frame itself."""

    session: Session
    result: str | None = None
    is_counted: bool = True


@dataclass(frozen=True)
class _Seen:
    compared: Verification
    inspection: Inspection
    outcomes: dict[str, Outcome] = field(default_factory=dict)  # of this frame's own checks


def take(*, caller: Caller, session_id: str, frame: Frame) -> Taken:
    """Raises ImageError, session_not_found, session_ended, session_not_live, too_many_frames,
    frames_in_progress, too_many_attempts, locked."""
    session = sessions.session_of(caller, session_id)
    _require_live(session, frame)
    _require_small(frame)
    frame_places.take_place(session)
    if session.precedes_last(frame.sequence, frame.captured_at):
        return Taken(session, is_counted=False)
    if session.shown_state != State.VERIFIED:
        lockout.require_free(_source(caller, session))
    with frame_places.one_of_few(session):
        seen = _look(session, frame)
    with transaction.atomic():
        sessions.hold_user(session.user_id)
        session = sessions.session_of(caller, session_id, lock=True)
        _require_live(session, frame)
        if session.precedes_last(frame.sequence, frame.captured_at):
            return Taken(session, is_counted=False)
        return Taken(session, _told(session, _count(caller, session, frame, seen)))


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


def _look(session: Session, frame: Frame) -> _Seen:
    inspection = Inspection(frame.image, str(session.user_id))
    compared = matching.verify(
        user_id=session.user_id,
        image=frame.image,
        level=session.level,
        on_face=inspection.begin if _is_check_due(session) else inspection.see,
        compare=template_cache.compare,
    )
    return _Seen(compared, inspection, inspection.outcomes())


def _is_check_due(session: Session) -> bool:
    """Every face until the user is verified: else the time that a frame takes would say whether the
    last one matched."""
    pause = timedelta(seconds=settings.FACESVC_LIVE_CHECK_SECONDS)
    is_old = session.checked_at is None or session.checked_at + pause <= timezone.now()
    return is_old or session.shown_state != State.VERIFIED


def _count(caller: Caller, session: Session, frame: Frame, seen: _Seen) -> str:
    """Into the locked session: the result of the frame. Raises too_many_attempts, locked."""
    again = matching.once_more(seen.compared, template_cache.compare, session.user_id)
    seen = replace(seen, compared=again)
    if session.has_gap:
        session.window, session.state = [], live.without_view(session.state)
    source = _source(caller, session)
    result, assessment = _judge(source, session, seen)
    if seen.outcomes:
        _keep_checks(session, seen, result)
    before = session.state
    vote = _vote(session, seen, result, assessment)
    if session.state != State.VERIFIED:
        assessment = assessment.without_match()
    session.frames += 1
    session.last_frame_at = timezone.now()
    if frame.sequence is not None:
        session.last_sequence = frame.sequence
    if frame.captured_at is not None:
        session.last_captured_at = frame.captured_at
    session.risk = assessment.as_json()
    _count_attempt(source, session, before, vote, seen, assessment)
    session.save()
    return result


def _keep_checks(session: Session, seen: _Seen, result: str) -> None:
    """Of nobody but the user: after any other face the next one is checked, too."""
    if result == "success":
        session.checks = {check: each.as_json() for check, each in seen.outcomes.items()}
        session.checked_at = timezone.now()
    else:
        session.checked_at = None


def _judge(source: Source, session: Session, seen: _Seen) -> tuple[str, risk.Assessment]:
    """Between two checks the outcomes of the last one hold on.

    Until the user is verified, what came before counts as it does in a login: for every face, so
    that what is refused does not depend on whose it is. Raises too_many_attempts, locked.
    """
    if seen.compared.compared is None:
        return seen.compared.result, risk.Assessment()
    kept = {check: outcome_of(json) for check, json in session.checks.items()}
    shown = {frame["pixels"] for frame in session.window}
    history = risk.History()
    if session.state != State.VERIFIED:
        history = attempts.history_of(source, seen.inspection, seen.compared)
    if seen.inspection.pixels_hash in shown:
        history = replace(history, is_replayed=True)
    attempt = attempts.attempt_of(
        seen.compared, session, seen.outcomes or kept, has_device=bool(source.device)
    )
    assessment = risk.assess(attempt, history)
    return "rejected" if assessment.is_refused else seen.compared.result, assessment


def _vote(session: Session, seen: _Seen, result: str, assessment: risk.Assessment) -> str:
    """The vote of a frame, in the window and in the state."""
    if result == "no_registered_faces":
        # Not a matter of this one frame: there is nobody to be verified.
        session.window, session.state = [], live.without_view(session.state)
        return live.NOTHING
    is_other = result == "no_match" or assessment.is_attack
    vote = live.MATCH if result == "success" else live.OTHER if is_other else live.NOTHING
    new: dict[str, object] = {"vote": vote, "pixels": seen.inspection.pixels_hash}
    was_verified = session.state == State.VERIFIED
    if vote == live.MATCH and (face := seen.compared.probe):
        if was_verified:
            motion.watch(seen.compared.by, session, face)
        else:
            new["face"] = motion.keep_if_new(seen.compared.by, session, face)
            if new["face"] is None:
                return vote  # the same picture once more neither adds a vote nor breaks a run
    size = settings.FACESVC_LIVE_WINDOW
    session.window = [*session.window, new][-size:]
    state = live.advance(session.state, [each["vote"] for each in session.window], size)
    # A frame that was not checked itself verifies nobody: another one was counted before it.
    if state != State.VERIFIED or seen.outcomes:
        session.state = state
    if session.state == State.VERIFIED:
        _follow_motion(session, was_verified=was_verified)
    return vote


def _follow_motion(session: Session, *, was_verified: bool) -> None:
    if not was_verified:
        motion.begin(session)
    elif motion.is_overdue(session):
        session.window, session.state = [], State.VERIFYING


def _count_attempt(
    source: Source,
    session: Session,
    before: str,
    vote: str,
    seen: _Seen,
    assessment: risk.Assessment,
) -> None:
    """In the history: what changes the state to verified or mismatch, and every whole failure."""
    is_new = session.state != before
    if session.state == State.VERIFIED and is_new:
        session.verified_at = timezone.now()
        lockout.succeeded(source)
        result = "success"
    elif vote == live.OTHER and session.state != State.VERIFIED:
        is_taken_over = before == State.VERIFIED and session.state == State.MISMATCH
        is_whole = _count_failure(source, whole=is_taken_over)
        if not is_whole and not (is_new and session.state == State.MISMATCH):
            return
        result = "rejected" if assessment.is_refused else "no_match"
    else:
        return
    compared, cosine = seen.compared, seen.compared.cosine
    if compared.probe:
        recent_probes.keep(compared.by, session.user_id, compared.probe)
    attempts.record(
        source,
        session,
        result,
        assessment,
        seen.inspection,
        seen.outcomes,
        confidence=None if cosine is None else compared.by.scores.confidence(cosine),
        face_id=compared.compared.face_id if compared.compared and result == "success" else None,
    )


def _count_failure(source: Source, *, whole: bool) -> bool:
    """A frame of somebody else: a part of a failure, whatever came before it and in whichever
    session, or a whole one where the user was verified. Whether one became whole."""
    # Blocked or not, the state must not stay verified.
    with suppress(ServiceError), transaction.atomic():
        return lockout.failed(source, parts=lockout.PARTS if whole else 1)
    return False
