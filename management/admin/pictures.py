"""Thumbnails of enrolled faces, decrypted for each request; browsers and proxies keep none.

Their addresses are signed for one operator and an hour, and only pages that write an audit event
show them. So every look at a picture leaves a trace.
"""

from typing import Any

from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from recognition.admin.kit import VIEW_PICTURES
from recognition.collections.current import rule
from recognition.models import Face, FaceCrop
from recognition.privacy import sealing

_signer = signing.TimestampSigner(salt="management.admin.pictures")
_SECONDS = 3600
# An SVG in the place of a missing picture, which says why it is missing.
_UNREADABLE = b"""<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256" role="img">
<title>No key opens this picture</title><rect width="256" height="256" fill="#e4e4e7"/>
<g fill="#3f3f46" font-family="sans-serif" font-size="20" text-anchor="middle">
<text x="128" y="110">No key in</text><text x="128" y="136">FACESVC_CROP_KEYS</text>
<text x="128" y="162">opens this picture</text></g></svg>"""


def with_pictures(faces: QuerySet[Face]) -> QuerySet[Face]:
    """The faces, annotated with `has_picture`."""
    return faces.annotate(has_picture=Exists(FaceCrop.objects.filter(face=OuterRef("pk"))))


def picture_of(request: HttpRequest, face: Any) -> dict[str, str]:
    """The `address` of the picture of a face of `with_pictures`, or `why_not`.

    For a page that writes an audit event.
    """
    if not may_see(request):
        return {"why_not": _("You have no permission to see pictures.")}
    if not face.has_picture and not rule("STORE_FACE_CROPS"):
        return {"why_not": _("Pictures are not kept: STORE_FACE_CROPS is off.")}
    if not face.has_picture:
        return {"why_not": _("No picture was kept of this face.")}
    if not sealing.is_possible():
        return {"why_not": _("No key decrypts it: set FACESVC_CROP_KEYS.")}
    signed = _signer.sign(f"{request.user.pk}-{face.pk}")
    return {"address": reverse("admin:recognition_face_picture", args=[signed])}


def may_see(request: HttpRequest) -> bool:
    return request.user.has_perm(VIEW_PICTURES)


def view(request: HttpRequest, signed: str) -> HttpResponse:
    """The kept picture of a face, a JPEG. The admin site lets no browser or proxy keep it."""
    if not may_see(request):
        raise PermissionDenied
    try:
        operator, face = _signer.unsign(signed, max_age=_SECONDS).split("-")
    except signing.BadSignature:
        raise Http404 from None
    if operator != str(request.user.pk):
        raise Http404
    sealed = FaceCrop.objects.filter(face=int(face)).values_list("sealed", flat=True).first()
    if sealed is None:
        raise Http404
    try:
        return HttpResponse(sealing.unseal(bytes(sealed)), content_type="image/jpeg")
    except sealing.UnreadableError:
        return HttpResponse(_UNREADABLE, content_type="image/svg+xml")
