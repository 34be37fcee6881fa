from django.urls import path, register_converter
from django.urls.converters import StringConverter

from management.api import collections, graph_views, moderation_views, views
from recognition.api import service_view
from recognition.api.service_view import SLASH


class FaceIdConverter(StringConverter):
    regex = "face_[0-9a-f]{12}"


class UserIdConverter(StringConverter):
    """The text of an id, which the view checks. A slash in it comes as a mark: facesvc.http.paths
    makes it of `%2F`.
    """

    def to_python(self, value: str) -> str:
        return value.replace(SLASH, "/")

    def to_url(self, value: str) -> str:
        return value.replace("/", SLASH)


register_converter(FaceIdConverter, "face_id")
register_converter(UserIdConverter, "user_id")

router = service_view.router()
router.register("users", views.UserViewSet, "users")
router.register("users", moderation_views.UserModerationViewSet, "users-moderation")
router.register("users/<user_id:user_id>/friends", views.FriendViewSet, "friends")
router.register("faces", views.FaceViewSet, "faces")
router.register("faces", moderation_views.FaceModerationViewSet, "faces-moderation")
router.register("groups", views.GroupViewSet, "groups")
router.register("groups/<str:name>/members", views.MemberViewSet, "members")
router.register("graph", graph_views.GraphViewSet, "graph")
router.register("models", views.ModelViewSet, "models")
router.register("duplicates", moderation_views.DuplicateViewSet, "duplicates")
router.register("audit", moderation_views.AuditViewSet, "audit")
router.register("collections", collections.CollectionViewSet, "collections")

decide = moderation_views.DuplicateViewSet.as_view({"post": "decide"}, detail=True)
urlpatterns = [*router.urls, path("duplicates/<int:duplicate_id>", decide)]
