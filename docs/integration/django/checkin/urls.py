from django.urls import path

from checkin import views

urlpatterns = [path("checkin/", views.page), path("checkin/frame/", views.frame)]
