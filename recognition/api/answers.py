"""The answers of recognition. Each is declared once, for its value and for the API description."""

from typing import Any

from rest_framework import serializers as s

from recognition.api.face_answers import FACES_FOUND, SMALLEST_FACE, Attributes, SeenFace
from recognition.api.rendering import (
    Always,
    Milliseconds,
    Score,
    Scored,
    Serializer,
    Sorted,
    UserIdText,
    Value,
)
from recognition.identification.by_face import FaceIdentification
from recognition.identification.identifying import Identification
from recognition.models import PrivacyLevel
from recognition.models.user_ids import UserId
from recognition.packs.scores import COARSE, FINE, LEVELS, ShownScores
from recognition.verification.verifying import Verification

# What a verification says, or a frame of a session.
RESULTS = ("success", "no_match", "no_face_detected", "no_registered_faces", "rejected")


class Scores(Serializer):
    similarity_score = Score()
    confidence_score = Score()

    @classmethod
    def of(cls, row: float | None, shown: Any = None) -> Value:
        """The scores of a cosine, or of None."""
        return shown.of(row)  # type: ignore[no-any-return]


class Registered(Serializer):
    face_id = s.CharField()
    user_id = s.CharField(source="user.app_id")
    privacy_level = s.ChoiceField(
        PrivacyLevel.values,
        source="user.privacy_level",
        help_text="Who finds the user; `friends` until `PUT /users/{user_id}` changes it.",
    )
    registration_status = Always("success")
    face_quality_score = s.FloatField(source="quality_score")
    embedding_version = s.CharField()
    face_attributes = Attributes(source="attributes")


class RegisteredFace(Registered):
    face_index = s.IntegerField(help_text="Of the request.")

    @classmethod
    def of(cls, row: Any, shown: Any = None) -> Value:
        """`row` is the index and the face."""
        face_index, face = row
        return cls.filled(face, shown, face_index=face_index)


class RegisteredFaces(Serializer):
    faces = RegisteredFace(many=True)


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


_ORDER = (
    "In the order in which detect lists them, the main one first. Misread faces are not compared."
)


class BestPair(Scored):
    face_index_a = s.IntegerField(source="index_a", help_text="Its place in `faces_a`, from 0.")
    face_index_b = s.IntegerField(source="index_b", help_text="Its place in `faces_b`, from 0.")
    is_match = s.BooleanField()
    similarity_score = Score()
    confidence_score = Score()


class Compared(Scored):
    # Scores have all digits: both pictures are the caller's, and no stored template is compared.
    is_match = s.BooleanField(
        help_text="Of the main faces, `face_a` and `face_b`, as are both scores. False, with "
        "scores of 0, if one of them is misread. `best_pair` says it of all faces."
    )
    similarity_score = Score()
    confidence_score = Score()
    verification_level = s.ChoiceField(LEVELS, source="level")
    face_a = ComparedFace()
    face_b = ComparedFace()
    faces_a = ComparedFace(many=True, help_text=_ORDER)
    faces_b = ComparedFace(many=True, help_text=_ORDER)
    best_pair = BestPair(
        source="best",
        help_text="The two faces, one of each picture, that are most alike. Among more pairs they "
        "have to be more alike for the same scores: strangers have more chances to match.",
    )


class UserInfo(Serializer):
    display_name = s.CharField(allow_blank=True)
    profile_image = s.CharField(allow_blank=True)
    privacy_level = s.ChoiceField(PrivacyLevel.values)


class Candidate(Scored):
    user_id = s.CharField(source="user.app_id")
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


class Viewer(UserIdText):
    """A job knows the key alone: its results do not name the viewer."""

    def converted(self, value: Any) -> str | None:
        return super().converted(value) if isinstance(value, UserId) else None


class SearchedScope(Serializer):
    # This says why somebody may be missing among the candidates.
    everyone = s.BooleanField()
    viewer = Viewer(
        required=False,
        allow_null=True,
        help_text="On whose behalf was searched, whose own faces count; not in stored batches. "
        "Null for a service that names nobody: only public users are found then.",
    )
    user_groups = Sorted(
        source="groups", help_text="Those of the request that counted, for this viewer."
    )
    face_group = s.CharField(
        allow_null=True, help_text="The one of the request, if it was searched alone."
    )


class SearchStats(Serializer):
    scope = SearchedScope(source="request.scope")
    faces_searched = s.IntegerField(
        help_text="How many may be found. A `face_group` changes nothing about it, nor about the "
        "threshold, which follows from it."
    )
    search_time_ms = Milliseconds(source="search_seconds")
    threshold = Threshold()


class IdentifiedByFace(Candidates):
    search_stats = SearchStats()

    @classmethod
    def of(cls, row: FaceIdentification, shown: Any = None) -> Value:
        return {
            "identification_result": "found" if row.candidates else "not_found",
            "candidates": Candidate.each(row.candidates, _shown(row)),
            "total_candidates": len(row.candidates),
            "search_stats": SearchStats.of(row),
        }


def _shown(row: Identification | FaceIdentification) -> ShownScores:
    return ShownScores(row.by.scores, COARSE if row.request.is_for_user else FINE)


class Identified(Candidates):
    faces = IdentifiedFace(
        many=True,
        help_text="The main face first. Of several photos, the main face of each in their order, "
        "all with the same candidates.",
    )
    faces_found = s.IntegerField(help_text=FACES_FOUND)
    smallest_face = s.IntegerField(help_text=SMALLEST_FACE)
    search_stats = SearchStats()

    @classmethod
    def of(cls, row: Identification, shown: Any = None) -> Value:
        """The first three fields repeat those of the main face."""
        faces = IdentifiedFace.each(row.faces, _shown(row))
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
