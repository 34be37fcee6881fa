"""Lists in pages behind opaque cursors."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from recognition.errors import ServiceError

_LARGEST_KEY = 2**63 - 1


class NewestFirst(CursorPagination):
    """`?cursor=...&page_size=...`; a page names the cursor of the next one, or null."""

    ordering = "-id"
    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"

    parameters = [
        OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
        OpenApiParameter("page_size", int, description="1 to 200; 50 by default."),
    ]

    def decode_cursor(self, request: Request) -> Any:
        """Raises invalid_cursor: the position of one of ours is a primary key."""
        try:
            cursor = super().decode_cursor(request)
        except NotFound:
            raise _invalid() from None
        if cursor and cursor.position is not None:
            position = str(cursor.position)
            is_key = position.isascii() and position.isdigit() and len(position) < 20
            if not is_key or int(position) > _LARGEST_KEY:
                raise _invalid()
        return cursor

    def cursors(self) -> dict[str, Any]:
        link = self.get_next_link()
        query = parse_qs(urlsplit(link).query) if link else {}
        return {"next_cursor": query[self.cursor_query_param][0] if query else None}


def _invalid() -> ServiceError:
    return ServiceError("invalid_cursor", "The cursor is not one of a page of this list.")
