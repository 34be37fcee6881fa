"""The admin pages show one collection at a time, which the operator chooses.

The choice is kept in the operator's session. Each request asks again what the operator may see.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from facesvc.operators.bindings import collections_of, is_shared
from recognition.collections.current import DEFAULT, Entered, enter

_CHOICE = "collection"  # in the session, and in the form that chooses
# In every form of a page: the number of the collection that the page shows.
SHOWN = "_collection"


class CollectionMiddleware:
    """Enters the collection until the end of the request, whose line in the log names it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        first = reverse("admin:index")
        if not request.path.startswith(first):
            return self._get_response(request)
        operator: Any = request.user
        if not operator.is_authenticated:
            enter(DEFAULT)
        elif request.path != reverse("admin:logout"):  # for it, no collection is needed
            label, _slash, rest = request.path.removeprefix(first).partition("/")
            is_for_all = is_shared(label, rest.partition("/")[0])
            enter(_opened(request, collections_of(operator), is_for_all=is_for_all))
            if is_of_another(request):
                words = _("Nothing was done: the page was of another collection.")
                messages.warning(request, words)
                return redirect("admin:index")
        return self._get_response(request)


def _opened(request: HttpRequest, allowed: list[Entered], *, is_for_all: bool) -> Entered:
    """The collection to show. Raises PermissionDenied if the operator may see none."""
    if not allowed:
        raise PermissionDenied
    wanted = request.session.get(_CHOICE)
    found = next((each for each in allowed if each.number == wanted), allowed[0])
    request.collections = found, allowed  # type: ignore[attr-defined]
    # What all collections share is noted in the history of `default`, which is the only one that
    # the database keeps in step with the operators. The rights decide who gets there.
    return DEFAULT if is_for_all else found


def is_of_another(request: HttpRequest) -> bool:
    """Whether a form was made while another collection was shown, as in another tab.

    Its ids may be those of other people here.
    """
    found, allowed = shown(request)
    if request.method != "POST" or len(allowed) < 2 or request.path == reverse("admin:collection"):
        return False
    # The body with a photo is read by its page, once it is known who sent it, and how long it is.
    is_photo = request.path == reverse("admin:recognition_face_find_by_photo")
    return (request.GET if is_photo else request.POST).get(SHOWN) != str(found.number)


def shown(request: HttpRequest | None) -> tuple[Entered, list[Entered]]:
    """The collection that the pages show, and those that the operator may choose."""
    found: tuple[Entered, list[Entered]] = getattr(request, "collections", (DEFAULT, [DEFAULT]))
    return found


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Show another collection from now on. A page of one collection means nothing in another."""
    wanted = request.POST.get(_CHOICE, "")
    allowed = shown(request)[1]
    if found := next((each for each in allowed if str(each.number) == wanted), None):
        request.session[_CHOICE] = found.number
    else:
        messages.warning(request, _("There is no such collection."))
    return redirect("admin:index")
