from django.urls import path

from faces import views

urlpatterns = [
    path("login/face/", views.log_in),
    path("faces/enrol/", views.enrol),
    path("faces/forget/", views.forget),
    path("faces/tag/", views.tag),
]
