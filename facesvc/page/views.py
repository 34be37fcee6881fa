"""GET /: a page to enrol, log in, tag and call on, made of static files and the public API.

It holds nothing about people: the browser loads that with the visitor's own token.
"""

import json

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from facesvc.page import catalogues
from recognition.collections.current import DEFAULT, entered, rule

# Allows the camera to this page alone, and to no other origin within it.
_PERMISSIONS = "camera=(self), microphone=(), geolocation=(), display-capture=()"


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Raises Http404 where FACESVC_PAGE is off."""
    if not settings.FACESVC_PAGE:
        raise Http404
    texts = catalogues.of(get_language() or settings.LANGUAGE_CODE)
    with entered(DEFAULT):  # the visitor has shown no token yet
        min_quality = rule("MIN_FACE_QUALITY")
    shown = {
        "words": texts[catalogues.TEMPLATE],
        "texts": {part: each for part, each in texts.items() if part != catalogues.TEMPLATE},
        "languages": settings.LANGUAGES,
        "min_quality": min_quality,
        "frames_per_second": settings.FACESVC_LIVE_FRAMES_PER_SECOND,
        "user_claim": settings.JWT_USER_CLAIM,
        "scope_claims": json.dumps(settings.JWT_SCOPE_CLAIM),
        "scope_prefix": settings.JWT_SCOPE_PREFIX,
    }
    response = render(request, "page/index.html", shown)
    response["Permissions-Policy"] = _PERMISSIONS
    response["Cache-Control"] = "no-cache"  # a new version of the service is a new page
    return response
