"""Request bodies of moderation."""

from management.moderation import DECISIONS, MAX_REASON
from recognition.api.serializers import ChoiceField, IdField, StrictSerializer, TextField
from recognition.models import PrivacyLevel


class ReasonRequest(StrictSerializer):
    # Comments, since docstrings would appear in the API description of every body.
    reason = TextField(
        max_length=MAX_REASON,
        allow_blank=True,
        default="",
        help_text="Kept in the audit log until the person is erased.",
    )


class MoveRequest(ReasonRequest):
    user_id = IdField()


class MergeRequest(ReasonRequest):
    into = IdField(help_text="Who stays.")
    privacy_level = ChoiceField(
        PrivacyLevel.values,
        required=False,
        help_text="The privacy level of the user who stays; by default the stricter of both.",
    )


class DecisionRequest(ReasonRequest):
    decision = ChoiceField(DECISIONS)
    into = IdField(required=False, help_text="For `same_person`: which of the two users stays.")
