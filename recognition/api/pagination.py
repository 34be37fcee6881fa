"""Lists in pages behind opaque cursors."""

import base64
from abc import ABC, abstractmethod
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from recognition.api.fields import refuse_unknown
from recognition.collections.current import here
from recognition.errors import ServiceError

_LARGEST_KEY = 2**63 - 1


class Pages(CursorPagination, ABC):
    """`?cursor=...&page_size=...`; a page names the cursor of the next one, or null.

    `ordering` names one unique column; the position of a cursor is its value in the last row.
    """

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"

    # A list with filters adds theirs.
    parameters = [
        OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
        OpenApiParameter(
            "page_size", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
        ),
    ]

    @abstractmethod
    def is_position(self, text: str) -> bool:
        """Whether the text may be a value of the ordering column."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        refuse_unknown(request.query_params, [each.name for each in self.parameters])
        for each in self.parameters:
            if each.enum and request.query_params.get(each.name, each.enum[0]) not in each.enum:
                message = f"{each.name} must be one of {', '.join(map(str, each.enum))}."
                raise ServiceError("invalid_request", message)
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int | None:
        text = request.query_params.get(self.page_size_query_param)
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= self.max_page_size):
            raise ServiceError("invalid_request", "page_size must be from 1 to 200.")
        return int(text)

    def decode_cursor(self, request: Request) -> Any:
        """Raises invalid_cursor."""
        # A position in another collection would say how many rows there are in it.
        self._list = f"{here().number}{request.path}"
        sealed = request.query_params.get(self.cursor_query_param)
        if sealed is None:
            return None
        try:
            of_list, _, text = _sealing().decrypt(sealed.encode()).decode().rpartition(" ")
            if of_list != self._list:
                raise _invalid()
            opened = SimpleNamespace(query_params={self.cursor_query_param: text})
            cursor = super().decode_cursor(opened)  # type: ignore[arg-type]
        except (InvalidToken, NotFound):
            raise _invalid() from None
        if cursor and cursor.position is not None and not self.is_position(str(cursor.position)):
            raise _invalid()
        return cursor

    def cursors(self) -> dict[str, Any]:
        """The cursor, encrypted and for this list only: a position may count everybody's rows."""
        link = self.get_next_link()
        if not link:
            return {"next_cursor": None}
        text = parse_qs(urlsplit(link).query)[self.cursor_query_param][0]
        return {"next_cursor": _sealing().encrypt(f"{self._list} {text}".encode()).decode()}


class NewestFirst(Pages):
    """Rows with a number as their primary key."""

    ordering = "-id"

    def is_position(self, text: str) -> bool:
        is_number = text.isascii() and text.isdigit() and len(text) < 20
        return is_number and int(text) <= _LARGEST_KEY


class ByUser(Pages):
    """Rows in the order of their users' UUIDs, which is stable and has an index."""

    def __init__(self, column: str) -> None:
        self.ordering = column

    def is_position(self, text: str) -> bool:
        try:
            return str(UUID(text)) == text
        except ValueError:
            return False


def _invalid() -> ServiceError:
    return ServiceError("invalid_cursor", "The cursor is not one of a page of this list.")


@cache
def _sealing() -> Fernet:
    key = HKDF(SHA256(), length=32, salt=None, info=b"facesvc cursors")
    return Fernet(base64.urlsafe_b64encode(key.derive(settings.SECRET_KEY.encode())))
