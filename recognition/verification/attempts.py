"""The verb verify as a whole: a comparison, what speaks against it, and what it means for the next.

1. Refused early: the session is over, or too many attempts failed.
2. The comparison, the checks beside it. No transaction is open, whatever these wait for.
3. Settled in one transaction: the session is taken, the history read, the result decided, and the
   attempt and its failure counted. A result that is not stored is not told.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from recognition import daily_counts, people
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.gallery import comparing, unlike_faces
from recognition.models import Attempt, CountedKind, Face, Session
from recognition.models.sessions import Purpose, State
from recognition.packs import thresholds
from recognition.people import Standing
from recognition.verification import lockout, matching, recent_probes, risk, sessions
from recognition.verification.evidence.inspection import Inspection
from recognition.verification.evidence.providers import ANTISPOOFING, DEEPFAKE, Outcome
from recognition.verification.lockout import Source
from recognition.verification.matching import Verification


@dataclass(frozen=True)
class Wanted:
    """What a caller asks to be verified; without a level it is that of the session."""

    user_id: UUID
    image: bytes
    level: str | None = None
    face_id: str | None = None
    match_on: str = "face"
    session_id: str | None = None
    device: str = ""


def verify(*, caller: Caller, wanted: Wanted) -> Verification:
    """Raises ImageError, face_not_found, session_not_found, session_ended, session_is_live,
    too_many_attempts, locked, user_merged, user_suspended."""
    _require_standing(caller, wanted.user_id)
    session = _session_of(caller, wanted)
    device = lockout.device_key(wanted.device) or (session.device if session else "")
    source = lockout.source_of(caller, wanted.user_id, device)
    lockout.require_free(source)
    inspection = Inspection(wanted.image, str(wanted.user_id))
    compared = matching.verify(
        user_id=wanted.user_id,
        image=wanted.image,
        level=_level(wanted, session),
        face_id=wanted.face_id,
        match_on=wanted.match_on,
        on_face=inspection.begin,
        with_mirror=session is not None and session.is_single_use,
    )
    outcomes = inspection.outcomes()
    with transaction.atomic():
        if not sessions.hold_user(wanted.user_id):
            return _of_nobody(session, compared)
        if session:
            session = sessions.session_of(caller, str(session.pk), lock=True)
            sessions.require_open(session)
        compare = partial(comparing.compare_with_user, face_id=wanted.face_id)
        compared = matching.once_more(compared, compare, wanted.user_id)
        return _settle(source, session, compared, inspection, outcomes)


def _require_standing(caller: Caller, user_id: UUID) -> None:
    """Raises user_merged, user_suspended. To end users, a suspended user is one without faces."""
    standing = people.standing_of(user_id)
    if standing is Standing.MERGED:
        raise people.merged()
    if standing is Standing.SUSPENDED and caller.is_service:
        raise people.suspended(is_told=True)


def _session_of(caller: Caller, wanted: Wanted) -> Session | None:
    """Raises session_not_found, also for one of another user, session_ended, session_is_live."""
    if wanted.session_id is None:
        return None
    session = sessions.session_of(caller, wanted.session_id)
    if session.user_id != wanted.user_id:
        raise sessions.not_found()
    sessions.require_open(session)
    if session.purpose == Purpose.VIDEO_CALL:
        raise ServiceError("session_is_live", "A call takes frames, and no verify.")
    return session


def _level(wanted: Wanted, session: Session | None) -> str:
    """The stricter one of what the session and the attempt ask for."""
    asked = [level for level in (wanted.level, session.level if session else None) if level]
    return max(asked, key=thresholds.LEVELS.index, default="standard")


def _of_nobody(session: Session | None, compared: Verification) -> Verification:
    """There is no such user, or no longer: nothing is kept. Raises session_not_found."""
    if session:
        raise sessions.not_found()
    if compared.compared is not None:
        compared = replace(compared, result="no_registered_faces", compared=None)
    daily_counts.note(CountedKind.VERIFICATION, compared.result)
    return compared


def _settle(
    source: Source,
    session: Session | None,
    compared: Verification,
    inspection: Inspection,
    outcomes: dict[str, Outcome],
) -> Verification:
    if compared.compared is None or compared.probe is None:
        lockout.require_free(source)
        record(source, session, compared.result, risk.Assessment(), inspection, outcomes)
        return compared
    if session and session.is_single_use:
        _one_at_a_time(source.user_id)
    history = history_of(source, inspection, compared)
    attempt = attempt_of(compared, session, outcomes, has_device=bool(source.device))
    assessment = risk.assess(attempt, history)
    result = "rejected" if assessment.is_refused else compared.result
    count(source, result, assessment)
    face_id = compared.compared.face_id if result == "success" else None
    record(
        source,
        session,
        result,
        assessment,
        inspection,
        outcomes,
        confidence=attempt.confidence,
        face_id=face_id,
    )
    if result == "success" or _is_failure(result, assessment):
        recent_probes.keep(compared.by, source.user_id, compared.probe)
    if session:
        _note(session, result, assessment)
    if result == "rejected":
        # A refused attempt tells nothing of the face.
        compared = replace(compared, compared=None)
    return replace(compared, result=result, risk=assessment.as_json())


def _one_at_a_time(user_id: UUID) -> None:
    """Let logins of a user come one by one, so that the second finds the first one's picture."""
    with connection.cursor() as cursor:
        name = f"login of {user_id}"
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def attempt_of(
    compared: Verification,
    session: Session | None,
    outcomes: dict[str, Outcome],
    *,
    has_device: bool,
) -> risk.Attempt:
    """Raises ValueError when nothing was compared."""
    if compared.cosine is None or compared.probe is None:
        raise ValueError("nothing was compared")
    return risk.Attempt(
        confidence=compared.by.scores.confidence(compared.cosine),
        threshold=thresholds.level_confidence(compared.level),
        quality_score=compared.probe.quality.score,
        min_quality=settings.MIN_FACE_QUALITY,
        level=compared.level,
        in_session=session is not None,
        is_single_use=session is not None and session.is_single_use,
        has_device=has_device,
        checks=outcomes,
        insists_on=risk.insisted_on(compared.level, settings.FACESVC_STRICT_CHECKS),
    )


def history_of(source: Source, inspection: Inspection, compared: Verification) -> risk.History:
    """Raises too_many_attempts, locked."""
    now, seen_before = timezone.now(), Attempt.objects.filter(user=source.user_id)
    same = Q(picture_hash=inspection.picture_hash) | Q(pixels_hash=inspection.pixels_hash)
    within = timedelta(hours=settings.FACESVC_REPLAY_HOURS)
    # What was refused for a fault on our side may come once more.
    counted = Q(result="success") | Q(is_failure=True)
    replayed = seen_before.filter(same, counted, at__gt=now - within)
    return risk.History(
        failures=lockout.require_free(source),
        is_replayed=replayed.exists() or recent_probes.is_known(compared, source.user_id),
        is_new_device=lockout.is_new_device(source),
        users_failed=lockout.users_failed(source),
        is_unlike_face=_is_unlike_face(compared, source.user_id),
    )


def _is_unlike_face(compared: Verification, user_id: UUID) -> bool:
    """Whether a face matches that was enrolled a short time ago, unlike the user's others."""
    if not (compared.is_match and compared.compared):
        return False
    return unlike_faces.is_noted(user_id, compared.compared.face_id)


def count(source: Source, result: str, assessment: risk.Assessment) -> None:
    """A refusal for what we lack is nobody's failure. Raises too_many_attempts, locked."""
    if result == "success":
        lockout.succeeded(source)
    elif _is_failure(result, assessment):
        lockout.failed(source)


def _is_failure(result: str, assessment: risk.Assessment) -> bool:
    return result == "no_match" or (result == "rejected" and assessment.is_attack)


def record(
    source: Source,
    session: Session | None,
    result: str,
    assessment: risk.Assessment,
    inspection: Inspection,
    outcomes: dict[str, Outcome],
    *,
    confidence: float | None = None,
    face_id: str | None = None,
) -> None:
    daily_counts.note_if_stored(CountedKind.VERIFICATION, result)
    face = _counted(face_id, source.user_id) if face_id else None
    Attempt.objects.create(
        session=session,
        user_id=source.user_id,
        face=face,
        source=source.name,
        device=source.device,
        result=result,
        is_failure=_is_failure(result, assessment),
        confidence=confidence,
        risk_level=assessment.risk_level,
        factors=list(assessment.factors),
        antispoofing=_json(outcomes, ANTISPOOFING),
        deepfake=_json(outcomes, DEEPFAKE),
        picture_hash=inspection.picture_hash,
        pixels_hash=inspection.pixels_hash,
    )


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


def _note(session: Session, result: str, assessment: risk.Assessment) -> None:
    """In the session, which ends with its first success if it is for a login."""
    session.risk = assessment.as_json()
    if result == "success":
        session.state, session.verified_at = State.VERIFIED, timezone.now()
        session.ended_at = session.verified_at if session.is_single_use else None
    elif not session.is_single_use and _is_failure(result, assessment):
        session.state = State.MISMATCH
    session.save(update_fields=["risk", "state", "verified_at", "ended_at"])
