"""Request bodies of the management endpoints."""

from rest_framework import serializers

from recognition.models import PrivacyLevel, Taggable
from recognition.serializers import MetadataField, StrictSerializer


class PrivacySettings(StrictSerializer):
    searchable = serializers.BooleanField(required=False)
    taggable = serializers.ChoiceField(Taggable.values, required=False)


class FaceRequest(StrictSerializer):
    """What is left out stays, with PUT as with PATCH: nobody's privacy changes silently."""

    face_group = serializers.CharField(max_length=64, required=False)
    metadata = MetadataField(required=False)
    privacy_settings = PrivacySettings(required=False)


class UserRequest(StrictSerializer):
    display_name = serializers.CharField(max_length=200, allow_blank=True, required=False)
    profile_image = serializers.URLField(max_length=2000, allow_blank=True, required=False)
    privacy_level = serializers.ChoiceField(PrivacyLevel.values, required=False)
