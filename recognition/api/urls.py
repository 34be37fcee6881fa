from django.urls import path

from recognition.api import session_views, views

urlpatterns = [
    path("register", views.RegisterView.as_view(), name="register"),
    path("verify", views.VerifyView.as_view(), name="verify"),
    path("identify", views.IdentifyView.as_view(), name="identify"),
    path("detect", views.DetectView.as_view(), name="detect"),
    path("compare", views.CompareView.as_view(), name="compare"),
    path("sessions", session_views.SessionsView.as_view(), name="sessions"),
    path("sessions/<str:session_id>", session_views.SessionView.as_view(), name="session"),
    path("sessions/<str:session_id>/frames", session_views.FramesView.as_view(), name="frames"),
]
