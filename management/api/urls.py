from django.urls import path, register_converter
from django.urls.converters import UUIDConverter

from management.api import friend_views, graph_views, group_views, moderation_views, views


class FaceIdConverter:
    regex = "face_[0-9a-f]{12}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class AnyCaseUUIDConverter(UUIDConverter):
    """Takes UUIDs in capitals too, as bodies do."""

    regex = "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"


register_converter(FaceIdConverter, "face_id")
register_converter(AnyCaseUUIDConverter, "user_id")

urlpatterns = [
    path("users", views.UsersView.as_view(), name="users"),
    path("users/<user_id:user_id>", views.UserView.as_view(), name="user"),
    path("users/<user_id:user_id>/faces", views.UserFacesView.as_view(), name="user-faces"),
    path("faces/<face_id:face_id>", views.FaceView.as_view(), name="face"),
    path(
        "users/<user_id:user_id>/friends", friend_views.FriendsView.as_view(), name="user-friends"
    ),
    path(
        "users/<user_id:user_id>/friends/<user_id:other_id>",
        friend_views.FriendView.as_view(),
        name="user-friend",
    ),
    path(
        "users/<user_id:user_id>/groups", group_views.UserGroupsView.as_view(), name="user-groups"
    ),
    path("groups", group_views.GroupsView.as_view(), name="groups"),
    path("groups/<str:name>", group_views.GroupView.as_view(), name="group"),
    path("groups/<str:name>/members", group_views.MembersView.as_view(), name="group-members"),
    path(
        "groups/<str:name>/members/<user_id:user_id>",
        group_views.MemberView.as_view(),
        name="group-member",
    ),
    path("graph", graph_views.GraphView.as_view(), name="graph"),
    path("models", views.ModelsView.as_view(), name="models"),
    path("users/<user_id:user_id>/suspend", moderation_views.SuspendUserView.as_view()),
    path("users/<user_id:user_id>/unsuspend", moderation_views.UnsuspendUserView.as_view()),
    path("users/<user_id:user_id>/unlock", moderation_views.UnlockUserView.as_view()),
    path("users/<user_id:user_id>/merge", moderation_views.MergeUserView.as_view()),
    path("faces/<face_id:face_id>/suspend", moderation_views.SuspendFaceView.as_view()),
    path("faces/<face_id:face_id>/unsuspend", moderation_views.UnsuspendFaceView.as_view()),
    path("faces/<face_id:face_id>/move", moderation_views.MoveFaceView.as_view()),
    path("duplicates", moderation_views.DuplicatesView.as_view()),
    path("duplicates/<int:duplicate_id>", moderation_views.DuplicateView.as_view()),
    path("audit", moderation_views.AuditView.as_view()),
]
