"""The verbs over HTTP: parse, call one function, answer."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import UUIDField, ValidationError

from recognition.access import scope_for
from recognition.api import answers
from recognition.api.idempotency import idempotent
from recognition.api.rendering import COARSE, FINE, ShownScores
from recognition.api.serializers import (
    CompareRequest,
    DetectRequest,
    IdentifyRequest,
    RegisterRequest,
    VerifyRequest,
)
from recognition.api.service_view import ServiceViewSet, operation
from recognition.enrolment import enrolling
from recognition.identification import identifying
from recognition.packs import engine
from recognition.verification import pair_comparison, verifying

VIEWER_HEADER = "X-On-Behalf-Of"
# For the API description of what searches on behalf of a user.
viewer_parameter = OpenApiParameter(
    VIEWER_HEADER, UUID, OpenApiParameter.HEADER, description="The same as `on_behalf_of`."
)
# For register and verify: a form and JSON say it in the body.
_user_parameter = OpenApiParameter(
    "user_id", UUID, OpenApiParameter.QUERY, description="Only beside a bare picture."
)


def viewer_of(request: Request, fields: Mapping[str, Any]) -> UUID | None:
    """On whose behalf is searched, as the body or the header says.

    Raises ValidationError when they disagree: the wrong one would see what is not theirs.
    """
    in_body: UUID | None = fields.get("on_behalf_of")
    text = request.headers.get(VIEWER_HEADER)
    if text is None:
        return in_body
    try:
        in_header: UUID = UUIDField().run_validation(text)
    except ValidationError as error:
        raise ValidationError({VIEWER_HEADER: error.detail}) from None
    if in_body not in (None, in_header):
        raise ValidationError({VIEWER_HEADER: "The body names another user in on_behalf_of."})
    return in_header


class VerbViewSet(ServiceViewSet):
    tag = "recognition"

    @idempotent
    @operation(
        "register",
        "Enrol the face of a picture for a user",
        {201: answers.Registered},
        body=RegisterRequest,
        parameters=[_user_parameter],
    )
    @action(detail=False, methods=["post"], required_scope="face:register", pictures=1)
    def register(self, request: Request) -> Response:
        """Enrol the one face of a picture for a user."""
        fields = self.fields(RegisterRequest)
        caller = self.caller
        caller.require_own(fields["user_id"])
        face = enrolling.enrol(
            actor=caller.name,
            user_id=fields["user_id"],
            image=fields["image"],
            face_group=fields["face_group"],
            face_index=fields.get("face_index"),
            check_quality=fields["metadata"].get("quality_check", True),
            metadata=fields["metadata"],
        )
        return Response(answers.Registered.of(face), status=201)

    @operation(
        "verify",
        "Say whether a face is the user's (1:1)",
        answers.Verified,
        body=VerifyRequest,
        parameters=[_user_parameter],
    )
    @action(detail=False, methods=["post"], required_scope="face:verify", pictures=1)
    def verify(self, request: Request) -> Response:
        """Whether the main face of a picture is the user (1:1)."""
        fields = self.fields(VerifyRequest)
        wanted = verifying.VerificationRequest(
            user_id=fields["user_id"],
            image=fields["image"],
            level=fields.get("verification_level"),
            face_id=fields.get("face_id"),
            match_on=fields["match_on"],
            session_id=fields["metadata"].get("session_id"),
            device=fields["metadata"].get("device_id", ""),
        )
        verified = verifying.verify(caller=self.caller, request=wanted)
        shown = ShownScores(verified.by.scores, FINE if self.caller.is_service else COARSE)
        return Response(answers.Verified.of(verified, shown))

    @operation(
        "identify",
        "Find who is in a picture (1:N)",
        answers.Identified,
        body=IdentifyRequest,
        parameters=[viewer_parameter],
    )
    @action(detail=False, methods=["post"], required_scope="face:identify", pictures=1)
    def identify(self, request: Request) -> Response:
        """Who is in a picture (1:N), of the people whom the viewer may find."""
        fields = self.fields(IdentifyRequest)
        caller, wanted = self.caller, fields["search_scope"]
        scope = scope_for(
            caller,
            on_behalf_of=viewer_of(request, fields),
            groups=wanted["user_groups"],
            everyone=wanted.get("scope") == "all",
            tagging=identifying.is_tagging(fields["metadata"]),
            max_false_positive_rate=wanted["max_false_positive_rate"],
        )
        options = identifying.SearchOptions(
            max_candidates=wanted["max_candidates"],
            match_on=wanted["match_on"],
            min_confidence=wanted.get("min_confidence", settings.FACE_MATCH_THRESHOLD),
            max_false_positive_rate=wanted["max_false_positive_rate"],
        )
        identifying.note_if_everyone(caller.name, scope)
        result = identifying.identify(
            scope=scope,
            image=fields["image"],
            options=options,
            largest_only=fields["faces"] == "largest",
        )
        return Response(answers.Identified.of(result))

    @operation(
        "detect",
        "List the faces in a picture, with their quality",
        answers.Detected,
        body=DetectRequest,
    )
    @action(detail=False, methods=["post"], required_scope="face:identify", pictures=1)
    def detect(self, request: Request) -> Response:
        """Every face in a picture, with landmarks, pose, quality and attributes."""
        fields = self.fields(DetectRequest)
        with engine.at_work() as active:
            picture = active.decode(fields["image"])
            found = active.detect(picture)
            faces = active.describe(picture, found)
        names = active.pack.detector.landmark_names
        return Response(
            {
                "faces": answers.DetectedFace.each(faces, names),
                "total_faces": len(faces),
                "faces_found": found.found,
            }
        )

    @operation(
        "compare", "Compare the faces of two pictures", answers.Compared, body=CompareRequest
    )
    @action(detail=False, methods=["post"], required_scope="face:verify", pictures=2)
    def compare(self, request: Request) -> Response:
        """Whether the main faces of two pictures are the same person; nothing is stored."""
        fields = self.fields(CompareRequest)
        level = fields["verification_level"]
        result = pair_comparison.compare(
            image_a=fields["image_a"], image_b=fields["image_b"], level=level
        )
        return Response(answers.Compared.of(result, ShownScores(result.by.scores)))
