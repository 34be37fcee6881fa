"""The shapes of the answers, for the API description; answers.py makes the values."""

from typing import Any

from rest_framework import serializers as s

from recognition.models import PrivacyLevel, Taggable

Serializer = s.Serializer[Any]
_SUSPENDED = "Since when a moderator has suspended it; end users never see such a one."


class Box(Serializer):
    x = s.IntegerField()
    y = s.IntegerField()
    width = s.IntegerField()
    height = s.IntegerField()


class Place(Serializer):
    box = Box()
    rotation = s.ChoiceField(
        [0, 90, 180, 270],
        help_text="Degrees clockwise by which the picture was turned before this face was found; "
        "all coordinates are of the turned picture.",
    )


class Quality(Serializer):
    face_quality_score = s.FloatField(min_value=0, max_value=1)
    components = s.DictField(child=s.FloatField(min_value=0, max_value=1))
    reasons = s.ListField(child=s.CharField())


class Attributes(Serializer):
    estimated_age = s.FloatField(allow_null=True)
    estimated_gender = s.CharField(allow_null=True)
    face_landmarks = s.DictField(
        child=s.ListField(child=s.FloatField(), min_length=2, max_length=2, allow_null=True),
        help_text="`left_eye`, `right_eye`, `nose_tip`, `mouth_left` and `mouth_right` with every "
        "pack, as [x, y]; null where a pack cannot tell. A pack may have others beside them.",
    )


class Pose(Serializer):
    yaw = s.FloatField(help_text="Degrees; positive turns to the picture's right.")
    pitch = s.FloatField(allow_null=True, help_text="Null where the landmarks cannot tell.")
    roll = s.FloatField()


class Scores(Serializer):
    similarity_score = s.FloatField(min_value=0, max_value=1)
    confidence_score = s.FloatField(min_value=0, max_value=1)


class Registered(Serializer):
    face_id = s.CharField()
    user_id = s.UUIDField()
    privacy_level = s.ChoiceField(
        PrivacyLevel.values,
        help_text="Who finds the user; `friends` until `PUT /users/{user_id}` changes it.",
    )
    registration_status = s.ChoiceField(["success"])
    face_quality_score = s.FloatField()
    embedding_version = s.CharField()
    face_attributes = Attributes()


class Risk(Serializer):
    risk_level = s.ChoiceField(["low", "medium", "high"])
    factors = s.ListField(child=s.CharField())
    explanation = s.CharField(
        required=False, help_text="Only of what a rule refuses: why, and what can be done."
    )


class Verified(Scores):
    verification_result = s.ChoiceField(
        ["success", "no_match", "no_face_detected", "no_registered_faces", "rejected"],
        help_text="`rejected`: a risk rule refuses, see risk_assessment; scores are then 0.",
    )
    is_match = s.BooleanField()
    matched_face_id = s.CharField(allow_null=True)
    match_on = s.ChoiceField(["face", "user"], help_text="Which of the two below decided.")
    nearest_face = Scores(help_text="Against the most similar face of the user.")
    mean_face = Scores(help_text="Against the mean of the user's faces.")
    verification_level = s.ChoiceField(["basic", "standard", "strict"])
    risk_assessment = Risk()


class ComparedFace(Place):
    quality = Quality()


class Compared(Scores):
    is_match = s.BooleanField()
    verification_level = s.ChoiceField(["basic", "standard", "strict"])
    face_a = ComparedFace()
    face_b = ComparedFace()


class UserInfo(Serializer):
    display_name = s.CharField(allow_blank=True)
    profile_image = s.CharField(allow_blank=True)
    privacy_level = s.ChoiceField(PrivacyLevel.values)


class Candidate(Scores):
    user_id = s.UUIDField()
    face_id = s.CharField()
    user_info = UserInfo()


class Candidates(Serializer):
    identification_result = s.ChoiceField(["found", "not_found", "no_face_detected"])
    candidates = Candidate(many=True)
    total_candidates = s.IntegerField()


class IdentifiedFace(Candidates, Place):
    quality = Quality()


class Threshold(Scores):
    cut = s.ChoiceField(["min_confidence", "max_false_positive_rate"])
    extrapolated = s.BooleanField()


class SearchedScope(Serializer):
    everyone = s.BooleanField()
    viewer = s.UUIDField(
        required=False,
        allow_null=True,
        help_text="On whose behalf was searched, whose own faces count; not in stored batches. "
        "Null for a service that names nobody: only public users are found then.",
    )
    user_groups = s.ListField(
        child=s.CharField(), help_text="Those of the request that counted, for this viewer."
    )


class SearchStats(Serializer):
    scope = SearchedScope()
    faces_searched = s.IntegerField()
    search_time_ms = s.IntegerField()
    threshold = Threshold()


_FOUND = (
    "How many faces the picture has. More than there are in `faces`: only the largest count, up to "
    "`FACESVC_MAX_FACES_PER_IMAGE`, or only the main one was asked for."
)


class Identified(Candidates):
    faces = IdentifiedFace(many=True)
    faces_found = s.IntegerField(help_text=_FOUND)
    search_stats = SearchStats()


class DetectedFace(Place):
    detection_score = s.FloatField(
        min_value=0,
        max_value=1,
        help_text="How sure the detector is; detectors of different packs do not compare.",
    )
    quality = Quality()
    pose = Pose()
    face_attributes = Attributes()
    liveness_score = s.FloatField(
        min_value=0,
        max_value=1,
        allow_null=True,
        help_text="From 0 (spoof) to 1 (real); null when the pack has no anti-spoofing.",
    )


class Detected(Serializer):
    faces = DetectedFace(many=True)
    total_faces = s.IntegerField()
    faces_found = s.IntegerField(help_text=_FOUND)


class OperatingPoint(Scores):
    false_match_rate = s.FloatField(help_text="Share of strangers that reach these scores.")
    extrapolated = s.BooleanField(help_text="Too rare to be measured on the calibration's data.")


class Calibration(Serializer):
    data_set = s.CharField()
    measured_on = s.DateField()
    operating_points = OperatingPoint(many=True)


class Model(Serializer):
    name = s.CharField()
    description = s.CharField()
    licence = s.CharField()
    embedding_version = s.CharField()
    model_version = s.CharField()
    active = s.BooleanField(help_text="Answers requests.")
    prepared = s.BooleanField(help_text="Its files are on this machine.")
    calibrated = s.BooleanField(help_text="It is known what its scores mean.")
    calibration = Calibration(allow_null=True)


class ModelList(Serializer):
    models = Model(many=True)


class Privacy(Serializer):
    searchable = s.BooleanField()
    taggable = s.ChoiceField(Taggable.values)


class Face(Serializer):
    face_id = s.CharField()
    user_id = s.UUIDField()
    face_group = s.CharField()
    face_quality_score = s.FloatField()
    quality_components = s.DictField(child=s.FloatField())
    face_attributes = Attributes()
    metadata = s.DictField()
    privacy_settings = Privacy()
    suspended_at = s.DateTimeField(allow_null=True, help_text=_SUSPENDED)
    embedding_version = s.CharField(
        allow_null=True,
        help_text="Of the template that is compared now. Null: the face is compared with nobody "
        "until it is enrolled again.",
    )
    model_version = s.CharField(allow_null=True, help_text="What computed that template.")
    verification_count = s.IntegerField()
    last_verified_at = s.DateTimeField(allow_null=True)
    created_at = s.DateTimeField()
    updated_at = s.DateTimeField()


class FaceList(Serializer):
    faces = Face(many=True)
    next_cursor = s.CharField(allow_null=True)


class User(UserInfo):
    user_id = s.UUIDField()
    suspended_at = s.DateTimeField(allow_null=True, help_text=_SUSPENDED)
    created_at = s.DateTimeField()


class Deleted(Serializer):
    face_id = s.CharField()
    deleted = s.BooleanField()
