"""Lists in pages behind opaque cursors."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from recognition.errors import ServiceError

_LARGEST_KEY = 2**63 - 1


class Pages(CursorPagination):
    """`?cursor=...&page_size=...`; a page names the cursor of the next one, or null.

    `ordering` names one unique column; the position of a cursor is its value in the last row.
    """

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"

    parameters = [
        OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
        OpenApiParameter("page_size", int, description="1 to 200; 50 by default."),
    ]

    def is_position(self, text: str) -> bool:
        """Whether it may be a value of the ordering column."""
        raise NotImplementedError

    def get_page_size(self, request: Request) -> int | None:
        text = request.query_params.get(self.page_size_query_param)
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= self.max_page_size):
            raise ServiceError("invalid_request", "page_size must be from 1 to 200.")
        return int(text)

    def decode_cursor(self, request: Request) -> Any:
        """Raises invalid_cursor."""
        try:
            cursor = super().decode_cursor(request)
        except NotFound:
            raise _invalid() from None
        if cursor and cursor.position is not None and not self.is_position(str(cursor.position)):
            raise _invalid()
        return cursor

    def cursors(self) -> dict[str, Any]:
        link = self.get_next_link()
        query = parse_qs(urlsplit(link).query) if link else {}
        return {"next_cursor": query[self.cursor_query_param][0] if query else None}


class NewestFirst(Pages):
    """Rows with a number as their primary key."""

    ordering = "-id"

    def is_position(self, text: str) -> bool:
        is_number = text.isascii() and text.isdigit() and len(text) < 20
        return is_number and int(text) <= _LARGEST_KEY


class ByUser(Pages):
    """In the order of the UUIDs of users: stable, and that of an index."""

    def __init__(self, column: str) -> None:
        self.ordering = column

    def is_position(self, text: str) -> bool:
        try:
            return str(UUID(text)) == text
        except ValueError:
            return False


def _invalid() -> ServiceError:
    return ServiceError("invalid_cursor", "The cursor is not one of a page of this list.")
