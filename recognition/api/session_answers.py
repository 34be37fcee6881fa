"""The answers of sessions."""

from typing import Any

from rest_framework import serializers as s

from recognition.api.answers import RESULTS, Risk
from recognition.api.rendering import Serializer, UserIdText, Value
from recognition.models.sessions import SHOWN_STATES, Purpose
from recognition.packs.scores import LEVELS
from recognition.verification.frames import FrameResult

FRAME_STATUS = ("counted", "dropped")


class Session(Serializer):
    session_id = s.UUIDField(source="pk")
    user_id = UserIdText()
    purpose = s.ChoiceField(Purpose.values)
    verification_level = s.ChoiceField(LEVELS, source="level")
    state = s.ChoiceField(SHOWN_STATES, source="shown_state")
    created_at = s.DateTimeField()
    expires_at = s.DateTimeField()
    ended_at = s.DateTimeField(allow_null=True)
    verified_at = s.DateTimeField(allow_null=True, help_text="When it last became so.")
    frames = s.IntegerField(help_text="That were looked at.")
    risk_assessment = Risk(source="risk", help_text="Of the last attempt or frame.")


class Attempt(Serializer):
    at = s.DateTimeField()
    verification_result = s.ChoiceField(RESULTS, source="result")
    risk_assessment = Risk(source="risk")


class SessionWithAttempts(Session):
    attempts = Attempt(many=True, source="newest_attempts", help_text="The last 20, newest first.")


class FrameSeen(Serializer):
    status = s.ChoiceField(FRAME_STATUS, help_text="`dropped`: a newer one was counted.")
    verification_result = s.ChoiceField(
        RESULTS,
        allow_null=True,
        help_text="Only once the state is `verified` it says whether this face is the user's.",
    )


class FrameTaken(Session):
    frame = FrameSeen()

    @classmethod
    def of(cls, row: FrameResult, shown: Any = None) -> Value:
        status = "counted" if row.is_counted else "dropped"
        frame = {"status": status, "verification_result": row.result}
        return Session.of(row.session) | {"frame": frame}
