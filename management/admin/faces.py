"""Faces: a grid of thumbnails or a list, and the page of one face."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from management.admin import face_actions, find_by_photo, person_page, pictures, words
from management.admin.filters import SearchableFilter, SuspendedFilter
from recognition import audit
from recognition.admin import finding
from recognition.admin.kit import (
    MODERATE,
    LargeTable,
    ReadOnly,
    UncountedList,
    actor_of,
    link,
    when,
)
from recognition.models import Face

_VIEW = "view"  # in the address: a grid, or a list


class FaceList(UncountedList):
    """A list that also knows whether to show a grid."""

    def get_filters_params(self, params: Any = None) -> Any:
        found = super().get_filters_params(params)
        found.pop(_VIEW, None)
        return found

    def is_list(self) -> bool:
        return self.params.get(_VIEW) == "list"

    def as_list(self) -> str:
        return self.get_query_string({_VIEW: "list"})

    def as_grid(self) -> str:
        return self.get_query_string(remove=[_VIEW])


@admin.register(Face)
class FaceAdmin(LargeTable, ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["face_id", "person", "group", "quality", "found_by", "enrolled"]
    list_filter = [SuspendedFilter, SearchableFilter]
    list_select_related = ["user"]
    list_per_page = 48
    search_fields = ["face_id"]
    search_help_text = "A face id or its beginning, or the name or id of its person."
    ordering = ["-pk"]
    actions = None
    change_list_template = "people/faces.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[FaceList]:
        return FaceList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Face]:
        return pictures.with_pictures(Face.objects.all())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Face], search_term: str
    ) -> tuple[QuerySet[Face], bool]:
        return (finding.faces(queryset, search_term) if search_term else queryset), False

    def person(self, face: Face) -> str:
        return link(face.user)

    def group(self, face: Face) -> str:
        return face.face_group

    def quality(self, face: Face) -> str:
        return words.quality_of(face)

    @admin.display(description="search")
    def found_by(self, face: Face) -> str:
        return words.found_by(face)

    def enrolled(self, face: Face) -> str:
        return when(face.created_at)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("find-by-photo/", wrap(find_by_photo.view), name="recognition_face_find_by_photo"),
            # The view itself forbids browsers and proxies to keep the answer.
            path(
                "picture/<str:signed>/",
                wrap(pictures.view, cacheable=True),
                name="recognition_face_picture",
            ),
            *(
                path(f"<int:pk>/{name}/", wrap(view), name=f"recognition_face_{name}")
                for name, view in face_actions.OF_A_FACE.items()
            ),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Shows the list; looking at a page of pictures is one event of the audit log."""
        answer = super().changelist_view(request, extra_context)
        if isinstance(answer, TemplateResponse) and answer.context_data:
            changes = answer.context_data.get("cl")
            if isinstance(changes, FaceList) and not changes.is_list():
                answer.context_data["faces"] = person_page.face_cards(request, changes.result_list)
                if pictures.may_see(request):
                    shown = len(changes.result_list)
                    audit.note(actor_of(request), "face.list", faces=shown)
        return answer

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        face = self.get_object(request, object_id)
        if not self.has_view_permission(request, face) or request.method != "GET":
            raise PermissionDenied
        if face is None:
            messages.warning(request, "There is no such face.")
            return HttpResponseRedirect(reverse("admin:recognition_face_changelist"))
        audit.note(actor_of(request), "face.view", user_id=face.user_id, face_id=face.face_id)
        context = {
            **self.admin_site.each_context(request),
            **_page(request, face),
            "title": f"Face of {face.user}",
            "opts": self.opts,
            "original": face,
        }
        return TemplateResponse(request, "people/face.html", context)


def _page(request: HttpRequest, face: Face) -> dict[str, Any]:
    attributes = face.attributes
    return {
        "face": face,
        "picture": pictures.picture_of(request, face),
        "quality": words.quality_of(face),
        "components": words.components_of(face),
        "found_by": words.found_by(face),
        "age": attributes.get("estimated_age"),
        "gender": attributes.get("estimated_gender"),
        "facts": words.facts_of(face.metadata) if face.metadata else [],
        "may_moderate": request.user.has_perm(MODERATE),
    }
