from django.urls import path

from management import views

urlpatterns = [
    path("users/<uuid:user_id>", views.UserView.as_view(), name="user"),
    path("users/<uuid:user_id>/faces", views.UserFacesView.as_view(), name="user-faces"),
    path("models", views.ModelsView.as_view(), name="models"),
    path("faces/<str:face_id>", views.FaceView.as_view(), name="face"),
]
