"""What answers say of a face in a picture, and of all that a picture has."""

from typing import Any

from rest_framework import serializers as s

from recognition.api.rendering import Rounded, Serializer, Value
from recognition.descriptions import attributes_of, box_of
from recognition.inference.pipeline import DetectedFace as FaceInPicture

FACES_FOUND = (
    "How many faces the picture has. More than there are in `faces`: only the largest count, up to "
    "`FACESVC_MAX_FACES_PER_IMAGE`, or only the main one was asked for."
)
SMALLEST_FACE = (
    "Pixels: nearly all faces whose box is at least so wide are found in this picture. "
    "`FACESVC_SMALLEST_FACE` says how far the service goes in large pictures."
)


class Box(Serializer):
    x = s.IntegerField()
    y = s.IntegerField()
    width = s.IntegerField()
    height = s.IntegerField()


class Quality(Serializer):
    face_quality_score = s.FloatField(source="score", min_value=0, max_value=1)
    components = s.DictField(child=s.FloatField(min_value=0, max_value=1))
    reasons = s.ListField(child=s.CharField())


class SeenFace(Serializer):
    box = Box()
    rotation = s.ChoiceField(
        [0, 90, 180, 270],
        help_text="Degrees clockwise by which the picture was turned before this face was found; "
        "all coordinates are of the turned picture.",
    )
    quality = Quality()

    @classmethod
    def of(cls, row: FaceInPicture, shown: Any = None) -> Value:
        return cls.filled(row, shown, box=box_of(row))


class Attributes(Serializer):
    estimated_age = s.FloatField(allow_null=True)
    estimated_gender = s.CharField(allow_null=True)
    face_landmarks = s.DictField(
        child=s.ListField(child=s.FloatField(), min_length=2, max_length=2, allow_null=True),
        help_text="`left_eye`, `right_eye`, `nose_tip`, `mouth_left` and `mouth_right` with every "
        "pack, as [x, y]; null where a pack cannot tell. A pack may have others beside them.",
    )

    @classmethod
    def of(cls, row: Any, shown: Any = None) -> Value:
        """`shown` names the landmarks of a face in a picture; a stored face has the names."""
        return row if isinstance(row, dict) else attributes_of(row, shown)


class Pose(Serializer):
    yaw = Rounded(1, help_text="Degrees; positive turns to the picture's right.")
    pitch = Rounded(
        1,
        allow_null=True,
        help_text="Degrees; positive looks down. Null where the landmarks cannot tell.",
    )
    roll = Rounded(1, help_text="Degrees; positive tilts clockwise.")


class DetectedFace(SeenFace):
    # dlib's detector gives scores above 1.
    detection_score = Rounded(
        4,
        min_value=0,
        max_value=1,
        help_text="How sure the detector is; detectors of different packs do not compare.",
    )
    pose = Pose()
    face_attributes = Attributes(source="*")
    liveness_score = Rounded(
        4,
        source="liveness",
        min_value=0,
        max_value=1,
        allow_null=True,
        help_text="From 0 (spoof) to 1 (real); null when the pack has no anti-spoofing.",
    )
    eyes_open_score = Rounded(
        4,
        source="eyes_open",
        min_value=0,
        max_value=1,
        allow_null=True,
        help_text="From 0 (closed) to 1 (open), of the more open eye; null when the pack has no "
        "network for it. It changes no decision.",
    )


class Detected(Serializer):
    faces = DetectedFace(many=True)
    total_faces = s.IntegerField()
    faces_found = s.IntegerField(help_text=FACES_FOUND)
    smallest_face = s.IntegerField(help_text=SMALLEST_FACE)
