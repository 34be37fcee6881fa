"""What an attempt comes to, and its row: the same for a verify and for a frame of a call."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from recognition import daily_counts
from recognition.gallery import comparing
from recognition.models import Attempt, CountedKind, Face, Session, locks
from recognition.models.locks import One
from recognition.verification import lockout, providers, recent_probes, risk
from recognition.verification.lockout import Source
from recognition.verification.matching import UserComparison
from recognition.verification.providers import ANTISPOOFING, DEEPFAKE, Outcome


@dataclass(frozen=True)
class Verdict:
    """The result of the faces, or `rejected` for what speaks against the attempt."""

    result: str
    assessment: risk.Assessment = risk.NO_RISK

    @cached_property
    def is_match(self) -> bool:
        return self.result == "success"

    @cached_property
    def is_failure(self) -> bool:
        """A refusal for a fault on our side is no failure of the caller."""
        is_attack = self.result == "rejected" and self.assessment.is_attack
        return self.result == "no_match" or is_attack


def judge(
    comparison: UserComparison,
    source: Source,
    session: Session | None,
    outcomes: Mapping[str, Outcome],
    *,
    has_history: bool = True,
    is_repeated: bool = False,
) -> Verdict:
    """Judge a face by its comparison, by the outcomes of its checks, and by what came before it.

    `has_history` is False if only `is_repeated` counts: whether the picture came before. Raises
    too_many_attempts, locked.
    """
    if comparison.nearest is None:
        return Verdict(comparison.result)
    is_single_use = session is not None and session.is_single_use
    if is_single_use:
        # Logins of a user come one by one, so that the second finds the first one's picture.
        locks.wait_for(One.LOGIN, source.user_id)
    history = _history(comparison, source) if has_history else risk.History()
    if is_repeated:
        history = replace(history, is_replayed=True)
    attempt = risk.Attempt(
        confidence=comparison.confidence,
        threshold=comparison.threshold,
        quality_score=comparison.probe.quality,
        min_quality=settings.MIN_FACE_QUALITY,
        level=comparison.level,
        in_session=session is not None,
        is_provisional=comparison.probe.by.scores.is_provisional
        and not settings.FACESVC_STRICT_PROVISIONAL,
        is_single_use=is_single_use,
        has_device=bool(source.device),
        checks=outcomes,
        insists_on=risk.insisted_on(comparison.level, settings.FACESVC_STRICT_CHECKS),
    )
    assessment = risk.assess(attempt, history)
    return Verdict("rejected" if assessment.is_refused else comparison.result, assessment)


def _history(comparison: UserComparison, source: Source) -> risk.History:
    """Raises too_many_attempts, locked."""
    probe, user_id = comparison.probe, source.user_id
    failures = lockout.require_free(source)
    is_new_device, users_failed = lockout.is_new_device(source), lockout.users_failed(source)
    same = Q(picture_hash=probe.picture_hash) | Q(pixels_hash=probe.pixels_hash)
    # A picture that was refused for a fault on our side may come again.
    used = Attempt.objects.filter(Q(result="success") | Q(is_failure=True), same, user=user_id)
    within = timedelta(hours=settings.FACESVC_REPLAY_HOURS)
    is_used = used.filter(at__gt=timezone.now() - within).exists()
    is_match = comparison.result == "success" and comparison.nearest
    return risk.History(
        failures=failures,
        is_replayed=is_used or recent_probes.is_known(comparison, user_id),
        is_new_device=is_new_device,
        users_failed=users_failed,
        is_unlike_face=bool(is_match and comparing.is_noted_unlike(user_id, is_match.face_id)),
    )


def record(
    comparison: UserComparison, source: Source, session: Session | None, verdict: Verdict
) -> None:
    """Store the attempt, and its face among those that must not come again."""
    nearest, probe = comparison.nearest, comparison.probe
    face = _counted(nearest.face_id, source.user_id) if nearest and verdict.is_match else None
    outcomes = providers.as_json(probe.outcomes)
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
        antispoofing=outcomes.get(ANTISPOOFING, {}),
        deepfake=outcomes.get(DEEPFAKE, {}),
        picture_hash=probe.picture_hash,
        pixels_hash=probe.pixels_hash,
    )
    daily_counts.note_if_stored(CountedKind.VERIFICATION, verdict.result)
    if probe.template is not None and (verdict.is_match or verdict.is_failure):
        recent_probes.keep(probe.by, source.user_id, probe.template)


def _counted(face_id: str, user_id: UUID) -> Face | None:
    """The face that matched, with one verification more, and locked until the transaction ends."""
    faces = Face.objects.filter(face_id=face_id, user=user_id)
    faces.update(verification_count=F("verification_count") + 1, last_verified_at=timezone.now())
    return faces.first()
