from django.urls import path

from recognition import views

urlpatterns = [
    path("register", views.RegisterView.as_view(), name="register"),
    path("verify", views.VerifyView.as_view(), name="verify"),
    path("identify", views.IdentifyView.as_view(), name="identify"),
    path("detect", views.DetectView.as_view(), name="detect"),
    path("compare", views.CompareView.as_view(), name="compare"),
]
