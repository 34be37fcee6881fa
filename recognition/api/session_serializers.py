"""Request bodies of sessions, and the shapes of their answers for the API description."""

from typing import Any

from rest_framework import serializers as s

from recognition.api.schemas import Risk
from recognition.api.serializers import (
    AttemptMetadataField,
    ChoiceField,
    IdField,
    PictureField,
    StrictSerializer,
    WholeNumberField,
)
from recognition.models.sessions import SHOWN_STATES, Purpose
from recognition.packs import thresholds

FRAME_STATUS = ("counted", "dropped")
RESULTS = ("success", "no_match", "no_face_detected", "no_registered_faces", "rejected")


class TimeField(s.DateTimeField):
    """A time as text; Django REST framework also takes other types for one."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.fail("invalid", format="ISO 8601")
        return super().to_internal_value(value)


class SessionRequest(StrictSerializer):
    user_id = IdField()
    purpose = ChoiceField(Purpose.values, default=Purpose.LOGIN.value)
    verification_level = ChoiceField(thresholds.LEVELS, default="standard")
    metadata = AttemptMetadataField(
        default=dict, help_text="`device_id`: the device that the user verifies from."
    )


class FrameRequest(StrictSerializer):
    image = PictureField()
    sequence = WholeNumberField(
        min_value=0,
        max_value=2**63 - 1,
        required=False,
        help_text="Rises with every frame; one that is not above the last is dropped.",
    )
    captured_at = TimeField(
        required=False, help_text="Instead of it, or besides: when the frame was taken."
    )


class Session(s.Serializer[Any]):
    session_id = s.UUIDField()
    user_id = s.UUIDField()
    purpose = s.ChoiceField(Purpose.values)
    verification_level = s.ChoiceField(thresholds.LEVELS)
    state = s.ChoiceField(SHOWN_STATES)
    created_at = s.DateTimeField()
    expires_at = s.DateTimeField()
    ended_at = s.DateTimeField(allow_null=True)
    verified_at = s.DateTimeField(allow_null=True, help_text="When it last became so.")
    frames = s.IntegerField(help_text="That were looked at.")
    risk_assessment = Risk(help_text="Of the last attempt or frame.")


class Attempt(s.Serializer[Any]):
    at = s.DateTimeField()
    verification_result = s.ChoiceField(RESULTS)
    risk_assessment = Risk()


class SessionWithAttempts(Session):
    attempts = Attempt(many=True, help_text="The last 20, newest first.")


class FrameSeen(s.Serializer[Any]):
    status = s.ChoiceField(FRAME_STATUS, help_text="`dropped`: a newer one was counted.")
    verification_result = s.ChoiceField(
        RESULTS,
        allow_null=True,
        help_text="Only once the state is `verified` it says whether this face is the user's.",
    )


class FrameTaken(Session):
    frame = FrameSeen()
