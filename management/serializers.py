"""Request bodies of the management endpoints."""

from rest_framework import serializers

from recognition.api.fields import (
    FaceMetadataField,
    FlagField,
    NestedSerializer,
    StrictSerializer,
    TextField,
)
from recognition.models import PrivacyLevel, Taggable


class PrivacySettings(NestedSerializer):
    searchable = FlagField(required=False)
    taggable = serializers.ChoiceField(Taggable.values, required=False)


class FaceRequest(StrictSerializer):
    """A missing field stays as it is, with PUT as with PATCH: privacy never changes silently."""

    face_group = TextField(max_length=64, required=False)
    metadata = FaceMetadataField(required=False)
    privacy_settings = PrivacySettings(required=False)


class UserRequest(StrictSerializer):
    display_name = TextField(max_length=200, allow_blank=True, required=False)
    profile_image = serializers.URLField(max_length=2000, allow_blank=True, required=False)
    privacy_level = serializers.ChoiceField(PrivacyLevel.values, required=False)


class NoFields(StrictSerializer):
    """The path says everything; a field is refused, since it would be ignored silently."""
