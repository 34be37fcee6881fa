"""Verification sessions over HTTP: parse, call one function, answer."""

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api import session_answers
from recognition.api import session_serializers as schemas
from recognition.api.idempotency import idempotent
from recognition.api.service_view import ServiceView
from recognition.api.session_serializers import FrameRequest, SessionRequest
from recognition.processes.capacity import OverloadedError
from recognition.verification import frames, sessions


class SessionsView(ServiceView):
    """Open a session in which a user is verified: for a login, a video call, or anything else."""

    required_scope = "face:verify"

    @idempotent
    @extend_schema(
        operation_id="open_session",
        summary="Open a session for a login or a call",
        request=SessionRequest,
        responses={201: schemas.Session},
        tags=["sessions"],
    )
    def post(self, request: Request) -> Response:
        fields = self.fields(SessionRequest)
        session = sessions.open_session(
            caller=self.caller,
            user_id=fields["user_id"],
            purpose=fields["purpose"],
            level=fields["verification_level"],
            device=fields["metadata"].get("device_id", ""),
        )
        return Response(session_answers.session(session), status=201)


class SessionView(ServiceView):
    """One session: its state, its last attempts, and its end."""

    required_scope = "face:verify"

    @extend_schema(
        operation_id="get_session",
        summary="Show a session and its last attempts",
        responses={200: schemas.SessionWithAttempts},
        tags=["sessions"],
    )
    def get(self, request: Request, session_id: str) -> Response:
        session = sessions.session_of(self.caller, session_id)
        return Response(session_answers.session_with_attempts(session))

    @extend_schema(
        operation_id="end_session",
        summary="End a session",
        responses={200: schemas.Session},
        tags=["sessions"],
    )
    def delete(self, request: Request, session_id: str) -> Response:
        session = sessions.end_session(caller=self.caller, session_id=session_id)
        return Response(session_answers.session(session))


class FramesView(ServiceView):
    """One frame of a live session in, the rolling state out."""

    required_scope = "face:verify"
    pictures = 1

    def check_throttles(self, request: Request) -> None:
        """Frames have a limit of their session's: that of the token would end every call."""

    @extend_schema(
        operation_id="post_frame",
        summary="Check a frame of a call",
        request=FrameRequest,
        responses={200: schemas.FrameTaken},
        tags=["sessions"],
    )
    def post(self, request: Request, session_id: str) -> Response:
        fields = self.fields(FrameRequest)
        frame = frames.Frame(fields["image"], fields.get("sequence"), fields.get("captured_at"))
        taken = frames.take(caller=self.caller, session_id=session_id, frame=frame)
        return Response(session_answers.frame_taken(taken))

    def handle_exception(self, exc: Exception) -> Response:
        """A refused frame counts for the token as any other request does, unless we are busy."""
        if self.request.successful_authenticator and not isinstance(exc, OverloadedError):
            try:
                super().check_throttles(self.request)
            except Throttled as throttled:
                exc = throttled
        return super().handle_exception(exc)
