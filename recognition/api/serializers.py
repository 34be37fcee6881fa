"""The bodies of requests. Comments stand for docstrings, which would be in the API description."""

from typing import Any

from rest_framework import serializers

from recognition.api.fields import (
    AttemptMetadataField,
    ChoiceField,
    FaceMetadataField,
    FiniteFloatField,
    FlagField,
    MetadataField,
    NestedList,
    NestedSerializer,
    PictureField,
    StrictSerializer,
    TextField,
    TimeField,
    UserIdField,
    WholeNumberField,
)
from recognition.errors import ServiceError, of_photo
from recognition.gallery import comparing
from recognition.identification import several_photos
from recognition.models.sessions import Purpose
from recognition.packs.scores import LEVELS

UNIQUE_PEOPLE = (
    "Whether a person is a candidate of one face of a picture at most. If left out, true where the "
    "purpose is tagging: `source` of the metadata is `auto_tagging`, or `context` `post_upload`."
)


class SearchScope(NestedSerializer):
    user_groups = serializers.ListField(
        child=TextField(max_length=64), default=["public", "friends"], max_length=50
    )
    scope = ChoiceField(
        ["all"], required=False, help_text="`all` searches everyone; needs face:admin."
    )
    face_group = TextField(
        max_length=64,
        required=False,
        help_text="Only faces that were enrolled with this `face_group`; for services.",
    )
    match_on = ChoiceField(
        comparing.MATCH_ON,
        default="face",
        help_text="Decide by the best of the scores of a user's faces, or by their mean.",
    )
    max_candidates = WholeNumberField(min_value=1, max_value=100, default=10)
    min_confidence = FiniteFloatField(
        min_value=0,
        max_value=0.9999,
        required=False,
        help_text="FACE_MATCH_THRESHOLD if left out, and at least that in a search for a user.",
    )
    max_false_positive_rate = FiniteFloatField(
        min_value=1e-9,
        max_value=1,
        default=0.01,
        allow_null=True,
        help_text="The share of searches in which a stranger may match anybody; null for no limit, "
        "which needs face:admin.",
    )


class PhotosField(serializers.ListField):
    # Several pictures: a refusal says which of them it is about.

    child = PictureField()

    def run_child_validation(self, data: Any) -> list[bytes]:
        return [self._photo(*each) for each in enumerate(data)]

    def _photo(self, place: int, data: Any) -> Any:
        try:
            return self.child.run_validation(data)
        except serializers.ValidationError as error:
            named: dict[str, Any] = {str(place): error.detail}
            raise serializers.ValidationError(named) from error
        except ServiceError as error:
            raise of_photo(place, error.code, str(error), error.details) from error


class RegisterRequest(StrictSerializer):
    user_id = UserIdField()
    image = PictureField()
    face_group = TextField(max_length=64, default="primary")
    face_index = WholeNumberField(min_value=0, max_value=1000, required=False)
    metadata = FaceMetadataField(
        default=dict,
        help_text="Stored with the face. `consent`: {given_at, text_version}; see docs/privacy.md.",
    )


class FaceOfPhoto(StrictSerializer):
    face_index = WholeNumberField(
        min_value=0, max_value=1000, help_text="The place of the face among those of detect."
    )
    user_id = UserIdField()
    face_group = TextField(max_length=64, default="primary")
    metadata = FaceMetadataField(
        default=dict, help_text="Stored with this face, as by register: each has its own consent."
    )


class RegisterFacesRequest(StrictSerializer):
    image = PictureField()
    faces = NestedList(
        child=FaceOfPhoto(),
        allow_empty=False,
        max_length=100,
        help_text="Each face once, and each user once.",
    )

    def validate_faces(self, faces: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for name in ("face_index", "user_id"):
            if len({face[name] for face in faces}) < len(faces):
                raise serializers.ValidationError(f"Two of them have the same {name}.")
        return faces


class VerifyRequest(StrictSerializer):
    user_id = UserIdField()
    image = PictureField()
    face_id = TextField(max_length=17, required=False, help_text="Compare with this face alone.")
    face_group = TextField(
        max_length=64,
        required=False,
        help_text="Compare with faces of this group alone (not with face_id).",
    )
    verification_level = ChoiceField(
        LEVELS,
        required=False,
        help_text="`standard` if left out; in a session the stricter of both.",
    )
    match_on = ChoiceField(
        comparing.MATCH_ON,
        default="face",
        help_text="Decide by the best of the faces' scores, or by their mean (not with face_id).",
    )
    metadata = AttemptMetadataField(
        default=dict,
        help_text="`session_id`: the session of this attempt. `device_id`: see docs/risk.md.",
    )

    def validate(self, attrs: Any) -> Any:
        if "face_id" in attrs and attrs["match_on"] == "user":
            raise serializers.ValidationError(
                {"match_on": "One face has no mean: leave out face_id."}
            )
        if "face_id" in attrs and "face_group" in attrs:
            raise serializers.ValidationError({"face_group": "Leave out face_id, or this."})
        return attrs


class IdentifyRequest(StrictSerializer):
    one_of = ("image", "images")
    image = PictureField(required=False)
    images = PhotosField(
        min_length=several_photos.LEAST,
        max_length=several_photos.MOST,
        required=False,
        help_text="In place of `image`: several photos of one unknown person, the main face of "
        "each. The mean of their scores decides.",
    )
    on_behalf_of = UserIdField(required=False)
    faces = ChoiceField(
        ["all", "largest"], required=False, help_text="`all` if left out. Only beside `image`."
    )
    unique_people = FlagField(required=False, help_text=UNIQUE_PEOPLE)
    search_scope = SearchScope(required=False)
    metadata = MetadataField(default=dict)

    def validate(self, attrs: Any) -> Any:
        if not attrs.keys() & self.one_of:
            message = "Send a picture, or in its place several photos of one person as images."
            raise serializers.ValidationError({"image": message})
        if attrs.keys() >= {*self.one_of}:
            raise serializers.ValidationError({"images": "Send image, or this in its place."})
        for name in ("faces", "unique_people"):
            if "images" in attrs and name in attrs:
                message = "Of several photos the main faces count: leave this out."
                raise serializers.ValidationError({name: message})
        return attrs


class IdentifyFaceRequest(StrictSerializer):
    on_behalf_of = UserIdField(required=False)
    search_scope = SearchScope(required=False)
    metadata = MetadataField(default=dict)


class DetectRequest(StrictSerializer):
    image = PictureField()


class CompareRequest(StrictSerializer):
    image_a = PictureField()
    image_b = PictureField()
    faces = ChoiceField(
        ["all", "largest"],
        default="all",
        help_text="Every face of one picture with every face of the other, or the main ones alone, "
        "which takes less time.",
    )
    verification_level = ChoiceField(LEVELS, default="standard")


class SessionRequest(StrictSerializer):
    user_id = UserIdField()
    purpose = ChoiceField(Purpose.values, default=Purpose.LOGIN.value)
    verification_level = ChoiceField(LEVELS, default="standard")
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
