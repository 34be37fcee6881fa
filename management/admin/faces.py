"""Faces: a grid of thumbnails or a list, and the page of one face."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from management.admin import actions, find_by_photo, person_page, pictures, words
from management.admin.people import SUSPENDED
from recognition import audit
from recognition.admin import finding
from recognition.admin.filters import choices
from recognition.admin.kit import (
    MODERATE,
    OwnPages,
    UncountedList,
    actor_of,
    column,
    link,
    time_column,
)
from recognition.models import Face

_VIEW = "view"  # in the address: a grid, or a list
_SEARCHABLE = {
    "yes": (_lazy("Searchable"), Q(searchable=True)),
    "no": (_lazy("Not searchable"), Q(searchable=False)),
}


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
class FaceAdmin(OwnPages):
    list_display = ["face_id", "person", "group", "quality", "found_by", "enrolled"]
    list_filter = [SUSPENDED, choices(_lazy("search setting"), "searchable", _SEARCHABLE)]
    list_select_related = ["user"]
    list_per_page = 48
    search_fields = ["face_id"]
    search_help_text = _lazy("A face id or its beginning, or the name or id of its person.")
    ordering = ["-pk"]
    change_list_template = "people/faces.html"
    page_template = "people/face.html"
    find = staticmethod(finding.faces)
    list_class = FaceList
    views = {
        "find_by_photo": ("find-by-photo/", find_by_photo.view),
        "picture": ("picture/<str:signed>/", pictures.view),
        **{name: (f"<int:pk>/{name}/", view) for name, view in actions.OF_A_FACE.items()},
    }

    person = column(_lazy("person"), lambda face: link(face.user))
    group = column(_lazy("group"), lambda face: face.face_group)
    quality = column(_lazy("quality"), words.quality_of)
    found_by = column(_lazy("search"), words.found_by)
    enrolled = time_column(_lazy("enrolled"), "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Face]:
        return pictures.with_pictures(Face.objects.all())

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

    def shown(self, request: HttpRequest, row: Face) -> dict[str, Any]:
        audit.note(actor_of(request), "face.view", user_id=row.user_id, face_id=row.face_id)
        (card,) = person_page.face_cards(request, [row])
        return {
            **card,
            "title": _("Face of {person}").format(person=row.user),
            "components": words.components_of(row),
            "age": row.attributes.get("estimated_age"),
            "gender": row.attributes.get("estimated_gender"),
            "facts": words.facts_of(row.metadata) if row.metadata else [],
            "may_moderate": request.user.has_perm(MODERATE),
        }
