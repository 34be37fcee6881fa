"""A page to choose a person, with the same search as the list of people."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from management.admin import words
from recognition.admin import finding, kit
from recognition.models import Face, User

# Hits that are shown. If there are more, the page asks for a better search.
_HITS = 20


def chosen(request: HttpRequest) -> User | None:
    """The person that the address of the page names, if any."""
    try:
        user_id = UUID(request.GET.get("person", ""))
    except ValueError:
        return None
    return User.objects.filter(pk=user_id).first()


def page(request: HttpRequest, title: str, about: User | Face) -> HttpResponse:
    """Shows the search. Every hit links to the same address with that person in it."""
    text = request.GET.get("q", "").strip()
    others = User.objects.exclude(pk=about.user_id if isinstance(about, Face) else about.pk)
    people = finding.people(others, text) if text else None
    hits = list(people.order_by("-created_at", "-pk")[: _HITS + 1]) if people is not None else []
    context = {
        "about": about,
        "back": kit.address_of(about),
        "text": text,
        "hits": [(user, words.privacy(user).partition(":")[0]) for user in hits[:_HITS]],
        "are_more": len(hits) > _HITS,
    }
    return kit.page(request, "people/choose.html", title, User, context)
