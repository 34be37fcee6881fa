"""GET /api/schema: the API description."""

from functools import cache
from threading import Lock
from typing import Any

from django.http import HttpResponse
from django.utils.cache import patch_cache_control
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class DescriptionView(SpectacularAPIView):
    """Serves the description to everybody, without a token or a rate limit.

    Making it takes a tenth of a second. It is made once for each format, whatever a request has in
    its query or headers, so that strangers cannot occupy the cores.
    """

    throttle_classes = []

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer: Any = request.accepted_renderer
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        with _making:
            text = _description(renderer.__class__)
        response = HttpResponse(text, content_type=f"{renderer.media_type}{charset}")
        response["Content-Disposition"] = f'inline; filename="facesvc.{renderer.format}"'
        patch_cache_control(response, max_age=3600)  # only a new version changes it
        return response


# The library fails when two threads make their first description at once.
_making = Lock()


@cache
def _description(renderer: type[BaseRenderer]) -> str | bytes:
    generator: Any = DescriptionView.generator_class()
    return renderer().render(generator.get_schema(public=True), renderer.media_type, {})
