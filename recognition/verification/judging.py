"""What an attempt comes to, and its row: the same for a verify and for a frame of a call."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from recognition import daily_counts
from recognition.collections.current import rule
from recognition.gallery import comparing
from recognition.models import Attempt, CountedKind, Session, locks
from recognition.models.locks import One
from recognition.prepared import Blank, answered, fetched, insert, kept
from recognition.verification import lockout, providers, recent_probes, risk
from recognition.verification.lockout import Source
from recognition.verification.matching import UserComparison
from recognition.verification.providers import ANTISPOOFING, DEEPFAKE, Outcome

_COUNT = """
UPDATE recognition_face SET verification_count = verification_count + 1, last_verified_at = %s
WHERE face_id = %s AND user_id = %s
RETURNING id
"""


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
        min_quality=rule("MIN_FACE_QUALITY"),
        level=comparison.level,
        in_session=session is not None,
        is_provisional=comparison.probe.by.scores.is_provisional
        and not rule("FACESVC_STRICT_PROVISIONAL"),
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
    since = timezone.now() - timedelta(hours=rule("FACESVC_REPLAY_HOURS"))
    hashes = {"picture": probe.picture_hash, "pixels": probe.pixels_hash}
    recent = recent_probes.are_recent(probe, user_id)
    questions = {
        "counts": lockout.has_counts(source),
        **lockout.before(source),
        **lockout.users_failing(source),
        "used": _used.has_rows({"user": user_id, "since": since, **hashes}),
        **recent,
    }
    if comparison.result == "success" and comparison.nearest:
        face_id = comparison.nearest.face_id
        questions["unlike"] = comparing.is_noted_unlike(user_id, face_id)
    answers = answered(questions)
    failures = lockout.require_free(source) if answers["counts"] else 0
    is_used = answers["used"] or any(answers[name] for name in recent)
    return risk.History(
        failures=failures,
        is_replayed=is_used or recent_probes.is_stored(comparison, user_id),
        is_new_device=lockout.is_new_device(answers),
        users_failed=lockout.users_failed(answers),
        is_unlike_face=answers.get("unlike", False),
    )


@kept
def _used() -> QuerySet[Any, Any]:
    """An attempt of a user with the same picture."""
    same = Q(picture_hash=Blank("picture")) | Q(pixels_hash=Blank("pixels"))
    # A picture that was refused for a fault on our side may come again.
    counts = Q(result="success") | Q(is_failure=True)
    used = Attempt.objects.filter(counts, same, user=Blank("user"), at__gt=Blank("since"))
    return used.values_list("pk")[:1]


def record(
    comparison: UserComparison, source: Source, session: Session | None, verdict: Verdict
) -> None:
    """Store the attempt, and its face among those that must not come again."""
    nearest, probe = comparison.nearest, comparison.probe
    face = _counted(nearest.face_id, source.user_id) if nearest and verdict.is_match else None
    outcomes = providers.as_json(probe.outcomes)
    attempt = Attempt(
        session=session,
        user_id=source.user_id,
        face_id=face,
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
    insert(attempt)
    daily_counts.note_if_stored(CountedKind.VERIFICATION, verdict.result)
    if probe.template is not None and (verdict.is_match or verdict.is_failure):
        recent_probes.keep(probe.by, source.user_id, probe.template)


def _counted(face_id: str, user_id: UUID) -> int | None:
    """The key of the face that matched, which has one verification more, and is locked until the
    transaction ends."""
    found = fetched(_COUNT, [timezone.now(), face_id, user_id])
    return found[0][0] if found else None
