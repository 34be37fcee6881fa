"""The verbs over HTTP: parse, call one function, answer."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import UUIDField, ValidationError

from recognition import audit
from recognition.access import scope_for
from recognition.api import answers, schemas
from recognition.api.idempotency import idempotent
from recognition.api.serializers import (
    CompareRequest,
    DetectRequest,
    IdentifyRequest,
    RegisterRequest,
    VerifyRequest,
)
from recognition.api.service_view import ServiceView
from recognition.enrolment import enrolling
from recognition.identification import identifying
from recognition.packs import engine
from recognition.verification import attempts, pair_comparison

VIEWER_HEADER = "X-On-Behalf-Of"
# For the API description of what searches on behalf of a user.
viewer_parameter = OpenApiParameter(
    VIEWER_HEADER, UUID, OpenApiParameter.HEADER, description="The same as `on_behalf_of`."
)
# Of register and verify: a form and JSON say it in the body.
_user_parameter = OpenApiParameter(
    "user_id", UUID, OpenApiParameter.QUERY, description="Only beside a bare picture."
)


class RegisterView(ServiceView):
    """Enrol the one face of a picture for a user."""

    required_scope = "face:register"
    pictures = 1

    @idempotent
    @extend_schema(
        operation_id="register",
        summary="Enrol the face of a picture for a user",
        parameters=[_user_parameter],
        request=RegisterRequest,
        responses={201: schemas.Registered},
        tags=["recognition"],
    )
    def post(self, request: Request) -> Response:
        fields = self.fields(RegisterRequest)
        caller = self.caller
        caller.require_own(fields["user_id"])
        wanted = fields["metadata"].get("quality_check", True)
        face = enrolling.enrol(
            actor=caller.name,
            user_id=fields["user_id"],
            image=fields["image"],
            face_group=fields["face_group"],
            face_index=fields.get("face_index"),
            check_quality=wanted or not caller.is_service,
            metadata=fields["metadata"],
        )
        return Response(answers.registered(face), status=201)


class VerifyView(ServiceView):
    """Whether the main face of a picture is the user (1:1)."""

    required_scope = "face:verify"
    pictures = 1

    @extend_schema(
        operation_id="verify",
        summary="Say whether a face is the user's (1:1)",
        parameters=[_user_parameter],
        request=VerifyRequest,
        responses={200: schemas.Verified},
        tags=["recognition"],
    )
    def post(self, request: Request) -> Response:
        fields = self.fields(VerifyRequest)
        self.caller.require_own(fields["user_id"])
        wanted = attempts.Wanted(
            user_id=fields["user_id"],
            image=fields["image"],
            level=fields.get("verification_level"),
            face_id=fields.get("face_id"),
            match_on=fields["match_on"],
            session_id=fields["metadata"].get("session_id"),
            device=fields["metadata"].get("device_id", ""),
        )
        verified = attempts.verify(caller=self.caller, wanted=wanted)
        return Response(answers.verified(verified, is_coarse=not self.caller.is_service))


class IdentifyView(ServiceView):
    """Who is in a picture (1:N), of the people whom the viewer may find."""

    required_scope = "face:identify"
    pictures = 1

    @extend_schema(
        operation_id="identify",
        summary="Find who is in a picture (1:N)",
        parameters=[viewer_parameter],
        request=IdentifyRequest,
        responses={200: schemas.Identified},
        tags=["recognition"],
    )
    def post(self, request: Request) -> Response:
        fields = self.fields(IdentifyRequest)
        caller, metadata = self.caller, fields["metadata"]
        wanted = fields["search_scope"]
        scope = scope_for(
            caller,
            on_behalf_of=viewer_of(request, fields),
            groups=wanted["user_groups"],
            everyone=wanted.get("scope") == "all",
            tagging=is_tagging(metadata),
            max_false_positive_rate=wanted["max_false_positive_rate"],
        )
        options = identifying.SearchOptions(
            max_candidates=wanted["max_candidates"],
            match_on=wanted["match_on"],
            min_confidence=wanted.get("min_confidence", settings.FACE_MATCH_THRESHOLD),
            max_false_positive_rate=wanted["max_false_positive_rate"],
        )
        if scope.everyone:
            audit.note(caller.name, "identify.everyone", viewer_id=scope.viewer)
        result = identifying.identify(
            scope=scope,
            image=fields["image"],
            options=options,
            largest_only=fields["faces"] == "largest",
        )
        return Response(answers.identified(result))


def is_tagging(metadata: Mapping[str, Any]) -> bool:
    """Whether the purpose is tagging, so that the faces' `taggable` counts."""
    return metadata.get("source") == "auto_tagging" or metadata.get("context") == "post_upload"


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


class DetectView(ServiceView):
    """Every face in a picture, with landmarks, pose, quality and attributes."""

    required_scope = "face:identify"
    pictures = 1

    @extend_schema(
        operation_id="detect",
        summary="List the faces in a picture, with their quality",
        request=DetectRequest,
        responses={200: schemas.Detected},
        tags=["recognition"],
    )
    def post(self, request: Request) -> Response:
        fields = self.fields(DetectRequest)
        with engine.at_work() as active:
            picture = active.decode(fields["image"])
            found = active.detect(picture)
            faces = active.describe(picture, found)
        return Response(answers.detected(active, faces, found.found))


class CompareView(ServiceView):
    """Whether the main faces of two pictures are the same person; nothing is stored."""

    required_scope = "face:verify"
    pictures = 2

    @extend_schema(
        operation_id="compare",
        summary="Compare the faces of two pictures",
        request=CompareRequest,
        responses={200: schemas.Compared},
        tags=["recognition"],
    )
    def post(self, request: Request) -> Response:
        fields = self.fields(CompareRequest)
        level = fields["verification_level"]
        result = pair_comparison.compare(
            image_a=fields["image_a"], image_b=fields["image_b"], level=level
        )
        return Response(answers.compared(result, level))
