"""The verb verify: look, compare, judge, record.

1. Refused early: the session is over, there is no such face, or too many attempts failed.
2. Look: the probe is embedded, the checks run beside it. No transaction is open, whatever these
   wait for.
3. In one transaction: the session is taken, the probe compared, the history read, the attempt
   judged, and it and its failure recorded. A result that is not stored is not told.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from recognition import daily_counts, people
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.gallery import comparing, unlike_faces
from recognition.models import Attempt, CountedKind, Face, Session, locks
from recognition.models.locks import One
from recognition.models.sessions import Purpose, State
from recognition.packs import serving, thresholds
from recognition.people import Standing
from recognition.verification import lockout, matching, recent_probes, risk, sessions
from recognition.verification.evidence.inspection import Inspection
from recognition.verification.evidence.providers import ANTISPOOFING, DEEPFAKE, Outcome
from recognition.verification.lockout import Source
from recognition.verification.matching import Probe, UserComparison, Verification


@dataclass(frozen=True)
class VerificationRequest:
    """What a caller asks to be verified; without a level it is that of the session."""

    user_id: UUID
    image: bytes
    level: str | None = None
    face_id: str | None = None
    match_on: str = "face"
    session_id: str | None = None
    device: str = ""


@dataclass(frozen=True)
class Verdict:
    """What an attempt comes to: the result of the faces, or `rejected` for what speaks against."""

    result: str
    assessment: risk.Assessment = risk.NO_RISK

    @property
    def is_match(self) -> bool:
        return self.result == "success"

    @property
    def is_failure(self) -> bool:
        """A refusal for what we lack is nobody's failure."""
        is_attack = self.result == "rejected" and self.assessment.is_attack
        return self.result == "no_match" or is_attack


def verify(*, caller: Caller, request: VerificationRequest) -> Verification:
    """Raises ImageError, not_your_user, face_not_found, session_not_found, session_ended,
    session_is_live, too_many_attempts, locked, user_merged, user_suspended."""
    caller.require_own(request.user_id)
    _require_standing(caller, request.user_id)
    session = _session_of(caller, request)
    device = lockout.device_key(request.device) or (session.device if session else "")
    source = lockout.source_of(caller, request.user_id, device)
    lockout.require_free(source)
    if request.face_id is not None:
        _require_face(request.face_id, request.user_id)
    return _verify(caller, request, session, source)


@serving.once_more
def _verify(
    caller: Caller, request: VerificationRequest, session: Session | None, source: Source
) -> Verification:
    inspection = Inspection(request.image, str(request.user_id))
    is_login = session is not None and session.is_single_use
    probe = matching.look(request.image, inspection, with_mirror=is_login)
    inspection.wait()
    with transaction.atomic():
        is_there = bool(locks.hold_users([request.user_id]))
        if session:
            session = sessions.session_of(caller, str(session.pk), lock=True)
            sessions.require_open(session)
        comparison = _compare(probe, request, _level(request, session))
        if not is_there:  # nothing is kept
            daily_counts.note(CountedKind.VERIFICATION, comparison.result)
            return _told(comparison, Verdict(comparison.result))
        verdict = _judge(source, session, comparison, inspection)
        _count(source, verdict)
        record(source, session, verdict, comparison, inspection)
        if session and comparison.nearest:
            _note(session, verdict)
        return _told(comparison, verdict)


def _require_standing(caller: Caller, user_id: UUID) -> None:
    """Raises user_merged, user_suspended. To end users, a suspended user is one without faces."""
    standing = people.standing_of(user_id)
    if standing is Standing.MERGED:
        raise people.merged()
    if standing is Standing.SUSPENDED and caller.is_service:
        raise people.suspended(is_told=True)


def _session_of(caller: Caller, request: VerificationRequest) -> Session | None:
    """Raises session_not_found, also for one of another user, session_ended, session_is_live."""
    if request.session_id is None:
        return None
    session = sessions.session_of(caller, request.session_id)
    if session.user_id != request.user_id:
        raise sessions.not_found()
    sessions.require_open(session)
    if session.purpose == Purpose.VIDEO_CALL:
        raise ServiceError("session_is_live", "A call takes frames, and no verify.")
    return session


def _level(request: VerificationRequest, session: Session | None) -> str:
    """The stricter one of what the session and the attempt ask for."""
    asked = [level for level in (request.level, session.level if session else None) if level]
    return max(asked, key=thresholds.LEVELS.index, default="standard")


def _require_face(face_id: str, user_id: UUID) -> None:
    active = Face.objects.filter(suspended_at=None, user__suspended_at=None)
    if not active.filter(face_id=face_id, user=user_id).exists():
        raise ServiceError("face_not_found", "The user has no such face.")


def _compare(probe: Probe, request: VerificationRequest, level: str) -> UserComparison:
    """Raises ModelChangedError."""
    nearest = None
    if probe.face:
        nearest = comparing.compare_with_user(
            probe.by, request.user_id, probe.face, request.face_id
        )
        if nearest is None:
            serving.require(probe.by)
    is_of_one_face = request.face_id is not None
    return UserComparison(probe, nearest, level, request.match_on, is_of_one_face)


def _told(comparison: UserComparison, verdict: Verdict) -> Verification:
    """A refused attempt tells nothing of the face."""
    return Verification(
        comparison.probe.by,
        verdict.result,
        comparison.level,
        comparison.match_on,
        None if verdict.result == "rejected" else comparison.nearest,
        verdict.assessment.as_json(),
    )


def _judge(
    source: Source, session: Session | None, comparison: UserComparison, inspection: Inspection
) -> Verdict:
    """Raises too_many_attempts, locked."""
    if comparison.nearest is None:
        lockout.require_free(source)
        return Verdict(comparison.result)
    if session and session.is_single_use:
        _one_at_a_time(source.user_id)
    history = history_of(source, inspection, comparison)
    return verdict_on(comparison, source, session, inspection.outcomes, history)


def _one_at_a_time(user_id: UUID) -> None:
    """Let logins of a user come one by one, so that the second finds the first one's picture."""
    locks.wait_for(One.LOGIN, user_id)


def verdict_on(
    comparison: UserComparison,
    source: Source,
    session: Session | None,
    outcomes: dict[str, Outcome],
    history: risk.History,
) -> Verdict:
    """Judges a comparison by the outcomes of its checks and by what came before."""
    face, level = comparison.probe.face, comparison.level
    if face is None:
        raise ValueError("nothing was compared")
    attempt = risk.Attempt(
        confidence=comparison.confidence,
        threshold=thresholds.level_confidence(level),
        quality_score=face.quality.score,
        min_quality=settings.MIN_FACE_QUALITY,
        level=level,
        in_session=session is not None,
        is_single_use=session is not None and session.is_single_use,
        has_device=bool(source.device),
        checks=outcomes,
        insists_on=risk.insisted_on(level, settings.FACESVC_STRICT_CHECKS),
    )
    assessment = risk.assess(attempt, history)
    return Verdict("rejected" if assessment.is_refused else comparison.result, assessment)


def history_of(source: Source, inspection: Inspection, comparison: UserComparison) -> risk.History:
    """Raises too_many_attempts, locked."""
    now, seen_before = timezone.now(), Attempt.objects.filter(user=source.user_id)
    same = Q(picture_hash=inspection.picture_hash) | Q(pixels_hash=inspection.pixels_hash)
    within = timedelta(hours=settings.FACESVC_REPLAY_HOURS)
    # What was refused for a fault on our side may come once more.
    counted = Q(result="success") | Q(is_failure=True)
    replayed = seen_before.filter(same, counted, at__gt=now - within)
    return risk.History(
        failures=lockout.require_free(source),
        is_replayed=replayed.exists() or recent_probes.is_known(comparison, source.user_id),
        is_new_device=lockout.is_new_device(source),
        users_failed=lockout.users_failed(source),
        is_unlike_face=_is_unlike_face(comparison, source.user_id),
    )


def _is_unlike_face(comparison: UserComparison, user_id: UUID) -> bool:
    """Whether a face matches that was enrolled a short time ago, unlike the user's others."""
    if comparison.result != "success" or comparison.nearest is None:
        return False
    return unlike_faces.is_noted(user_id, comparison.nearest.face_id)


def _count(source: Source, verdict: Verdict) -> None:
    """Raises too_many_attempts, locked."""
    if verdict.is_match:
        lockout.succeeded(source)
    elif verdict.is_failure:
        lockout.failed(source)


def record(
    source: Source,
    session: Session | None,
    verdict: Verdict,
    comparison: UserComparison,
    inspection: Inspection,
) -> None:
    """The attempt in the history, and its face among those that must not come again."""
    daily_counts.note_if_stored(CountedKind.VERIFICATION, verdict.result)
    nearest, probe, outcomes = comparison.nearest, comparison.probe, inspection.outcomes
    face = _counted(nearest.face_id, source.user_id) if nearest and verdict.is_match else None
    Attempt.objects.create(
        session=session,
        user_id=source.user_id,
        face=face,
        source=source.name,
        device=source.device,
        result=verdict.result,
        is_failure=verdict.is_failure,
        confidence=comparison.confidence if nearest else None,
        risk_level=verdict.assessment.risk_level,
        factors=list(verdict.assessment.factors),
        antispoofing=_json(outcomes, ANTISPOOFING),
        deepfake=_json(outcomes, DEEPFAKE),
        picture_hash=inspection.picture_hash,
        pixels_hash=inspection.pixels_hash,
    )
    if probe.face and (verdict.is_match or verdict.is_failure):
        recent_probes.keep(probe.by, source.user_id, probe.face)


def _counted(face_id: str, user_id: UUID) -> Face | None:
    """The face that matched, with one verification more. Nobody deletes or moves it before we are
    done."""
    faces = Face.objects.select_for_update(no_key=True)
    face = faces.filter(face_id=face_id, user=user_id).first()
    if face:
        Face.objects.filter(pk=face.pk).update(
            verification_count=F("verification_count") + 1, last_verified_at=timezone.now()
        )
    return face


def _json(outcomes: dict[str, Outcome], check: str) -> dict[str, object]:
    return outcomes[check].as_json() if check in outcomes else {}


def _note(session: Session, verdict: Verdict) -> None:
    """In the session, which ends with its first success if it is for a login."""
    session.risk = verdict.assessment.as_json()
    if verdict.is_match:
        session.state, session.verified_at = State.VERIFIED, timezone.now()
        session.ended_at = session.verified_at if session.is_single_use else None
    elif not session.is_single_use and verdict.is_failure:
        session.state = State.MISMATCH
    session.save(update_fields=["risk", "state", "verified_at", "ended_at"])
