"""Moderation over HTTP, for services with face:admin: parse, call one function, answer."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from management import moderation
from management.api import answers, filters
from management.api.answers import Face, User
from recognition.api.fields import (
    USER_ID,
    ChoiceField,
    StrictSerializer,
    TextField,
    UserIdField,
    user_id_of,
    viewer_of,
    viewer_parameter,
)
from recognition.api.pagination import NewestFirst
from recognition.api.rendering import Serializer
from recognition.api.service_view import ServiceViewSet, operation
from recognition.models import AuditEvent, PrivacyLevel
from recognition.models.duplicates import DuplicateState, PossibleDuplicate
from recognition.models.user_ids import UserId
from recognition.privacy.keeping import ids_of


class ReasonRequest(StrictSerializer):
    reason = TextField(
        max_length=moderation.MAX_REASON,
        allow_blank=True,
        default="",
        help_text="Kept in the audit log until the person is erased.",
    )


class MoveRequest(ReasonRequest):
    user_id = UserIdField()


class MergeRequest(ReasonRequest):
    into = UserIdField(help_text="The user who stays.")
    privacy_level = ChoiceField(
        PrivacyLevel.values,
        required=False,
        help_text="The privacy level of the user who stays; by default the stricter of both.",
    )


class DecisionRequest(ReasonRequest):
    decision = ChoiceField(moderation.DECISIONS)
    into = UserIdField(required=False, help_text="For `same_person`: which of the two users stays.")


class ModerationViewSet(ServiceViewSet):
    required_scope = "face:admin"
    tag = "moderation"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises service_only: no end user is a moderator here."""
        super().initial(request, *args, **kwargs)
        self.caller.require_service()

    def asked(self, kind: type[StrictSerializer]) -> dict[str, Any]:
        """The body with the actor, on whose behalf they act and why, as arguments of a function."""
        fields = self.fields(kind)
        if not fields["reason"]:
            del fields["reason"]
        return {"actor": self.caller.name, "viewer_id": viewer_of(self.request, {}), **fields}


def _does(
    act: Callable[..., Any],
    summary: str,
    answer: type[Serializer],
    body: type[ReasonRequest] = ReasonRequest,
) -> Callable[[Callable[..., None]], Any]:
    """Makes a view of its description: `act` gets the path and the body, and says what to show."""

    def decorate(described: Callable[..., None]) -> Any:
        @operation(act.__name__, summary, answer, body=body, parameters=[viewer_parameter])
        @action(detail=True, methods=["post"])
        @wraps(described)
        def view(self: ModerationViewSet, request: Request, **path: Any) -> Response:
            return Response(answer.of(act(**path, **self.asked(body))))

        return view

    return decorate


class UserModerationViewSet(ModerationViewSet):
    lookup_field = lookup_value_converter = "user_id"

    @_does(moderation.suspend_user, "Suspend a user", User)
    def suspend(self, user_id: UserId) -> None:
        """The user can no longer be found, tagged, verified or enrolled, and all their sessions
        end. Services get the code `user_suspended`; end users are answered as for an unknown user.
        """

    @_does(moderation.unsuspend_user, "End the suspension of a user", User)
    def unsuspend(self, user_id: UserId) -> None:
        """Undoes a suspension. Ended sessions stay ended; a face can have its own suspension."""

    @_does(moderation.unlock_user, "Forget the failed attempts of a user", answers.Unlocked)
    def unlock(self, user_id: UserId) -> None:
        """Use it after `locked`, or to end a delay at once."""

    @_does(moderation.merge_users, "Merge a user into another one", User, MergeRequest)
    def merge(self, user_id: UserId) -> None:
        """Moves faces, friends, groups, consent, jobs and the history to `into`. The user in the
        path no longer exists: the id answers `user_merged` from then on, and cannot be used again.
        """


class FaceModerationViewSet(ModerationViewSet):
    lookup_field = lookup_value_converter = "face_id"

    @_does(moderation.suspend_face, "Suspend a face", Face)
    def suspend(self, face_id: str) -> None:
        """The face takes no part in any comparison any more. To its user it looks deleted."""

    @_does(moderation.unsuspend_face, "End the suspension of a face", Face)
    def unsuspend(self, face_id: str) -> None:
        """The face takes part in comparisons again, unless its user is suspended."""

    @_does(moderation.move_face, "Give a face to another user", Face, MoveRequest)
    def move(self, face_id: str) -> None:
        """Moves the face with its settings, its consent and its kept picture; the id stays."""


class DuplicatePages(NewestFirst):
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


class DuplicateViewSet(ModerationViewSet):
    lookup_field, lookup_value_converter = "duplicate_id", "int"

    @operation(
        "list_duplicates", "List possible duplicates", answers.DuplicateList, pages=DuplicatePages
    )
    def list(self, request: Request) -> Response:
        """Pairs of users who may be one person, newest first.

        Each enrolment looks for them, and so does `manage.py find_duplicates`.
        """
        state = request.query_params.get("state", DuplicateState.OPEN.value)
        rows = PossibleDuplicate.objects.filter(state=state).select_related(
            "face_a", "face_b", "user_a", "user_b"
        )
        return self.page("duplicates", rows, answers.Duplicate.each, DuplicatePages())

    @operation(
        "decide_duplicate",
        "Decide whether two users are one person",
        answers.Duplicate,
        body=DecisionRequest,
        parameters=[viewer_parameter],
    )
    def decide(self, request: Request, duplicate_id: int) -> Response:
        """`different_people` is remembered: the pair is never listed again. `same_person` merges
        the two: `into` says who stays, by default the older user.
        """
        decided = moderation.decide(duplicate_id=duplicate_id, **self.asked(DecisionRequest))
        return Response(answers.Duplicate.of(decided))


class AuditPages(NewestFirst):
    parameters = [
        *NewestFirst.parameters,
        OpenApiParameter(
            "user_id",
            USER_ID,
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


class AuditViewSet(ModerationViewSet):
    @operation("list_audit_events", "Read the audit log", answers.AuditEventList, pages=AuditPages)
    def list(self, request: Request) -> Response:
        """Lists who did what to which user, newest first; never a picture or a vector."""
        events = _events(request.query_params)
        return self.page("events", events, answers.AuditEvent.each, AuditPages())


def _events(wanted: Mapping[str, str]) -> QuerySet[AuditEvent]:
    """The events of a user and of ids merged into it, of one action, or since a time.

    All three arguments are texts. Raises invalid_request.
    """
    found = AuditEvent.objects.all()
    if (text := wanted.get("user_id")) is not None:
        ids = ids_of(user_id_of(text, "user_id"))
        found = found.filter(Q(user_id__in=ids) | Q(other_user_id__in=ids))
    if (action := filters.text_of(wanted, "action")) is not None:
        found = found.filter(action=action)
    if (since := filters.time_of(wanted, "since")) is not None:
        found = found.filter(at__gte=since)
    return found
