"""The moderators' search by photo, among all people, and its page."""

from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from management.admin import person_page, pictures, words
from recognition import audit
from recognition.admin import kit
from recognition.admin.kit import VIEW_PICTURES, actor_of
from recognition.gallery import finding
from recognition.gallery.finding import Found
from recognition.gallery.probe import SearchProbe
from recognition.gallery.scope import Gallery
from recognition.gallery.statements import searching
from recognition.inference.images import ImageError
from recognition.inference.pipeline import DetectedFace
from recognition.models import Face
from recognition.packs import engine
from recognition.packs.engine import Engine
from recognition.packs.scores import BASIC, Threshold
from recognition.processes import capacity
from recognition.processes.slots import OverloadedError, stage

_NEEDED = (VIEW_PICTURES, "recognition.view_user", "recognition.view_face")
# The most faces of a photo that are looked up, the main one first, and people shown for each.
_FACES, _PEOPLE = 4, 12
# The share of searches in which a stranger may match, as `identify` has it by default.
_FALSE_POSITIVES = 0.01


class PhotoSearch(NamedTuple):
    """The faces of a photo, each with those who resemble it, best first."""

    by: Engine
    faces: list[tuple[DetectedFace, list[Found]]]
    misread: int  # faces that cannot be compared with any
    searched: int  # templates
    sure: Threshold  # from where on `identify` would name somebody


def find_by_photo(*, actor: str, image: bytes) -> PhotoSearch:
    """Everybody who resembles a face on the photo, including suspended and unsearchable people.

    The photo is not kept. Raises ImageError, OverloadedError.
    """
    active, faces = engine.look(image, most=_FACES)
    readable = [face for face in faces if not face.quality.is_misread]
    with stage("search"), searching():
        gallery = Gallery.of_everybody(active)
        likely = active.scores.cut(BASIC, None, gallery.searched)
        found = [
            (face, finding.find(gallery, SearchProbe(active.template(face)), likely, limit=_PEOPLE))
            for face in readable
        ]
    sure = active.scores.cut(BASIC, _FALSE_POSITIVES, gallery.searched)
    candidates = sum(len(alike) for __, alike in found)
    audit.note(actor, "face.find_by_photo", faces=len(found), candidates=candidates)
    return PhotoSearch(active, found, len(faces) - len(found), gallery.searched, sure)


class PhotoForm(forms.Form):
    photo = forms.FileField(
        help_text=_lazy("JPEG, PNG, WebP or BMP. The photo is used for the search and not kept."),
        widget=forms.FileInput(attrs={"accept": "image/*"}),
    )


# The token of the form is in the body, which is read only after the operator is known.
@csrf_exempt
def view(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perms(_NEEDED):
        raise PermissionDenied
    given = request.META.get("CONTENT_LENGTH") or ""
    length = int(given) if given.isdecimal() else 0
    if length > settings.MAX_IMAGE_BYTES + settings.BODY_ROOM_BYTES:
        said = _("A photo may have {size:g} megabytes at most.")
        error = said.format(size=settings.MAX_IMAGE_SIZE_MB)
        return _page(request, PhotoForm(), error=error, status=413)
    try:
        capacity.bodies.take(length, settings.MAX_BODIES_BYTES)
    except OverloadedError as error:
        return _page(request, PhotoForm(), error=str(error), status=503)
    try:
        return _read(request)
    finally:
        capacity.bodies.give_back(length)


@csrf_protect
def _read(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, PhotoForm())
    form = PhotoForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, form, status=400)
    try:
        found = find_by_photo(actor=actor_of(request), image=form.cleaned_data["photo"].read())
    except ImageError as error:
        return _page(request, form, error=str(error), status=400)
    except OverloadedError as error:
        return _page(request, form, error=str(error), status=503)
    return _page(request, PhotoForm(), found=found)


def _page(
    request: HttpRequest,
    form: forms.Form,
    *,
    found: PhotoSearch | None = None,
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    groups = _groups(request, found) if found else []
    context = {"form": form, "error": error, "found": found, "groups": groups}
    template = "people/find_by_photo.html"
    return kit.page(request, template, _("Find by photo"), Face, context, status)


def _groups(request: HttpRequest, found: PhotoSearch) -> list[dict[str, Any]]:
    """For each face of the photo: which one it is, and the cards of the people who resemble it."""
    ids = [candidate.face_id for __, alike in found.faces for candidate in alike]
    faces = pictures.with_pictures(Face.objects.filter(face_id__in=ids).select_related("user"))
    known = {face.face_id: face for face in faces}
    number = len(found.faces)
    return [
        {
            "title": _("The face on the photo")
            if number == 1
            else _("Face {place} of {number}").format(place=place, number=number),
            "where": _where(face),
            "cards": [
                {**card, **_similarity(found, candidate)}
                for candidate in alike
                if candidate.face_id in known
                for card in person_page.face_cards(request, [known[candidate.face_id]])
            ],
        }
        for place, (face, alike) in enumerate(found.faces, 1)
    ]


def _where(face: DetectedFace) -> str:
    left, top, right, bottom = (round(float(value)) for value in face.box)
    said = _("{width} × {height} pixels, {left} from the left and {top} from the top")
    return said.format(width=right - left, height=bottom - top, left=left, top=top)


def _similarity(found: PhotoSearch, candidate: Found) -> dict[str, Any]:
    # So many strangers in this gallery are expected to resemble the face as much.
    strangers = found.by.scores.fmr(candidate.cosine) * found.searched
    few, many = _("less than one"), _("about {count:,.0f}").format(count=strangers)
    among = _("{expected} among the {faces:,} faces here")
    return {
        "confidence": words.confidence(found.by.scores.confidence(candidate.cosine)),
        "is_sure": candidate.cosine >= found.by.scores.needed(found.sure, candidate.faces),
        "strangers": among.format(expected=few if strangers < 1 else many, faces=found.searched),
    }
