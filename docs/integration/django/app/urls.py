from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.urls import include, path


def home(request):
    return HttpResponse(f"Hello, {request.user.get_username() or 'stranger'}.")


urlpatterns = [
    path("", home),
    path("login/", LoginView.as_view(template_name="password.html")),
    path("", include("faces.urls")),  # what facesvc adds
    path("", include("photos.urls")),
    path("", include("checkin.urls")),
]
