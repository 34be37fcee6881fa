"""The answers of recognition. Each is declared once, for its value and for the API description."""

from typing import Any

from rest_framework import serializers as s

from recognition.api.rendering import (
    Always,
    Milliseconds,
    Rounded,
    Score,
    Scored,
    Serializer,
    Sorted,
    Value,
)
from recognition.descriptions import attributes_of, box_of
from recognition.identification.identifying import Identification
from recognition.inference.pipeline import DetectedFace as FaceInPicture
from recognition.models import PrivacyLevel
from recognition.packs.scores import COARSE, FINE, LEVELS, ShownScores
from recognition.verification.verifying import Verification

# What a verification says, or a frame of a session.
RESULTS = ("success", "no_match", "no_face_detected", "no_registered_faces", "rejected")


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


class Scores(Serializer):
    similarity_score = Score()
    confidence_score = Score()

    @classmethod
    def of(cls, row: float | None, shown: Any = None) -> Value:
        """The scores of a cosine, or of None."""
        return shown.of(row)  # type: ignore[no-any-return]


class Registered(Serializer):
    face_id = s.CharField()
    user_id = s.UUIDField()
    privacy_level = s.ChoiceField(
        PrivacyLevel.values,
        source="user.privacy_level",
        help_text="Who finds the user; `friends` until `PUT /users/{user_id}` changes it.",
    )
    registration_status = Always("success")
    face_quality_score = s.FloatField(source="quality_score")
    embedding_version = s.CharField()
    face_attributes = Attributes(source="attributes")


class Risk(Serializer):
    risk_level = s.ChoiceField(["low", "medium", "high"])
    factors = s.ListField(child=s.CharField())
    explanation = s.CharField(
        required=False, help_text="Only of what a rule refuses: why, and what can be done."
    )

    @classmethod
    def of(cls, row: Any, shown: Any = None) -> Value:
        return {"risk_level": "low", "factors": [], **(row or {})}


class Verified(Scored):
    verification_result = s.ChoiceField(
        RESULTS,
        source="result",
        help_text="`rejected`: a risk rule refuses, see risk_assessment; scores are then 0.",
    )
    is_match = s.BooleanField()
    similarity_score = Score()
    confidence_score = Score()
    matched_face_id = s.CharField(source="compared.face_id", allow_null=True)
    match_on = s.ChoiceField(["face", "user"], help_text="Which of the two below decided.")
    nearest_face = Scores(
        source="compared.by_face", help_text="Against the most similar face of the user."
    )
    mean_face = Scores(
        source="compared.by_mean", help_text="The mean of the scores of all faces of the user."
    )
    verification_level = s.ChoiceField(LEVELS, source="level")
    risk_assessment = Risk(source="risk")

    @classmethod
    def of(cls, row: Verification, shown: Any = None) -> Value:
        value = super().of(row, shown)
        return value if value["is_match"] else value | {"matched_face_id": None}


class ComparedFace(SeenFace):
    pass


class Compared(Scored):
    # Scores have all digits: both pictures are the caller's, and no stored template is compared.
    is_match = s.BooleanField()
    similarity_score = Score()
    confidence_score = Score()
    verification_level = s.ChoiceField(LEVELS, source="level")
    face_a = ComparedFace()
    face_b = ComparedFace()


class UserInfo(Serializer):
    display_name = s.CharField(allow_blank=True)
    profile_image = s.CharField(allow_blank=True)
    privacy_level = s.ChoiceField(PrivacyLevel.values)


class Candidate(Scored):
    user_id = s.UUIDField()
    face_id = s.CharField()
    similarity_score = Score()
    confidence_score = Score()
    user_info = UserInfo(source="user")


class Candidates(Serializer):
    identification_result = s.ChoiceField(["found", "not_found", "no_face_detected"])
    candidates = Candidate(
        many=True,
        help_text="The surest first. The scores of a person with several faces are those of one "
        "face that a stranger resembles as seldom.",
    )
    total_candidates = s.IntegerField()


class IdentifiedFace(SeenFace, Candidates):
    @classmethod
    def of(cls, row: Any, shown: Any = None) -> Value:
        return SeenFace.of(row.face) | {
            "identification_result": "found" if row.candidates else "not_found",
            "candidates": Candidate.each(row.candidates, shown),
            "total_candidates": len(row.candidates),
        }


class Threshold(Serializer):
    cut = s.ChoiceField(
        ["min_confidence", "max_false_positive_rate"],
        source="used",
        help_text="Which of the two decided. The scores are what a person with one face needs.",
    )
    similarity_score = Score()
    confidence_score = Score()
    extrapolated = s.BooleanField(source="is_extrapolated")
    provisional = s.BooleanField(
        source="is_provisional", help_text="This threshold is not measured with this model."
    )


class SearchedScope(Serializer):
    # This says why somebody may be missing among the candidates.
    everyone = s.BooleanField()
    viewer = s.UUIDField(
        required=False,
        allow_null=True,
        help_text="On whose behalf was searched, whose own faces count; not in stored batches. "
        "Null for a service that names nobody: only public users are found then.",
    )
    user_groups = Sorted(
        source="groups", help_text="Those of the request that counted, for this viewer."
    )


class SearchStats(Serializer):
    scope = SearchedScope(source="request.scope")
    faces_searched = s.IntegerField()
    search_time_ms = Milliseconds(source="search_seconds")
    threshold = Threshold()


_FOUND = (
    "How many faces the picture has. More than there are in `faces`: only the largest count, up to "
    "`FACESVC_MAX_FACES_PER_IMAGE`, or only the main one was asked for."
)
_SMALLEST = (
    "Pixels: nearly all faces whose box is at least so wide are found in this picture. "
    "`FACESVC_SMALLEST_FACE` says how far the service goes in large pictures."
)


class Identified(Candidates):
    faces = IdentifiedFace(many=True)
    faces_found = s.IntegerField(help_text=_FOUND)
    smallest_face = s.IntegerField(help_text=_SMALLEST)
    search_stats = SearchStats()

    @classmethod
    def of(cls, row: Identification, shown: Any = None) -> Value:
        """The first three fields repeat those of the main face."""
        shown = ShownScores(row.by.scores, COARSE if row.request.is_for_user else FINE)
        faces = [IdentifiedFace.of(face, shown) for face in row.faces]
        main = faces[0] if faces else {}
        return {
            "identification_result": main.get("identification_result", "no_face_detected"),
            "candidates": main.get("candidates", []),
            "total_candidates": main.get("total_candidates", 0),
            "faces": faces,
            "faces_found": row.faces_found,
            "smallest_face": row.smallest_face,
            "search_stats": SearchStats.of(row),
        }


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
    faces_found = s.IntegerField(help_text=_FOUND)
    smallest_face = s.IntegerField(help_text=_SMALLEST)
