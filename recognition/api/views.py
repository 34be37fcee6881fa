"""The verbs and the sessions over HTTP: parse, call one function, answer."""

from drf_spectacular.utils import OpenApiParameter
from rest_framework.decorators import action
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api import answers, face_answers, session_answers
from recognition.api.fields import USER_ID, viewer_of, viewer_parameter
from recognition.api.idempotency import idempotent
from recognition.api.serializers import (
    CompareRequest,
    DetectRequest,
    FrameRequest,
    IdentifyRequest,
    RegisterFacesRequest,
    RegisterRequest,
    SessionRequest,
    VerifyRequest,
)
from recognition.api.service_view import ServiceViewSet, operation
from recognition.enrolment import enrolling, group_photos
from recognition.enrolment.enrolling import EnrolmentRequest
from recognition.identification import identifying, several_photos
from recognition.identification.identifying import IdentificationRequest
from recognition.packs import engine
from recognition.packs.scores import COARSE, FINE, ShownScores
from recognition.processes.slots import OverloadedError
from recognition.verification import frames, pair_comparison, sessions, verifying

# Register and verify have it in the query only beside a bare picture.
_user_parameter = OpenApiParameter(
    "user_id", USER_ID, OpenApiParameter.QUERY, description="Only beside a bare picture."
)


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
        face = enrolling.enrol(fields["image"], EnrolmentRequest.of(self.caller, fields))
        return Response(answers.Registered.of(face), status=201)

    @idempotent
    @operation(
        "register_faces",
        "Enrol several faces of a picture, each for a user",
        {201: answers.RegisteredFaces},
        body=RegisterFacesRequest,
    )
    @action(
        detail=False,
        methods=["post"],
        url_path="register-faces",
        required_scope="face:register",
        pictures=1,
    )
    def register_faces(self, request: Request) -> Response:
        """Enrol the faces of a group photo, each for its user: all of them, or none."""
        fields = self.fields(RegisterFacesRequest)
        wanted = [EnrolmentRequest.of(self.caller, face) for face in fields["faces"]]
        stored = group_photos.enrol(fields["image"], wanted)
        indexes = [each.face_index for each in wanted]
        faces = answers.RegisteredFace.each([*zip(indexes, stored, strict=True)])
        return Response({"faces": faces}, status=201)

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
            face_group=fields.get("face_group"),
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
    @action(
        detail=False,
        methods=["post"],
        required_scope="face:identify",
        pictures=several_photos.MOST,
    )
    def identify(self, request: Request) -> Response:
        """Who is in a picture, or in several of one person, of those that the viewer may find."""
        fields = self.fields(IdentifyRequest)
        options = identifying.options_of(fields, viewer_of(request, fields))
        wanted = IdentificationRequest.noted(self.caller, options)
        if photos := fields.get("images"):
            result = several_photos.identify(photos, wanted)
        else:
            result = identifying.identify(fields["image"], wanted)
        return Response(answers.Identified.of(result))

    @operation(
        "detect",
        "List the faces in a picture, with their quality",
        face_answers.Detected,
        body=DetectRequest,
    )
    @action(detail=False, methods=["post"], required_scope="face:identify", pictures=1)
    def detect(self, request: Request) -> Response:
        """Every face in a picture, with landmarks, pose, quality and attributes."""
        fields = self.fields(DetectRequest)
        with engine.at_work() as active:
            picture, found = active.see(fields["image"], closer=lambda _: True)
            faces = active.describe(picture, found)
        names = active.pack.detector.landmark_names
        return Response(
            {
                "faces": face_answers.DetectedFace.each(faces, names),
                "total_faces": len(faces),
                "faces_found": found.found,
                "smallest_face": found.smallest_face,
            }
        )

    @operation(
        "compare", "Compare the faces of two pictures", answers.Compared, body=CompareRequest
    )
    @action(detail=False, methods=["post"], required_scope="face:verify", pictures=2)
    def compare(self, request: Request) -> Response:
        """Whether the main faces, or any two faces, are one person; nothing is stored."""
        fields = self.fields(CompareRequest)
        result = pair_comparison.compare(
            image_a=fields["image_a"],
            image_b=fields["image_b"],
            level=fields["verification_level"],
            main_only=fields["faces"] == "largest",
        )
        return Response(answers.Compared.of(result, ShownScores(result.by.scores)))


class SessionViewSet(ServiceViewSet):
    """Open a session in which a user is verified: for a login, a video call, or anything else."""

    required_scope = "face:verify"
    tag = "sessions"
    lookup_field = "session_id"

    @idempotent
    @operation(
        "open_session",
        "Open a session for a login or a call",
        {201: session_answers.Session},
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
        return Response(session_answers.Session.of(session), status=201)

    @operation(
        "get_session", "Show a session and its last attempts", session_answers.SessionWithAttempts
    )
    def retrieve(self, request: Request, session_id: str) -> Response:
        """One session: its state, its last attempts, and its end."""
        session = sessions.session_of(self.caller, session_id)
        return Response(session_answers.SessionWithAttempts.of(session))

    @operation("end_session", "End a session", session_answers.Session)
    def destroy(self, request: Request, session_id: str) -> Response:
        """One session: its state, its last attempts, and its end."""
        session = sessions.end_session(caller=self.caller, session_id=session_id)
        return Response(session_answers.Session.of(session))


class FrameViewSet(ServiceViewSet):
    """Takes one frame of a live session, and answers the session's state."""

    required_scope = "face:verify"
    tag = "sessions"
    pictures = 1

    def check_throttles(self, request: Request) -> None:
        """Does nothing: a session limits its frames, and the token's limit would end every call."""

    @operation(
        "post_frame", "Check a frame of a call", session_answers.FrameTaken, body=FrameRequest
    )
    def create(self, request: Request, session_id: str) -> Response:
        fields = self.fields(FrameRequest)
        frame = frames.Frame(fields["image"], fields.get("sequence"), fields.get("captured_at"))
        taken = frames.take(caller=self.caller, session_id=session_id, frame=frame)
        return Response(session_answers.FrameTaken.of(taken))

    def handle_exception(self, exc: Exception) -> Response:
        """Counts a refused frame against the token's limit, unless the service is overloaded."""
        if self.request.successful_authenticator and not isinstance(exc, OverloadedError):
            try:
                super().check_throttles(self.request)
            except Throttled as throttled:
                exc = throttled
        return super().handle_exception(exc)
