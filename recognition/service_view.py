"""What every view shares."""

from typing import Any

from django.conf import settings
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from recognition.access import Caller


class ServiceView(APIView):
    """A view that names the scope a token needs; facesvc.auth checks it."""

    required_scope: str
    pictures = 0  # that a body may hold

    def max_body_bytes(self) -> int:
        room: int = settings.BODY_ROOM_BYTES
        return room + self.pictures * settings.MAX_ENCODED_IMAGE_BYTES

    @property
    def caller(self) -> Caller:
        caller: Any = self.request.user
        if not isinstance(caller, Caller):
            raise TypeError(f"{caller!r} passed the authentication")
        return caller

    def fields(self, kind: type[Serializer[Any]]) -> dict[str, Any]:
        """The validated body. Raises ValidationError, ServiceError."""
        body = kind(data=self.request.data)
        body.is_valid(raise_exception=True)
        fields: dict[str, Any] = body.validated_data
        return fields
