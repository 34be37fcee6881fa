from django.urls import path, register_converter
from django.urls.converters import UUIDConverter

from management import views


class FaceIdConverter:
    regex = "face_[0-9a-f]{12}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class AnyCaseUUIDConverter(UUIDConverter):
    """Bodies take UUIDs in capitals as well."""

    regex = "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"


register_converter(FaceIdConverter, "face_id")
register_converter(AnyCaseUUIDConverter, "user_id")

urlpatterns = [
    path("users/<user_id:user_id>", views.UserView.as_view(), name="user"),
    path("users/<user_id:user_id>/faces", views.UserFacesView.as_view(), name="user-faces"),
    path("faces/<face_id:face_id>", views.FaceView.as_view(), name="face"),
    path("models", views.ModelsView.as_view(), name="models"),
]
