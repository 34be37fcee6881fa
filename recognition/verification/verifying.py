"""The verb verify: look, compare, judge, record.

1. An attempt is refused early if the session is over, if there is no such face, or if too many
   attempts failed.
2. Look: the probe is embedded while the checks run. No transaction is open, however long these
   take.
3. One transaction takes the session, compares the probe, reads the history, judges the attempt, and
   records it with its failure. So a result that is not stored is never answered.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from recognition import daily_counts, people
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.gallery import comparing
from recognition.gallery.comparing import Compared
from recognition.models import CountedKind, Face, Session, locks
from recognition.models.sessions import Purpose, State
from recognition.packs import serving
from recognition.packs.engine import Engine
from recognition.packs.scores import LEVELS
from recognition.prepared import update
from recognition.verification import judging, lockout, matching, sessions
from recognition.verification.judging import Verdict
from recognition.verification.lockout import Source
from recognition.verification.matching import Probe


@dataclass(frozen=True)
class VerificationRequest:
    """What a caller asks to be verified. A session may ask for a stricter level."""

    user_id: UUID
    image: bytes
    level: str | None = None
    face_id: str | None = None
    face_group: str | None = None
    match_on: str = "face"
    session_id: str | None = None
    device: str = ""


@dataclass(frozen=True)
class Verification:
    """What is answered. `compared` and `cosine` are None if nothing was compared, or if the attempt
    was refused: the answer to a refused attempt says nothing about the face.
    """

    by: Engine
    result: str
    is_match: bool
    level: str
    match_on: str
    compared: Compared | None
    cosine: float | None  # the one that decided
    risk: dict[str, object]


def verify(*, caller: Caller, request: VerificationRequest) -> Verification:
    """Say whether a picture shows a user. Raises ImageError, not_your_user, face_not_found,
    session_not_found, session_ended, session_is_live, too_many_attempts, locked, user_merged,
    user_suspended.
    """
    caller.require_own(request.user_id)
    # To end users, a suspended user is one without faces.
    people.is_hidden(request.user_id, is_told=caller.is_service)
    session = None
    if request.session_id is not None:
        session = sessions.open_session_of(caller, request.session_id, user_id=request.user_id)
        if session.purpose == Purpose.VIDEO_CALL:
            raise ServiceError("session_is_live", "A call takes frames, and no verify.")
    device = lockout.device_key(request.device) or (session.device if session else "")
    source = lockout.source_of(caller, request.user_id, device)
    lockout.require_free(source)
    if request.face_id is not None and not _has_face(request.user_id, request.face_id):
        raise ServiceError("face_not_found", "The user has no such face.")
    return _verify(caller, request, session, source)


def _has_face(user_id: UUID, face_id: str) -> bool:
    faces = Face.objects.filter(user=user_id, suspended_at=None, user__suspended_at=None)
    return faces.filter(face_id=face_id).exists()


@serving.once_more
def _verify(
    caller: Caller, request: VerificationRequest, session: Session | None, source: Source
) -> Verification:
    is_login = session is not None and session.is_single_use
    probe = matching.look(request.image, request.user_id, with_mirror=is_login)
    with transaction.atomic():
        return _conclude(caller, request, session, source, probe)


def _nearest(request: VerificationRequest, probe: Probe) -> Compared | None:
    """Raises ModelChangedError."""
    if probe.template is None:
        return None
    nearest = comparing.compare_with_user(
        probe.by,
        request.user_id,
        probe.template,
        face_id=request.face_id,
        face_group=request.face_group,
    )
    if nearest is None:
        serving.require(probe.by)
    return nearest


def _conclude(
    caller: Caller,
    request: VerificationRequest,
    session: Session | None,
    source: Source,
    probe: Probe,
) -> Verification:
    """Compare, judge, record. Raises ModelChangedError and what `verify` raises."""
    level = _level(request, session)
    is_there = bool(locks.hold_users([request.user_id]))
    if session:
        session = sessions.open_session_of(caller, str(session.pk), lock=True)
    nearest = _nearest(request, probe)
    leaves_out = request.face_id is not None or request.face_group is not None
    comparison = matching.compared(probe, nearest, level, request.match_on, leaves_out)
    if is_there:
        verdict = judging.judge(comparison, source, session, probe.outcomes)
        _count(source, verdict)
        judging.record(comparison, source, session, verdict)
        if session and nearest:
            _note(session, verdict)
    else:  # nothing is kept of a user who is unknown
        verdict = Verdict(comparison.result)
        daily_counts.note(CountedKind.VERIFICATION, verdict.result)
    is_refused = verdict.result == "rejected"
    cosine = None if is_refused else comparison.cosine
    shown = None if is_refused else nearest
    risk = verdict.assessment.as_json()
    return Verification(
        probe.by, verdict.result, verdict.is_match, level, request.match_on, shown, cosine, risk
    )


def _level(request: VerificationRequest, session: Session | None) -> str:
    """The stricter one of what the session and the attempt ask for."""
    asked = [level for level in (request.level, session.level if session else None) if level]
    return max(asked, key=LEVELS.index, default="standard")


def _count(source: Source, verdict: Verdict) -> None:
    """Raises too_many_attempts, locked."""
    if verdict.is_match:
        lockout.succeeded(source)
    elif verdict.is_failure:
        lockout.failed(source)
    else:
        lockout.require_free(source)


def _note(session: Session, verdict: Verdict) -> None:
    """Note the attempt in the session. The first success ends one that is for a login."""
    session.risk = verdict.assessment.as_json()
    if verdict.is_match:
        session.state, session.verified_at = State.VERIFIED, timezone.now()
        session.ended_at = session.verified_at if session.is_single_use else None
    elif not session.is_single_use and verdict.is_failure:
        session.state = State.MISMATCH
    update(session, ("risk", "state", "verified_at", "ended_at"))
