"""Request bodies of sessions."""

from typing import Any

from rest_framework import serializers as s

from recognition.api.serializers import (
    AttemptMetadataField,
    ChoiceField,
    IdField,
    PictureField,
    StrictSerializer,
    WholeNumberField,
)
from recognition.models.sessions import Purpose
from recognition.packs import thresholds


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
