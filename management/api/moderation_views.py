"""Moderation over HTTP, for services with face:admin: parse, call one function, answer."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from management import audit_log, moderation
from management.api import answers, schemas
from management.api.moderation_serializers import (
    DecisionRequest,
    MergeRequest,
    MoveRequest,
    ReasonRequest,
)
from recognition.api import answers as recognition_answers
from recognition.api.pagination import NewestFirst
from recognition.api.schemas import Face, User
from recognition.api.serializers import StrictSerializer
from recognition.api.service_view import ServiceView
from recognition.api.views import viewer_of, viewer_parameter
from recognition.errors import ServiceError
from recognition.models.duplicates import DuplicateState, PossibleDuplicate

_TAGS = ["moderation"]


class ModerationView(ServiceView):
    required_scope = "face:admin"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises service_only: no end user is a moderator here."""
        super().initial(request, *args, **kwargs)
        self.caller.require_service()

    def asked(self, kind: type[StrictSerializer]) -> dict[str, Any]:
        """The body with the actor, on whose behalf they act and why, as arguments of a function."""
        viewer_id = viewer_of(self.request, {})
        return {"actor": self.caller.name, "viewer_id": viewer_id, **self.fields(kind)}


class SuspendUserView(ModerationView):
    """Suspend a user."""

    @extend_schema(
        operation_id="suspend_user",
        summary="Suspend a user",
        parameters=[viewer_parameter],
        request=ReasonRequest,
        responses={200: User},
        tags=_TAGS,
    )
    def post(self, request: Request, user_id: UUID) -> Response:
        """The user can no longer be found, tagged, verified or enrolled, and all their sessions
        end. Services get the code `user_suspended`; end users are answered as for an unknown user.
        """
        user = moderation.suspend_user(user_id=user_id, **self.asked(ReasonRequest))
        return Response(recognition_answers.user(user))


class UnsuspendUserView(ModerationView):
    """End the suspension of a user."""

    @extend_schema(
        operation_id="unsuspend_user",
        summary="End the suspension of a user",
        parameters=[viewer_parameter],
        request=ReasonRequest,
        responses={200: User},
        tags=_TAGS,
    )
    def post(self, request: Request, user_id: UUID) -> Response:
        """Restores all but the sessions. Faces that were suspended themselves stay suspended."""
        user = moderation.unsuspend_user(user_id=user_id, **self.asked(ReasonRequest))
        return Response(recognition_answers.user(user))


class UnlockUserView(ModerationView):
    """Forget the failed attempts of a user."""

    @extend_schema(
        operation_id="unlock_user",
        summary="Forget the failed attempts of a user",
        parameters=[viewer_parameter],
        request=ReasonRequest,
        responses={200: schemas.Unlocked},
        tags=_TAGS,
    )
    def post(self, request: Request, user_id: UUID) -> Response:
        """Use it after `locked`, or to end a delay at once."""
        count = moderation.unlock(user_id=user_id, **self.asked(ReasonRequest))
        return Response({"user_id": str(user_id), "counts_forgotten": count})


class MergeUserView(ModerationView):
    """Merge a user into another one."""

    @extend_schema(
        operation_id="merge_users",
        summary="Merge a user into another one",
        parameters=[viewer_parameter],
        request=MergeRequest,
        responses={200: User},
        tags=_TAGS,
    )
    def post(self, request: Request, user_id: UUID) -> Response:
        """Moves faces, friends, groups, consent, jobs and the history to `into`. The user in the
        path no longer exists: the id answers `user_merged` from then on, and cannot be used again.
        """
        user = moderation.merge_users(user_id=user_id, **self.asked(MergeRequest))
        return Response(recognition_answers.user(user))


class SuspendFaceView(ModerationView):
    """Suspend a face."""

    @extend_schema(
        operation_id="suspend_face",
        summary="Suspend a face",
        parameters=[viewer_parameter],
        request=ReasonRequest,
        responses={200: Face},
        tags=_TAGS,
    )
    def post(self, request: Request, face_id: str) -> Response:
        """The face takes no part in any comparison any more. To its user it looks deleted."""
        face = moderation.suspend_face(face_id=face_id, **self.asked(ReasonRequest))
        return Response(recognition_answers.stored_face(face))


class UnsuspendFaceView(ModerationView):
    """End the suspension of a face."""

    @extend_schema(
        operation_id="unsuspend_face",
        summary="End the suspension of a face",
        parameters=[viewer_parameter],
        request=ReasonRequest,
        responses={200: Face},
        tags=_TAGS,
    )
    def post(self, request: Request, face_id: str) -> Response:
        """The face takes part in comparisons again, unless its user is suspended."""
        face = moderation.unsuspend_face(face_id=face_id, **self.asked(ReasonRequest))
        return Response(recognition_answers.stored_face(face))


class MoveFaceView(ModerationView):
    """Give a face to another user."""

    @extend_schema(
        operation_id="move_face",
        summary="Give a face to another user",
        parameters=[viewer_parameter],
        request=MoveRequest,
        responses={200: Face},
        tags=_TAGS,
    )
    def post(self, request: Request, face_id: str) -> Response:
        """Moves the face with its settings, its consent and its kept picture; the id stays."""
        face = moderation.move_face(face_id=face_id, **self.asked(MoveRequest))
        return Response(recognition_answers.stored_face(face))


class DuplicatePages(NewestFirst):
    filters = ("state",)
    parameters = [
        *NewestFirst.parameters,
        OpenApiParameter(
            "state",
            str,
            enum=DuplicateState.values,
            default=DuplicateState.OPEN.value,
            description="Only these.",
        ),
    ]


class DuplicatesView(ModerationView):
    """Pairs of users who may be one person."""

    @extend_schema(
        operation_id="list_duplicates",
        summary="List possible duplicates",
        parameters=DuplicatePages.parameters,
        responses={200: schemas.DuplicateList},
        tags=_TAGS,
    )
    def get(self, request: Request) -> Response:
        """Newest first. Each enrolment looks for them, and so does `manage.py find_duplicates`."""
        state = request.query_params.get("state", DuplicateState.OPEN.value)
        if state not in DuplicateState.values:
            message = f"state must be one of {', '.join(DuplicateState.values)}."
            raise ServiceError("invalid_request", message)
        rows = PossibleDuplicate.objects.filter(state=state).select_related("face_a", "face_b")
        pages = DuplicatePages()
        page = pages.paginate_queryset(rows, request, view=self)
        return Response({"duplicates": [*map(answers.duplicate, page or [])]} | pages.cursors())


class DuplicateView(ModerationView):
    """Decide whether two users are one person."""

    @extend_schema(
        operation_id="decide_duplicate",
        summary="Decide whether two users are one person",
        parameters=[viewer_parameter],
        request=DecisionRequest,
        responses={200: schemas.Duplicate},
        tags=_TAGS,
    )
    def post(self, request: Request, duplicate_id: int) -> Response:
        """`different_people` is remembered: the pair is never listed again. `same_person` merges
        the two: `into` says who stays, by default the older user.
        """
        asked = self.asked(DecisionRequest)
        return Response(answers.duplicate(moderation.decide(duplicate_id=duplicate_id, **asked)))


class AuditPages(NewestFirst):
    filters = ("user_id", "action", "since")
    parameters = [
        *NewestFirst.parameters,
        OpenApiParameter(
            "user_id",
            UUID,
            description="Only events about this user, or about an id that was merged into it.",
        ),
        OpenApiParameter(
            "action", str, description="Only events of this action, such as `face.register`."
        ),
        OpenApiParameter(
            "since",
            {"type": "string", "format": "date-time"},
            description="Only events from this time on; the time needs a zone.",
        ),
    ]


class AuditView(ModerationView):
    """The audit log."""

    @extend_schema(
        operation_id="list_audit_events",
        summary="Read the audit log",
        parameters=AuditPages.parameters,
        responses={200: schemas.AuditEventList},
        tags=_TAGS,
    )
    def get(self, request: Request) -> Response:
        """Lists who did what to which user, newest first; never a picture or a vector."""
        events = audit_log.events(request.query_params)
        pages = AuditPages()
        page = pages.paginate_queryset(events, request, view=self)
        return Response({"events": [*map(answers.event, page or [])]} | pages.cursors())
