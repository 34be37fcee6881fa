"""Sessions as the JSON of the API."""

from recognition.api.answers import Answer
from recognition.models import Attempt, Session
from recognition.verification.frames import Taken

_ATTEMPTS = 20  # that are shown
NO_RISK: Answer = {"risk_level": "low", "factors": []}


def session(of: Session) -> Answer:
    return {
        "session_id": str(of.pk),
        "user_id": str(of.user_id),
        "purpose": of.purpose,
        "verification_level": of.level,
        "state": of.shown_state,
        "created_at": of.created_at,
        "expires_at": of.expires_at,
        "ended_at": of.ended_at,
        "verified_at": of.verified_at,
        "frames": of.frames,
        "risk_assessment": NO_RISK | of.risk,
    }


def session_with_attempts(of: Session) -> Answer:
    newest = of.attempts.order_by("-pk")[:_ATTEMPTS]
    return session(of) | {"attempts": [_attempt(each) for each in newest]}


def _attempt(of: Attempt) -> Answer:
    return {
        "at": of.at,
        "verification_result": of.result,
        "risk_assessment": {"risk_level": of.risk_level, "factors": of.factors},
    }


def frame_taken(of: Taken) -> Answer:
    status = "counted" if of.is_counted else "dropped"
    return session(of.session) | {"frame": {"status": status, "verification_result": of.result}}
