"""Request bodies of moderation."""

from management.moderation import DECISIONS, MAX_REASON
from recognition.api.serializers import ChoiceField, IdField, StrictSerializer, TextField
from recognition.models import PrivacyLevel


class ReasonRequest(StrictSerializer):
    # Comments, since docstrings would stand in the API description of every body.
    reason = TextField(
        max_length=MAX_REASON,
        allow_blank=True,
        default="",
        help_text="For the audit log, which forgets it when the person is erased.",
    )


class MoveRequest(ReasonRequest):
    user_id = IdField()


class MergeRequest(ReasonRequest):
    into = IdField(help_text="Who stays.")
    privacy_level = ChoiceField(
        PrivacyLevel.values,
        required=False,
        help_text="Of who stays; without it the stricter one of both.",
    )


class DecisionRequest(ReasonRequest):
    decision = ChoiceField(DECISIONS)
    into = IdField(required=False, help_text="Who stays of `same_person`: one of the two.")
