"""Lists in pages behind opaque cursors."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from drf_spectacular.utils import OpenApiParameter
from rest_framework.pagination import CursorPagination


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

    def cursors(self) -> dict[str, Any]:
        link = self.get_next_link()
        query = parse_qs(urlsplit(link).query) if link else {}
        return {"next_cursor": query[self.cursor_query_param][0] if query else None}
