"""What every view shares."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from threading import local
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpResponse, QueryDict
from django.utils.datastructures import MultiValueDict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ViewSet

from recognition.access import Caller
from recognition.api.fields import user_id_of
from recognition.api.pagination import NewestFirst, Pages
from recognition.errors import ServiceError
from recognition.processes import capacity

_Action = TypeVar("_Action", bound=Callable[..., HttpResponse])
_thread = local()
# What stands for a slash in a part of a path. No user id may have it: it is for private use.
SLASH = "\ue000"
# How routes name the users in their paths.
USERS_IN_PATHS = {"user_id", "other_id"}


class ServiceViewSet(ViewSet):
    """The base of all views. `required_scope` is what a token needs; facesvc.http.auth checks it.

    An action that needs another scope than the class, or takes pictures, says so to its decorator:
    `@action(..., required_scope="face:verify", pictures=1)`.
    """

    required_scope: str | None = None  # or several, with blanks between. None fails.
    tag: str  # of the operations in the API description
    pictures = 0  # that a body may hold
    is_read_by_lines = False  # or the whole body is held in memory
    is_batch = False
    bytes_of_each = 0  # that a body may say of each picture
    # Bytes of a body beside its pictures: parsed values take many times their length.
    most_other_bytes: int

    @classmethod
    def get_extra_actions(cls) -> list[Any]:
        """The actions in the order of the class, which is that of the API description."""
        names = list(vars(cls))
        return sorted(super().get_extra_actions(), key=lambda action: names.index(action.__name__))

    def max_body_bytes(self) -> int:
        room: int = settings.BODY_ROOM_BYTES
        return room + self.pictures * settings.MAX_ENCODED_IMAGE_BYTES

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # The action gets these arguments; here a refusal has its code.
        for name in USERS_IN_PATHS & self.kwargs.keys():
            self.kwargs[name] = user_id_of(self.kwargs[name], name)
        self.caller: Caller = request.user  # type: ignore[assignment]  # HasScope has checked it
        self.most_other_bytes = settings.BODY_ROOM_BYTES + self.pictures * self.bytes_of_each
        length = self._length_of_body(request)
        capacity.hold(
            self.caller.subject,
            # Without this all threads at once could read the longest bodies, and end the process.
            body_bytes=0 if self.is_read_by_lines else length,
            is_user=not self.caller.is_service,
            has_pictures=bool(self.pictures),
            is_batch=self.is_batch,
        )

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            self.forget_body()
            capacity.release()

    def forget_body(self) -> None:
        """Frees what was read. Requests and serializers refer to themselves in circles, and would
        keep their bodies until the garbage collector runs: for a thousand requests or more.
        """
        request = getattr(self, "request", None)
        if isinstance(request, Request):
            nothing: dict[str, Any] = {"_post": QueryDict(), "_files": MultiValueDict()}
            vars(request).update(nothing, _data={}, _full_data={}, _stream=None)
            if vars(request._request).keys() & {"_body", "_post"}:  # or nothing was read
                # Upload handlers keep what they read last.
                nothing["_upload_handlers"] = []
                vars(request._request).update(nothing, _body=b"", _stream=BytesIO())

    def _length_of_body(self, request: Request) -> int:
        """Checks the length before anything is read: the rest reads whole bodies into memory.

        Raises unsupported_media_type, length_required, payload_too_large.
        """
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            message = f"The body is encoded as {encoding[:40]!r}; send it as it is, without that."
            raise ServiceError("unsupported_media_type", message)
        length, limit = request.META.get("CONTENT_LENGTH") or "", self.max_body_bytes()
        if not length and "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            raise ServiceError("length_required", "The body needs a Content-Length.")
        if not length.isdecimal():
            return 0
        if int(length) > limit:
            raise ServiceError(
                "payload_too_large", f"The body has {length} bytes; at most {limit} are taken here."
            )
        return int(length)

    def prepare(self, request: Request) -> None:
        """Does what may take long. An `idempotent` post calls it before its transaction."""

    def fields(self, kind: type[Serializer[Any]]) -> dict[str, Any]:
        """The validated body. Raises ValidationError, ServiceError."""
        data = self.request.data
        if not data and (self.request.content_type or "").startswith("image/"):
            raise ServiceError("empty_image", "The picture is empty.")
        body = _serializer(kind)
        body.initial_data = data
        try:
            body.is_valid(raise_exception=True)
            fields: dict[str, Any] = body.validated_data
            return fields
        finally:
            for name in ("initial_data", "_validated_data", "_errors"):
                vars(body).pop(name, None)  # see forget_body

    def page(
        self,
        name: str,
        rows: Any,
        rendered: Callable[[list[Any]], list[Any]],
        pages: Pages | None = None,
        beside: Mapping[str, Any] | None = None,
    ) -> Response:
        """A page of the rows under this name, by default newest first."""
        pages = pages or NewestFirst()
        page = pages.paginate_queryset(rows, self.request, view=self)
        return Response({**(beside or {}), name: rendered(page or []), **pages.cursors()})


def _serializer(kind: type[Serializer[Any]]) -> Serializer[Any]:
    """The serializer of this thread, whose fields are made once: it takes longer than to use them.
    A request has its data in it, so threads do not share one.
    """
    made: dict[type, Serializer[Any]] = vars(_thread).setdefault("serializers", {})
    if kind not in made:
        made[kind] = kind()
    return made[kind]


def operation(
    name: str,
    summary: str,
    answers: Any,
    *,
    body: Any = None,
    pages: type[Pages] | None = None,
    parameters: Sequence[OpenApiParameter] = (),
    tags: list[str] | None = None,
) -> Callable[[_Action], _Action]:
    """Describes an action. `answers` is the answer of status 200, or several answers by status."""
    return extend_schema(
        operation_id=name,
        summary=summary,
        request=body,
        responses=answers if isinstance(answers, dict) else {200: answers},
        parameters=[*parameters, *(pages.parameters if pages else ())],
        tags=tags,
    )


def router() -> SimpleRouter:
    """Routes without a slash at their ends, in which Django's converters may stand."""
    return SimpleRouter(trailing_slash=False, use_regex_path=False)
