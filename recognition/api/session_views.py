"""Verification sessions over HTTP: parse, call one function, answer."""

from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api import session_answers as answers
from recognition.api.idempotency import idempotent
from recognition.api.service_view import ServiceViewSet, operation
from recognition.api.session_serializers import FrameRequest, SessionRequest
from recognition.processes.slots import OverloadedError
from recognition.verification import frames, sessions


class SessionViewSet(ServiceViewSet):
    """Open a session in which a user is verified: for a login, a video call, or anything else."""

    required_scope = "face:verify"
    tag = "sessions"
    lookup_field = "session_id"

    @idempotent
    @operation(
        "open_session",
        "Open a session for a login or a call",
        {201: answers.Session},
        body=SessionRequest,
    )
    def create(self, request: Request) -> Response:
        fields = self.fields(SessionRequest)
        session = sessions.open_session(
            caller=self.caller,
            user_id=fields["user_id"],
            purpose=fields["purpose"],
            level=fields["verification_level"],
            device=fields["metadata"].get("device_id", ""),
        )
        return Response(answers.Session.of(session), status=201)

    @operation("get_session", "Show a session and its last attempts", answers.SessionWithAttempts)
    def retrieve(self, request: Request, session_id: str) -> Response:
        """One session: its state, its last attempts, and its end."""
        session = sessions.session_of(self.caller, session_id)
        return Response(answers.SessionWithAttempts.of(session))

    @operation("end_session", "End a session", answers.Session)
    def destroy(self, request: Request, session_id: str) -> Response:
        """One session: its state, its last attempts, and its end."""
        session = sessions.end_session(caller=self.caller, session_id=session_id)
        return Response(answers.Session.of(session))


class FrameViewSet(ServiceViewSet):
    """One frame of a live session in, the rolling state out."""

    required_scope = "face:verify"
    tag = "sessions"
    pictures = 1

    def check_throttles(self, request: Request) -> None:
        """Frames have a limit of their session's: that of the token would end every call."""

    @operation("post_frame", "Check a frame of a call", answers.FrameTaken, body=FrameRequest)
    def create(self, request: Request, session_id: str) -> Response:
        fields = self.fields(FrameRequest)
        frame = frames.Frame(fields["image"], fields.get("sequence"), fields.get("captured_at"))
        taken = frames.take(caller=self.caller, session_id=session_id, frame=frame)
        return Response(answers.FrameTaken.of(taken))

    def handle_exception(self, exc: Exception) -> Response:
        """A refused frame counts for the token as any other request does, unless we are busy."""
        if self.request.successful_authenticator and not isinstance(exc, OverloadedError):
            try:
                super().check_throttles(self.request)
            except Throttled as throttled:
                exc = throttled
        return super().handle_exception(exc)
