from django.urls import path

from photos import views

urlpatterns = [
    path("photos/", views.upload),
    path("photos/callback/", views.callback),
    path("photos/<int:photo_id>/suggestions/", views.suggestions),
    path("photos/suggestions/<int:suggestion_id>/", views.decide),
]
