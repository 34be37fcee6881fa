"""A page to choose a person, with the same search as the list of people."""

from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from management.admin import words
from recognition.admin import finding
from recognition.admin.kit import address_of
from recognition.models import Face, User

# Hits that are shown; more call for a better search.
_HITS = 20


def chosen(request: HttpRequest) -> User | None:
    """The person that the address of the page names, if any."""
    try:
        user_id = UUID(request.GET.get("person", ""))
    except ValueError:
        return None
    return User.objects.filter(pk=user_id).first()


def page(request: HttpRequest, title: str, about: User | Face, *, without: User) -> HttpResponse:
    """Shows the search. Every hit links to the same address with that person in it."""
    text = request.GET.get("q", "").strip()
    people = finding.people(User.objects.exclude(pk=without.pk), text) if text else None
    hits = list(people.order_by("-created_at", "-pk")[: _HITS + 1]) if people is not None else []
    context = {
        **admin.site.each_context(request),
        "title": title,
        "about": about,
        "back": address_of(about),
        "text": text,
        "hits": [(user, words.privacy(user).partition(":")[0]) for user in hits[:_HITS]],
        "are_more": len(hits) > _HITS,
        "opts": User._meta,
    }
    return TemplateResponse(request, "people/choose.html", context)
